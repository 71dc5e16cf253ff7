"""What both queues promise, and what each promises alone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from realtime.queue.cloud_tasks import CloudTasks
from realtime.queue.dispatcher import TaskDispatcher
from realtime.queue.embedded import EmbeddedQueue
from realtime.queue.port import QueueUnavailable, Task, TaskQueue
from tests.realtime.queue.fake_tasks import QUEUE, FakeTasks, cloud_tasks

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


def task(name: str = "R1-1", *, at: datetime = NOW, minutes: float = 10, url: str = "http://127.0.0.1:9/") -> Task:
    headers = {"Idempotency-Key": name, "Authorization": "Bearer secret"}
    return Task(name, url, at, at + timedelta(minutes=minutes), {"to": "+14155550123", "flow": "grüße"}, headers)


# -- the contract --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["embedded", "cloud tasks"])
def a_queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TaskQueue]:
    if request.param == "embedded":
        own = EmbeddedQueue(tmp_path / "data" / "callboard.db", clock=lambda: NOW)
        yield own
        own.close()
        return
    with cloud_tasks() as there:
        google = CloudTasks(QUEUE, endpoint=there.url, metadata=there.url)
        yield google
        google.close()


def test_a_name_is_taken_once(a_queue: TaskQueue) -> None:
    assert [a_queue.enqueue(task()), a_queue.enqueue(task()), a_queue.enqueue(task("R1-2"))] == [True, False, True]


def test_what_was_withdrawn_is_gone_and_its_name_stays_taken(a_queue: TaskQueue) -> None:
    a_queue.enqueue(task())
    assert a_queue.withdraw("R1-1")
    assert not a_queue.enqueue(task())
    assert not a_queue.withdraw("never-there")


def test_many_at_once_take_a_name_once(a_queue: TaskQueue) -> None:
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda: taken.append(a_queue.enqueue(task()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def test_closing_twice_is_no_error(a_queue: TaskQueue) -> None:
    a_queue.close()
    a_queue.close()


@pytest.mark.parametrize("name", ["", "a/b", "ä", "x" * 501])
def test_a_name_that_no_queue_takes_is_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        task(name)


def test_neither_token_nor_number_is_shown() -> None:
    assert "secret" not in repr(task())
    assert "4155550123" not in repr(task())


# -- Cloud Tasks ---------------------------------------------------------------------------------------------------


@contextmanager
def google(**options: Any) -> Iterator[tuple[FakeTasks, CloudTasks]]:
    with cloud_tasks() as there:
        queue = CloudTasks(QUEUE, endpoint=there.url, metadata=there.url, **options)
        yield there, queue
        queue.close()


def test_cloud_tasks_is_told_all_that_it_needs() -> None:
    with google() as (there, queue):
        queue.enqueue(task(url="https://calls.example.com/api/v1/calls"))
        (kept,) = there.tasks.values()
        assert there.body("R1-1") == {"to": "+14155550123", "flow": "grüße"}
    assert (kept["name"], kept["scheduleTime"]) == (f"{QUEUE}/tasks/R1-1", "2026-11-20T15:00:00.000Z")
    request = kept["httpRequest"]
    assert (request["url"], request["httpMethod"]) == ("https://calls.example.com/api/v1/calls", "POST")
    assert request["headers"]["Authorization"] == "Bearer secret"
    assert request["headers"]["Idempotency-Key"] == "R1-1"


def test_the_token_is_asked_for_once_while_it_is_good_and_again_after() -> None:
    now = [0.0]
    with google(monotonic=lambda: now[0]) as (there, queue):
        queue.enqueue(task("a"))
        queue.enqueue(task("b"))
        assert there.tokens == 1
        now[0] = 3541.0
        queue.enqueue(task("c"))
        assert there.tokens == 2


@pytest.mark.parametrize("fault", [503, 429, 0])
def test_a_passing_fault_is_tried_again_and_a_lost_answer_is_no_second_task(fault: int) -> None:
    with google() as (there, queue):
        there.faults = [fault]
        queue.enqueue(task())
        assert list(there.tasks) == ["R1-1"]


@pytest.mark.parametrize("faults", [[503] * 9, [403]])
def test_a_fault_that_stays_is_told(faults: list[int]) -> None:
    with google() as (there, queue):
        there.faults = faults
        with pytest.raises(QueueUnavailable, match=str(faults[0])):
            queue.enqueue(task())


def test_without_a_token_or_anyone_there_it_is_unavailable() -> None:
    with google() as (there, queue):
        there.token_status = 404
        with pytest.raises(QueueUnavailable, match="metadata"):
            queue.enqueue(task())
    dead = CloudTasks(QUEUE, endpoint="http://127.0.0.1:9", metadata=None, retries=0)
    with pytest.raises(QueueUnavailable, match="reached"):
        dead.enqueue(task())


def test_a_queue_is_named_whole() -> None:
    with pytest.raises(ValueError, match="projects/"):
        CloudTasks("outbound")


# -- the embedded queue and its dispatcher -------------------------------------------------------------------------


@dataclass
class Sink:
    """Stands for the gateway: what came, and what it answers to the n-th request."""

    url: str = ""
    answer: Callable[[int], int] = lambda _n: 202
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        return [headers["idempotency-key"] for headers, _ in self.got]


@contextmanager
def sink(answer: Callable[[int], int] = lambda _n: 202) -> Iterator[Sink]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            here.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(here.answer(len(here.got)))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Sink(f"http://127.0.0.1:{server.server_port}/api/v1/calls", answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def dispatched(path: Path, done: Callable[[], bool], *, clock: Callable[[], datetime], many: int = 1) -> None:
    options: dict[str, Any] = {"poll_seconds": 0.005, "backoff": (0.001, 0.002), "clock": clock, "max_attempts": 3}
    running = [asyncio.create_task(TaskDispatcher(path, **options).run()) for _ in range(many)]
    try:
        async with asyncio.timeout(10):
            while not done():
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)  # what should not come has its chance
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callboard.db"


def later(minutes: float) -> Callable[[], datetime]:
    return lambda: NOW + timedelta(minutes=minutes)


def test_a_request_is_made_once_with_what_it_carries_and_leaves_only_its_name(path: Path) -> None:
    queue = EmbeddedQueue(path, clock=later(0))
    with sink() as there:
        queue.enqueue(task(url=there.url))
        asyncio.run(dispatched(path, lambda: not queue.waiting(), clock=later(1), many=3))
        ((headers, body),) = there.got
    assert body == {"to": "+14155550123", "flow": "grüße"}
    assert (headers["authorization"], headers["content-type"]) == ("Bearer secret", "application/json")
    assert not queue.enqueue(task())
    queue.close()
    assert not any(b"4155550123" in one.read_bytes() for one in path.parent.glob("callboard.db"))


def test_nothing_is_made_before_its_time_nor_after_its_end(path: Path) -> None:
    queue = EmbeddedQueue(path, clock=later(0))
    with sink() as there:
        for name, at, minutes in (("late", -30, 10), ("now", -1, 10), ("later", 2, 10)):
            queue.enqueue(task(name, at=NOW + timedelta(minutes=at), minutes=minutes, url=there.url))
        asyncio.run(dispatched(path, lambda: queue.waiting() == ["later"], clock=later(0)))
        assert there.keys == ["now"]
    assert queue.dead_letters() == {"late": "too late"}
    queue.close()


def test_it_is_tried_again_under_the_same_key_and_set_aside_in_the_end(path: Path) -> None:
    queue = EmbeddedQueue(path, clock=later(0))
    clock = [NOW]

    def ticking() -> datetime:
        clock[0] += timedelta(milliseconds=5)
        return clock[0]

    with sink(lambda n: 503 if n < 3 else 202) as there:
        queue.enqueue(task("good", url=there.url))
        asyncio.run(dispatched(path, lambda: not queue.waiting(), clock=ticking))
        assert there.keys == ["good"] * 3
    with sink(lambda _n: 500) as there:
        queue.enqueue(task("bad", url=there.url))
        asyncio.run(dispatched(path, lambda: not queue.waiting(), clock=ticking))
        assert there.keys == ["bad"] * 3
    assert queue.dead_letters() == {"bad": "HTTP 500"}
    queue.close()


def test_what_has_begun_is_not_withdrawn_any_more(path: Path) -> None:
    queue = EmbeddedQueue(path, clock=later(0))
    queue.enqueue(task())
    assert queue.claim("me", seconds=20)
    assert not queue.withdraw("R1-1")
    queue.retry("me", "R1-1", after=1)
    assert not queue.withdraw("R1-1"), "its effect may have happened"
    queue.close()


def test_a_dispatcher_that_died_leaves_its_task_to_the_next_after_the_lease(path: Path) -> None:
    queue = EmbeddedQueue(path, clock=later(0))
    queue.enqueue(task())
    assert queue.claim("dead", seconds=20)
    assert queue.claim("next", seconds=20) is None
    queue.close()
    queue = EmbeddedQueue(path, clock=later(1))
    assert queue.claim("next", seconds=20) is not None
    queue.done("dead", "R1-1")
    assert queue.waiting() == ["R1-1"], "who lost the lease has no say"
    queue.close()


def test_a_name_is_free_again_after_a_week(path: Path) -> None:
    queue = EmbeddedQueue(path, clock=later(0))
    queue.enqueue(task())
    queue.withdraw("R1-1")
    queue.close()
    queue = EmbeddedQueue(path, clock=later(60 * 24 * 8))
    assert queue.enqueue(task())
    queue.close()


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QueueUnavailable, match="cannot be opened"):
        EmbeddedQueue(tmp_path / "file" / "callboard.db")
