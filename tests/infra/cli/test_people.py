"""`users` and `keys`: the accounts of an installation from its command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli.app import app

PASSWORD = "correct horse battery\n"


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on a store of its own; its exit code, and its JSON if it has any."""
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))

    def run(*arguments: str, stdin: str = "") -> tuple[int, Any]:
        done = CliRunner().invoke(app, [*arguments, "--json"], input=stdin)
        return done.exit_code, json.loads(done.stdout) if done.stdout.strip() else done.stderr

    return run


def test_users(ask: Any) -> None:
    code, (ann,) = ask("users", "add", "ann", "--role", "operator", stdin=PASSWORD)
    assert (code, ann["name"], ann["role"], ann["org"]) == (0, "ann", "operator", "default")
    code, said = ask("users", "add", "ann", stdin=PASSWORD)
    assert code == 1
    assert "already" in said
    assert ask("users", "add", "bob", stdin="short\n")[0] == 2
    assert ask("users", "add", "b b", stdin=PASSWORD)[0] == 2
    assert ask("users", "add", "bob", "--role", "root", stdin=PASSWORD)[0] == 2
    assert ask("users", "disable", "ann")[1][0]["disabled"] is True
    assert ask("users", "enable", "ann")[1][0]["disabled"] is False
    assert ask("users", "password", "ann", stdin="another horse battery\n")[0] == 0
    assert ask("users", "disable", "nobody")[0] == 1
    assert [user["name"] for user in ask("users", "list")[1]] == ["ann"]
    assert ask("users", "list", "--org", "other")[1] == []


def test_keys(ask: Any) -> None:
    code, (key,) = ask("keys", "add", "reports")
    assert code == 0
    assert key["key"].startswith(f"cbk_{key['id']}_")
    assert key["key"].rpartition("_")[2] not in str(ask("keys", "list")[1])
    assert ask("keys", "revoke", key["id"])[0] == 0
    assert ask("keys", "list")[1][0]["revoked_at"]
    assert ask("keys", "revoke", "0" * 12)[0] == 1
