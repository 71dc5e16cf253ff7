"""What is the embedded store's own: several processes on one file, the feed, kill -9, expiry."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from realtime.call import Call
from realtime.clock import iso
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.embedded_feed import EmbeddedHeadFeed
from realtime.stores.embedded_sql import connect, prepare
from realtime.stores.port import Create, FeedState, Put, Query, StoreUnavailable

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, sys
from realtime.call import Call
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore

async def main(path, call_id, count):
    store = EmbeddedStore(path)
    journal = Journal(store)
    await journal.open(Call(call_id=call_id))
    for n in range(count):
        drafts = [Draft(EventType.DTMF, {"n": n, "part": p}, f"{n}-{p}", "2031-01-01T00:00:00.000Z") for p in range(3)]
        await journal.append(call_id, drafts)
        print(n, flush=True)
    await store.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def start_writer(path: Path, call_id: str, count: int) -> subprocess.Popen[str]:
    """Another process that appends three events at a time and says the number of each append."""
    command = [sys.executable, "-c", WRITER, str(path), call_id, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "callboard.db"


@asynccontextmanager
async def store_at(path: Path, clock: Callable[[], datetime] | None = None) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(path, clock=clock) if clock else EmbeddedStore(path)
    try:
        yield store
    finally:
        await store.aclose()


class Watcher:
    """A feed under way, and what it has told."""

    def __init__(self, feed: EmbeddedHeadFeed) -> None:
        self.heads: list[Mapping[str, Any]] = []
        self.states: list[FeedState] = []
        self._told = asyncio.Event()
        self._task = asyncio.create_task(feed.run(self._on_head, self._on_state))

    def _on_head(self, head: Mapping[str, Any]) -> None:
        self.heads.append(head)
        self._told.set()

    def _on_state(self, state: FeedState) -> None:
        self.states.append(state)
        self._told.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._told.clear()
                await self._told.wait()

    def seq(self, call_id: str) -> int:
        return max((head["seq"] for head in self.heads if head["call_id"] == call_id), default=-1)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_what_one_process_writes_another_one_sees(path: Path) -> None:
    async with store_at(path) as store:
        await Journal(store).open(Call(call_id="CA0"))
        watcher = Watcher(EmbeddedHeadFeed(path))
        writer = await asyncio.to_thread(start_writer, path, "CA1", 20)
        try:
            await watcher.until(lambda: watcher.seq("CA1") == 60)
        finally:
            await asyncio.to_thread(writer.communicate)
        assert watcher.states == [FeedState.CONNECTING, FeedState.LIVE]
        assert watcher.heads[0]["call_id"] == "CA0"
        seqs = [head["seq"] for head in watcher.heads if head["call_id"] == "CA1"]
        assert seqs == sorted(seqs)
        await watcher.stop()


async def test_the_feed_tells_active_calls_first_and_then_only_what_changed(path: Path) -> None:
    async with store_at(path) as store:
        heads = [{"call_id": "A", "seq": 1, "active": True}, {"call_id": "B", "seq": 1, "active": False}]
        await store.commit([Create(f"calls/{head['call_id']}", head) for head in heads])
        watcher = Watcher(EmbeddedHeadFeed(path, poll=0.001))
        await watcher.until(lambda: FeedState.LIVE in watcher.states)
        assert watcher.heads == heads[:1]
        await store.commit([Create("calls/A/events/00000001", {"active": True}), Create("aliases/A", {"active": True})])
        await store.commit([Put("calls/A", {"call_id": "A", "seq": 2, "active": True})])
        await watcher.until(lambda: watcher.seq("A") == 2)
        assert [head["seq"] for head in watcher.heads] == [1, 2]
        await watcher.stop()


async def test_a_feed_leaves_no_thread_behind(path: Path) -> None:
    async with store_at(path):
        before = threading.active_count()
        watcher = Watcher(EmbeddedHeadFeed(path))
        await watcher.until(lambda: FeedState.LIVE in watcher.states)
        assert any(thread.name == "store-feed" for thread in threading.enumerate())
        await watcher.stop()
        assert not any(thread.name == "store-feed" for thread in threading.enumerate())
        assert threading.active_count() <= before + 1


async def test_a_feed_says_when_it_cannot_see_and_recovers(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    path = folder / "callboard.db"
    watcher = Watcher(EmbeddedHeadFeed(path, poll=0.001, retry=0.001))
    await watcher.until(lambda: FeedState.DEGRADED in watcher.states)
    async with store_at(path) as store:
        await store.commit([Create("calls/A", {"call_id": "A", "seq": 1, "active": True})])
        await watcher.until(lambda: watcher.seq("A") == 1)
        await watcher.until(lambda: watcher.states[-1] is FeedState.LIVE)
        await watcher.stop()


async def test_a_writer_killed_in_the_middle_leaves_a_whole_log(path: Path) -> None:
    for round_ in range(3):
        call_id = f"CA{round_}"
        writer = await asyncio.to_thread(start_writer, path, call_id, 100_000)
        assert writer.stdout is not None
        said = [await asyncio.to_thread(writer.stdout.readline) for _ in range(20 + 7 * round_)]
        writer.send_signal(signal.SIGKILL)
        rest, _ = await asyncio.to_thread(writer.communicate)
        told = int((said + rest.split("\n")[:-1])[-1])
        async with store_at(path) as store:
            journal = Journal(store)
            call = await journal.find(call_id)
            assert call is not None
            events = await journal.events(call_id, limit=1_000_000)
            assert [event.seq for event in events] == list(range(1, call.seq + 1))
            assert call.seq % 3 == 0
            assert (told + 1) * 3 <= call.seq <= (told + 2) * 3
            again = [Draft(EventType.DTMF, {"n": 0}, f"0-{part}", "2031-01-01T00:00:00.000Z") for part in range(3)]
            assert (await journal.append(call_id, again)).events == ()
            assert (
                len((await journal.append(call_id, [again[0].__class__(EventType.IDLE, {}, "new", "t")])).events) == 1
            )


async def test_processes_that_start_at_once_share_a_new_file(path: Path) -> None:
    writers = [await asyncio.to_thread(start_writer, path, "CA1" if n else "CA0", 5) for n in range(3)]
    await asyncio.gather(*(asyncio.to_thread(writer.communicate) for writer in writers))
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    async with store_at(path) as store:
        assert len(await Journal(store).events("CA0")) == 15
        assert len(await Journal(store).events("CA1")) == 15


async def test_what_has_expired_is_deleted(path: Path) -> None:
    now = [datetime(2031, 1, 1, tzinfo=UTC)]
    async with store_at(path, lambda: now[0]) as store:
        for name, days in (("old", 1), ("young", 30)):
            await store.commit([Create(f"things/{name}", {"expire_at": iso(now[0] + timedelta(days=days))})])
        await store.commit([Create("things/eternal", {})])
        now[0] += timedelta(days=2)
        await store.commit([Create("things/next", {})])
        # The purge follows the commit in the writer's thread, and precedes the next one.
        await store.commit([Create("things/last", {})])
        old, *others = await store.get("things/old", "things/young", "things/eternal")
        assert old is None
        assert None not in others


async def test_a_commit_that_was_cancelled_while_waiting_is_not_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.stores.embedded.GROUP", 1)
    async with store_at(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first, second = (asyncio.create_task(store.commit([Create(f"things/{n}", {})])) for n in range(2))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([second])
            other.execute("ROLLBACK")
        await first
        assert [doc is not None for doc in await store.get("things/0", "things/1")] == [True, False]


async def test_nothing_blocks_the_event_loop(path: Path) -> None:
    async with store_at(path) as store:
        journal = Journal(store)
        with blockbuster_ctx("realtime"):
            await journal.open(Call(call_id="CA1"))
            watcher = Watcher(EmbeddedHeadFeed(path, poll=0.001))
            await journal.append("CA1", [Draft(EventType.DTMF, {}, "k", "2031-01-01T00:00:00.000Z")])
            assert len(await journal.events("CA1")) == 1
            await watcher.until(lambda: watcher.seq("CA1") == 1)
            await watcher.stop()


async def test_too_many_waiting_commits_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.stores.embedded.PENDING", 2)
    async with store_at(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            tasks = [asyncio.create_task(store.commit([Create(f"things/{n}", {})])) for n in range(9)]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert isinstance(done.pop().exception(), StoreUnavailable)
            other.execute("ROLLBACK")
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        kept = await store.get(*(f"things/{n}" for n in range(9)))
        assert [isinstance(outcome, StoreUnavailable) for outcome in outcomes] == [doc is None for doc in kept]


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look at" * 100)
    with pytest.raises(StoreUnavailable, match=r"notes\.txt"):
        EmbeddedStore(path)


async def test_what_callers_said_is_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "callboard.db"
    store = EmbeddedStore(path)
    await store.commit([Create("things/a", {})])
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert len(list(path.parent.iterdir())) == 3  # the file, its log and its index
    await store.aclose()
    path.chmod(0o644)
    await EmbeddedStore(path).aclose()
    assert path.stat().st_mode & 0o777 == 0o600


def test_nobody_but_sqlite_opens_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing it, even for a moment's look, would cancel the locks that this process's other connections hold."""
    opened_by_us: list[str] = []
    real = os.open

    def noted(name: str | Path, *more: int) -> int:
        opened_by_us.append(str(name))
        return real(name, *more)

    monkeypatch.setattr("realtime.stores.embedded_sql.os.open", noted)
    for _ in range(2):
        with closing(connect(path)) as connection:
            prepare(connection)
    assert str(path) not in opened_by_us
    assert path.stat().st_mode & 0o777 == 0o600
    assert [name.name for name in path.parent.iterdir() if name.name.startswith(".")] == []


async def test_a_file_of_an_older_release_goes_on(tmp_path: Path) -> None:
    """Its table has no row ids; the statements are the same."""
    path = tmp_path / "old.db"
    with closing(connect(path)) as old:
        old.execute(
            "CREATE TABLE docs (path TEXT PRIMARY KEY, collection TEXT NOT NULL, data TEXT NOT NULL, "
            "version INTEGER NOT NULL, expire_at TEXT) WITHOUT ROWID"
        )
        prepare(old)
        old.execute("INSERT INTO docs VALUES ('calls/a', 'calls', '{\"n\": 1}', 1, NULL)")
        old.execute("UPDATE counter SET n = 1")
    store = EmbeddedStore(path)
    (found,) = await store.get("calls/a")
    assert found
    (version,) = await store.commit([Put("calls/a", {"n": 2}, found.version)])
    await store.commit([Create("calls/b", {"n": 3})])
    docs = await store.query(Query("calls"))
    assert [(doc.path, doc.data, doc.version == version) for doc in docs] == [
        ("calls/a", {"n": 2}, True),
        ("calls/b", {"n": 3}, False),
    ]
    await store.aclose()
