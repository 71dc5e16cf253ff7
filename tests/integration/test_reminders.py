"""Reminders end to end: the function plans and queues, the dispatcher asks the gateway, and Twilio is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions import schedule_reminders as function
from realtime.queue.dispatcher import TaskDispatcher
from realtime.queue.embedded import EmbeddedQueue
from tests.functions.apps import app_of
from tests.functions.conftest import embedded
from tests.functions.shop import PHONES, reminder_of, seed
from tests.media_gateway.harness import KEY
from tests.media_gateway.telephony.test_outbound import OPERATOR, desk
from tests.realtime.queue.test_queue import sink

__all__ = ["embedded"]

pytestmark = pytest.mark.anyio
ANY_TIME = {"opens": "00:00", "closes": "23:59:59.999999", "spacing": 60, "lines": 2, "per_minute": 2}
ZONE = "America/New_York"


@pytest.fixture
def functions(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("JWT_SECRET", f"k1:{KEY}")
    monkeypatch.setenv("CALLBOARD_TIMEZONE", ZONE)
    monkeypatch.delenv("CALLBOARD_TASKS_QUEUE", raising=False)
    yield monkeypatch
    function.close_all()


def run() -> dict[str, Any]:
    """What Cloud Scheduler does."""
    response = app_of("schedule_reminders").test_client().post("/", json={})
    answer: dict[str, Any] = response.get_json()
    assert response.status_code == 200, answer
    return answer


@asynccontextmanager
async def dispatching(path: Path, **more: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(TaskDispatcher(path, poll_seconds=0.02, backoff=(0.05, 0.1), **more).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


async def test_planned_queued_and_asked_for_even_when_the_gateway_is_away_at_first(
    embedded: Path, functions: pytest.MonkeyPatch
) -> None:
    with sink(lambda n: 503 if n == 1 else 202) as there:
        functions.setenv("PUBLIC_BASE_URL", there.url.removesuffix("/api/v1/calls"))
        now = datetime.now(UTC)
        await asyncio.to_thread(seed, embedded, now, rules=ANY_TIME, who=("john", "maria"))
        report = await asyncio.to_thread(run)
        assert len(report["planned"]) == 2
        clock = lambda: datetime.now(UTC) + timedelta(seconds=2)  # noqa: E731 - times are whole seconds, rounded up
        async with dispatching(embedded, clock=clock):
            await until(lambda: len(there.got) >= 3)
        assert (await asyncio.to_thread(run))["planned"] == []
    assert {body["to"] for _, body in there.got} == {PHONES["john"], PHONES["maria"]}
    assert len(there.keys) == 3
    assert set(there.keys) == {f"{reminder_of(who, now)}-1" for who in ("john", "maria")}


async def test_the_real_gateway_takes_the_token_and_dials_once_however_often_it_is_asked(
    tmp_path: Path, embedded: Path, functions: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as here:
        port = here.running.server.bound_port
        functions.setenv("PUBLIC_BASE_URL", f"http://127.0.0.1:{port}")
        functions.setenv("CALLBOARD_DATA_DIR", str(tmp_path / "data"))
        database = tmp_path / "data" / "callboard.db"
        now = datetime.now(UTC)
        await asyncio.to_thread(seed, database, now, rules=ANY_TIME, who=("john",))
        report = await asyncio.to_thread(run)
        (name,) = report["queued"]
        queue = EmbeddedQueue(database)
        async with dispatching(database):
            await until(lambda: not queue.waiting())
        assert queue.dead_letters() == {}
        queue.close()
        assert here.asked == 1
        (call,), _ = await here.running.gateway.core.journal.calls(org="default", flow="outbound_reminder")
        about = call.metadata["variables"]
        assert (call.to_number, f"{about['reminder_id']}-{about['attempt']}") == (PHONES["john"], name)
        again = await asyncio.to_thread(run)
        assert again["skipped"] in ({"in_progress": ["A-john"]}, {"later": ["A-john"]})
        # The same task again, as when an answer is lost: the key stands for the call there is.
        body = {"to": PHONES["john"], "flow": "outbound_reminder", "variables": about}
        headers = here.running.bearer(OPERATOR) | {"Idempotency-Key": name}
        repeated = await here.running.http.post("/api/v1/calls", json=body, headers=headers)
        assert (repeated.status_code, repeated.json()["call_id"]) == (202, call.call_id)
        assert here.asked == 1
