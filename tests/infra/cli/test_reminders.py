"""`reminders plan|run|stop|resume` on the embedded store."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from realtime.queue.embedded import EmbeddedQueue
from realtime.reminders import ledger
from realtime.stores.port import Put
from tests.functions.shop import on_store, seed

ANY_TIME = {"opens": "00:00", "closes": "23:59:59.999999", "spacing": 60, "lines": 1}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CALLBOARD_STORE", "CALLBOARD_BUS", "CALLBOARD_TASKS_QUEUE", "PUBLIC_BASE_URL", "JWT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))
    path = tmp_path / "callboard.db"
    seed(path, datetime.now(UTC), rules=ANY_TIME, who=("john", "maria"))
    return path


def reminders(verb: str, *more: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["reminders", verb, *more])
    assert done.exit_code == code, done.output
    return done.output


def told(verb: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(reminders(verb, "--json"))
    return answer


def waiting(path: Path) -> int:
    queue = EmbeddedQueue(path)
    try:
        return len(queue.waiting())
    finally:
        queue.close()


def test_plan_writes_nothing_run_queues_stop_takes_back_and_resume_goes_on(database: Path) -> None:
    assert len(told("plan")["planned"]) == 2
    assert waiting(database) == 0
    assert len(told("run")["queued"]) == waiting(database) == 2
    stopped = told("stop")
    assert stopped["stopped"] is True
    assert (len(stopped["withdrawn"]), waiting(database)) == (2, 0)
    assert told("run")["planned"] == told("plan")["planned"] == []
    assert told("resume") == {"stopped": False, "withdrawn": []}
    # The second was to begin when the first has ended; the first one's time may have come.
    assert 1 <= len(told("run")["planned"]) <= 2


def test_in_words(database: Path) -> None:
    assert "2 calls planned" in reminders("plan")
    assert "stopped" in reminders("stop")
    assert "reminders are stopped: A-john, A-maria" in reminders("plan")
    assert "Reminders are on" in reminders("resume")


def test_rules_that_cannot_be_read_are_one_clear_line(database: Path) -> None:
    wrong = Put(ledger.rules_path("default"), {"lines": "many"})
    on_store(database, lambda store: store.commit([wrong]))
    assert "`lines`" in reminders("plan", code=1)
