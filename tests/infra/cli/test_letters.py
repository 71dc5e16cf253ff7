"""`dead-letters` from the command line, on the embedded store and bus."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from realtime import dead_letters
from realtime.bus.outbox import Outbox
from realtime.bus.port import BusMessage
from realtime.clock import iso, utcnow
from realtime.stores.embedded import EmbeddedStore

NEWS = BusMessage("n1", "twilio", "status", {"call_sid": "CA1"}, iso(utcnow()), {"CallStatus": "ringing"})


def kept(path: Path) -> None:
    async def write() -> None:
        store = EmbeddedStore(path)
        for raw, message in ((json.dumps(NEWS.to_dict()), NEWS), ("nonsense", None)):
            await dead_letters.keep(store, raw, "a reason", message, now=utcnow(), expire_at="2099-01-01T00:00:00.000Z")
        await store.aclose()

    asyncio.run(write())


def test_they_are_listed_shown_and_published_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))
    kept(tmp_path / "callboard.db")

    def ask(*arguments: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, ["dead-letters", *arguments, "--json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout.strip() else None

    code, listed = ask("list")
    assert (code, sorted(str(letter["news"]) for letter in listed)) == (0, ["None", "n1"])
    good = next(letter["id"] for letter in listed if letter["news"])
    assert json.loads(ask("show", good)[1]["text"])["id"] == "n1"
    assert ask("show", "aside-0")[0] == 1
    assert ask("replay")[0] == 2
    code, done = ask("replay", "--all")
    assert (code, sorted(one["replayed"] for one in done)) == (1, [False, True])
    assert [letter["news"] for letter in ask("list")[1]] == [None]
    outbox = Outbox(tmp_path / "callboard.db")
    assert outbox.pending() == 1
    outbox.close()
