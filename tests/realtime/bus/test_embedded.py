"""What the embedded bus promises beyond the contract: restarts, several dispatchers, leases, dead letters."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.bus.embedded import Dispatcher, EmbeddedBus
from realtime.bus.envelope import decode
from realtime.bus.outbox import Outbox
from realtime.bus.port import MAX_DATA_BYTES, BusMessage, PublishFailed, TooLarge
from tests.realtime.push import applier

pytestmark = pytest.mark.anyio
QUICK: dict[str, Any] = {"poll_seconds": 0.005, "backoff": (0.002, 0.01)}


def news(key: str, n: int) -> BusMessage:
    return BusMessage(f"{key}:{n}", "test", "tick", {"conversation_id": key}, "2026-11-20T10:00:00.000Z", {"n": n})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "callboard.db"


async def published(path: Path, *messages: BusMessage) -> None:
    bus = EmbeddedBus(path)
    for message in messages:
        await bus.publish(message)
    await bus.aclose()
    await bus.aclose()


@asynccontextmanager
async def dispatching(path: Path, url: str, **options: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(Dispatcher(path, url, **{**QUICK, **options}).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def left(path: Path) -> tuple[int, list[str]]:
    """How many messages wait, and why the dead ones died."""
    outbox = Outbox(path)
    try:
        return outbox.pending(), [letter.why for letter in outbox.dead_letters()]
    finally:
        outbox.close()


async def emptied(path: Path) -> None:
    def watch() -> None:
        deadline = time.monotonic() + 10
        while left(path)[0]:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    await asyncio.to_thread(watch)


async def test_what_was_published_outlives_the_process_and_an_applier_that_is_not_there_yet(path: Path) -> None:
    await published(path, news("a", 1), news("b", 1))
    async with dispatching(path, "http://127.0.0.1:9/"):
        await asyncio.sleep(0.05)
    assert left(path) == (2, [])
    with applier() as there:
        async with dispatching(path, there.url):
            await emptied(path)
    assert sorted(there.acknowledged()) == ["a:1", "b:1"]
    body = next(body for body in there.bodies if body["message"]["attributes"]["id"] == "a:1")
    assert body["message"]["orderingKey"] == "a"


@pytest.mark.parametrize(("token", "sent"), [("", None), ("secret", "Bearer secret")])
async def test_every_push_carries_the_token(path: Path, token: str, sent: str | None) -> None:
    await published(path, news("a", 1), news("b", 1))
    with applier() as there:
        async with dispatching(path, there.url, token=token):
            await emptied(path)
    assert there.authorizations == {sent}


async def test_a_dispatcher_that_is_stopped_in_the_middle_gives_back_what_it_held(path: Path) -> None:
    await published(path, news("a", 1))
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    with applier() as there:
        stuck = asyncio.Event()

        def hang(_message: BusMessage, times: int) -> int:
            loop.call_soon_threadsafe(arrived.set)
            if times == 1 and not stuck.is_set():
                stuck.set()
                threading.Event().wait(0.3)
            return 204

        there.answer = hang
        async with dispatching(path, there.url):
            await asyncio.wait_for(arrived.wait(), 5)
        outbox = Outbox(path)
        (letter,) = outbox.claim("next", seconds=60, limit=10)  # at once, not when the lease has run out
        outbox.close()
    assert letter.attempts == 0


async def test_two_dispatchers_share_the_work_and_keep_the_order(path: Path) -> None:
    await published(path, *(news(key, n) for n in range(15) for key in "abcd"))
    with applier() as there:
        async with dispatching(path, there.url), dispatching(path, there.url):
            await emptied(path)
    assert len(there.got) == 60  # nothing twice
    for key in "abcd":
        ids = [id for id in there.acknowledged() if id.startswith(key)]
        assert ids == [f"{key}:{n}" for n in range(15)]


async def test_what_nobody_takes_is_set_aside_and_kept_and_the_rest_goes_on(path: Path) -> None:
    await published(path, news("a", 1), news("a", 2))
    with applier() as there:
        there.answer = lambda message, _times: 500 if message.id == "a:1" else 204
        async with dispatching(path, there.url, max_attempts=3):
            await emptied(path)
    assert [message.id for message, _ in there.got] == ["a:1", "a:1", "a:1", "a:2"]
    outbox = Outbox(path)
    (dead,) = outbox.dead_letters()
    outbox.close()
    assert (decode(dead.data), dead.attempts, dead.why) == (news("a", 1), 3, "HTTP 500")


async def test_an_answer_that_does_not_come_in_time_is_none(path: Path) -> None:
    await published(path, news("a", 1))
    with applier() as there:

        def slow_once(_message: BusMessage, times: int) -> int:
            if times == 1 and not there.got:
                threading.Event().wait(0.2)
            return 204

        there.answer = slow_once
        async with dispatching(path, there.url, push_seconds=0.05):
            await emptied(path)
        await asyncio.to_thread(there.wait, lambda a: len(a.got) >= 2)
    assert left(path) == (0, [])


def test_a_lease_that_has_run_out_is_claimed_by_another_and_the_first_cannot_acknowledge(path: Path) -> None:
    now = [datetime(2026, 11, 20, tzinfo=UTC)]
    outbox = Outbox(path, clock=lambda: now[0])
    outbox.publish(news("a", 1))
    (letter,) = outbox.claim("one", seconds=10, limit=5)
    assert outbox.claim("two", seconds=10, limit=5) == []
    now[0] += timedelta(seconds=11)
    assert [again.n for again in outbox.claim("two", seconds=10, limit=5)] == [letter.n]
    outbox.acknowledge("one", letter.n)
    outbox.bury("one", letter.n, why="late")
    outbox.retry("one", letter.n, after=0)
    assert (outbox.pending(), outbox.dead_letters()) == (1, [])
    outbox.acknowledge("two", letter.n)
    assert outbox.pending() == 0
    outbox.close()
    outbox.close()


def test_a_retry_waits_and_holds_back_only_its_own_key(path: Path) -> None:
    now = [datetime(2026, 11, 20, tzinfo=UTC)]
    outbox = Outbox(path, clock=lambda: now[0])
    for message in (news("a", 1), news("a", 2), news("b", 1)):
        outbox.publish(message)
    first, other = outbox.claim("one", seconds=10, limit=5)
    assert (first.ordering_key, other.ordering_key) == ("a", "b")
    outbox.retry("one", first.n, after=5)
    outbox.acknowledge("one", other.n)
    assert outbox.claim("one", seconds=10, limit=5) == []
    now[0] += timedelta(seconds=5)
    (again,) = outbox.claim("one", seconds=10, limit=5)
    assert (again.n, again.attempts) == (first.n, 1)
    outbox.close()


def test_a_publish_that_fails_says_so(path: Path) -> None:
    outbox = Outbox(path)
    other = sqlite3.connect(path)
    other.execute("DROP TABLE bus_messages")
    other.close()
    with pytest.raises(PublishFailed, match="a:1"):
        outbox.publish(news("a", 1))
    outbox.close()


async def test_a_file_that_is_busy_for_a_while_delays_and_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = {"claim": 2, "acknowledge": 1, "retry": 1}

    def troubled(name: str) -> None:
        real = getattr(Outbox, name)

        def now_and_then(self: Outbox, *args: Any, **options: Any) -> Any:
            if trouble[name]:
                trouble[name] -= 1
                raise sqlite3.OperationalError("database is locked")
            return real(self, *args, **options)

        monkeypatch.setattr(Outbox, name, now_and_then)

    for name in trouble:
        troubled(name)
    monkeypatch.setattr("realtime.bus.embedded.LEASE_MARGIN_SECONDS", 0.1)
    await published(path, *(news("a", n) for n in range(3)))
    with applier() as there:
        there.answer = lambda message, times: 503 if message.id == "a:1" and times < 3 else 204
        async with dispatching(path, there.url, push_seconds=0.2):
            await emptied(path)
    assert list(dict.fromkeys(there.acknowledged())) == ["a:0", "a:1", "a:2"]
    assert not any(trouble.values())


def test_what_could_not_be_delivered_is_kept_for_as_long_as_everything_else(path: Path) -> None:
    now = [datetime(2026, 11, 20, tzinfo=UTC)]
    outbox = Outbox(path, clock=lambda: now[0], retention_days=7)
    for n in (1, 2):
        outbox.publish(news("a", n))
        (letter,) = outbox.claim("one", seconds=10, limit=1)
        outbox.bury("one", letter.n, why="HTTP 500")
        now[0] += timedelta(days=4)
    assert outbox.purge() == 1
    assert [decode(letter.data).id for letter in outbox.dead_letters()] == ["a:2"]
    assert outbox.purge() == 0
    outbox.close()


async def test_a_dispatcher_forgets_what_died_long_ago(path: Path) -> None:
    outbox = Outbox(path, clock=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    outbox.publish(news("a", 1))
    (letter,) = outbox.claim("one", seconds=10, limit=1)
    outbox.bury("one", letter.n, why="HTTP 500")
    async with dispatching(path, "http://127.0.0.1:9/", retention_days=30):
        async with asyncio.timeout(5):
            while outbox.dead_letters():
                await asyncio.sleep(0.005)
    outbox.close()


async def test_a_delivery_that_failed_is_in_the_log_with_its_ids(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await published(path, news("a", 1))
    with applier() as there:
        there.answer = lambda _message, times: 503 if times == 1 else 204
        async with dispatching(path, there.url):
            await emptied(path)
    (line,) = [vars(record) for record in caplog.records if record.message == "bus_redelivery"]
    told = {name: line[name] for name in ("news", "kind", "source", "key", "attempts", "why")}
    assert told == {"news": "a:1", "kind": "tick", "source": "test", "key": "a", "attempts": 1, "why": "HTTP 503"}


def test_what_no_bus_takes_is_not_published(path: Path) -> None:
    outbox = Outbox(path)
    with pytest.raises(TooLarge):
        outbox.publish(BusMessage("1", "t", "t", {}, "x", {"a": "x" * MAX_DATA_BYTES}))
    assert outbox.pending() == 0
    outbox.close()
