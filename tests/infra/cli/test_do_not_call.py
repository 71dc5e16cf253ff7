"""`do-not-call` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app


def test_the_list_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))

    def ask(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["do-not-call", *arguments])
        return done.exit_code, done.stdout + done.stderr

    assert ask("add", "+14155550123")[0] == 0
    code, text = ask("list", "--json")
    assert code == 0
    assert [one["phone"] for one in json.loads(text)] == ["+14155550123"]
    assert "+14155550123" in ask("list")[1]
    code, said = ask("add", "nobody")
    assert (code, "telephone number" in said) == (2, True)
    assert ask("remove", "+14155550123")[0] == 0
    assert json.loads(ask("list", "--json")[1]) == []
