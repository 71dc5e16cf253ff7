"""The document store of a laptop: SQLite, one file, several processes.

Documents are JSON text. `version` is the value of one counter that every commit moves on, so it is also the change
number that the feed of heads reads by. One writer thread takes what is pending and commits it as a group (each
commit in a savepoint of its own), so that many callers pay for one transaction. WAL with `synchronous=NORMAL`: a
killed process loses nothing that was acknowledged; a power cut may lose the last moments, never tear them.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from realtime import json_text
from realtime.clock import Clock, iso, utcnow
from realtime.paths import check_document
from realtime.stores.embedded_feed import EmbeddedHeadFeed
from realtime.stores.embedded_sql import compile_query, connect, prepare
from realtime.stores.port import Conflict, Create, Delete, Doc, HeadFeed, Put, Query, StoreUnavailable, Write

log = logging.getLogger(__name__)

DEADLINE = 10.0
"""Seconds a call waits before it gives up; longer than SQLite's own wait for another process's lock."""
PENDING = 1024
"""Commits that may wait; more means that the disk does not keep up."""
GROUP = 128
"""Commits that share one transaction."""
MAX_DOCUMENT = 1_000_000
"""Bytes of JSON in a document; what Firestore takes is 1 MiB, and the two stores take the same documents."""
PURGE_EVERY = timedelta(minutes=10)
"""How often the writer looks for what has expired, while it is writing."""

_CREATE = "INSERT INTO docs (path, collection, data, version, expire_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_SET = (
    "INSERT INTO docs (path, collection, data, version, expire_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (path) "
    "DO UPDATE SET data = excluded.data, version = excluded.version, expire_at = excluded.expire_at"
)
_CHANGE = "UPDATE docs SET data = ?, version = ?, expire_at = ? WHERE path = ? AND version = ?"
_REMOVE = "DELETE FROM docs WHERE path = ? AND version = ?"

Result = TypeVar("Result")
_Outcome = list[str] | Exception


class _Job:
    """A commit under way, and who waits for it. A future of threads, wrapped into one of the loop's, does the same with
    a lock and two more callbacks for each commit."""

    __slots__ = ("_done", "_loop", "writes")

    def __init__(self, writes: Sequence[Write], loop: asyncio.AbstractEventLoop) -> None:
        self.writes = tuple(writes)
        self._loop = loop
        self._done: asyncio.Future[list[str]] = loop.create_future()

    @property
    def wanted(self) -> bool:
        """Does somebody still wait for it?"""
        return not self._done.done()

    def tell(self, outcome: _Outcome) -> None:
        """From the writer's thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, outcome)

    async def outcome(self, seconds: float) -> list[str]:
        """Raises TimeoutError, or what it failed with."""
        late = self._loop.call_later(seconds, self._settle, TimeoutError())
        try:
            return await self._done
        finally:
            late.cancel()

    def _settle(self, outcome: _Outcome) -> None:
        if self._done.done():
            return
        if isinstance(outcome, Exception):
            self._done.set_exception(outcome)
        else:
            self._done.set_result(outcome)


class EmbeddedStore:
    """`DocumentStore` in the SQLite file at `path`, which is created with its folder. Usable from any event loop."""

    def __init__(self, path: Path | str, *, clock: Clock = utcnow) -> None:
        """Opens the file; `clock` says what has expired. Raises StoreUnavailable when it is not to be opened."""
        self.path = Path(path)
        try:
            writer = connect(self.path)
            prepare(writer)
            self._reads = connect(self.path)
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(f"cannot open {self.path}: {error}") from error
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="store-read")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(
            target=_write_loop, args=(writer, self._jobs, clock), name="store-write", daemon=True
        )
        self._writer.start()

    async def get(self, *paths: str) -> list[Doc | None]:
        """The documents at these paths, in this order, None where there is none."""
        return await self._read(lambda: [_fetch(self._reads, path) for path in paths])

    async def query(self, query: Query) -> list[Doc]:
        """At most `limit` documents."""
        sql, values = compile_query(query)
        return await self._read(lambda: [_doc(row) for row in self._reads.execute(sql, values)])

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        """All or nothing. Raises Conflict; StoreUnavailable; ValueError for a document that is too large."""
        self._require_open()
        if self._jobs.qsize() >= PENDING:
            raise StoreUnavailable(f"{PENDING} commits are waiting for {self.path}")
        job = _Job(writes, asyncio.get_running_loop())
        self._jobs.put(job)
        with self._told():
            return await job.outcome(DEADLINE)

    def feed(self) -> HeadFeed:
        """A feed of `calls/*` where `active == true`, with a connection and a thread of its own while it runs."""
        return EmbeddedHeadFeed(self.path)

    async def aclose(self) -> None:
        """Write what is pending, then close the file; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._jobs.put(None)
        self._writer.join()
        self._readers.shutdown()
        self._reads.close()

    async def _read(self, work: Callable[[], Result]) -> Result:
        self._require_open()
        with self._told():
            async with asyncio.timeout(DEADLINE):
                return await asyncio.wrap_future(self._readers.submit(work))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong, as StoreUnavailable."""
        try:
            yield
        except TimeoutError:
            raise StoreUnavailable(f"{self.path} did not answer in {DEADLINE} s") from None
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self.path}: {error}") from error

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self.path} is closed")


def _write_loop(connection: sqlite3.Connection, jobs: queue.SimpleQueue[_Job | None], clock: Clock) -> None:
    """The writer thread: takes all that is pending, commits it together, tells each caller its own outcome."""
    purge_at: datetime | None = None
    closing = False
    while not closing:
        group, closing = _take(jobs)
        if group:
            _commit_group(connection, group)
        now = clock()
        if purge_at is None or now >= purge_at:
            purge_at = now + PURGE_EVERY
            _purge(connection, iso(now))
    connection.close()


def _take(jobs: queue.SimpleQueue[_Job | None]) -> tuple[list[_Job], bool]:
    """Wait for work, then take all there is; True with the last of it."""
    group: list[_Job] = []
    job = jobs.get()
    while job is not None:
        if job.wanted:
            group.append(job)
        if len(group) >= GROUP:
            return group, False
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            return group, False
    return group, True


def _purge(connection: sqlite3.Connection, now: str) -> None:
    """Delete what has expired, as Firestore's TTL does."""
    try:
        connection.execute("DELETE FROM docs WHERE expire_at < ?", (now,))
    except sqlite3.Error as error:
        log.warning("purge_failed", extra={"error": str(error)})


def _commit_group(connection: sqlite3.Connection, group: Sequence[_Job]) -> None:
    outcomes: list[_Outcome] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        if len(group) == 1:
            outcomes.append(_alone(connection, group[0].writes))
        else:
            outcomes.extend(_attempt(connection, job.writes) for job in group)
        if connection.in_transaction:
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        outcomes = [error] * len(group)
    for job, outcome in zip(group, outcomes, strict=True):
        job.tell(outcome)


def _alone(connection: sqlite3.Connection, writes: Sequence[Write]) -> _Outcome:
    """The only commit of its group: the transaction is its own, and undone when its precondition does not hold."""
    try:
        return _applied(connection, writes)
    except sqlite3.Error:
        raise
    except Exception as refusal:  # a conflict, or a document that is not JSON
        connection.execute("ROLLBACK")
        return refusal


def _attempt(connection: sqlite3.Connection, writes: Sequence[Write]) -> _Outcome:
    """One caller's commit among others, undone alone when its precondition does not hold."""
    connection.execute("SAVEPOINT one")
    try:
        versions = _applied(connection, writes)
    except sqlite3.Error:
        raise
    except Exception as refusal:
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return refusal
    connection.execute("RELEASE one")
    return versions


def _applied(connection: sqlite3.Connection, writes: Sequence[Write]) -> list[str]:
    row = connection.execute("UPDATE counter SET n = n + 1 RETURNING n").fetchone()
    return [_apply(connection, write, row[0]) for write in writes]


def _apply(connection: sqlite3.Connection, write: Write, version: int) -> str:
    """One statement each: whether the precondition held is told by how many rows it changed."""
    if isinstance(write, Delete):
        _delete(connection, write)
        return ""
    check_document(write.path)
    encoded = json_text.encode(write.data)
    if len(encoded) > MAX_DOCUMENT:
        raise ValueError(f"{write.path} is larger than {MAX_DOCUMENT} bytes")
    text = encoded.decode()
    expiry = write.data.get("expire_at")
    if isinstance(write, Put) and write.version is not None:
        values = (text, version, expiry, write.path, _known(write.version))
        if not connection.execute(_CHANGE, values).rowcount:
            raise Conflict(f"{write.path} is not at version {write.version}")
        return str(version)
    statement = _CREATE if isinstance(write, Create) else _SET
    if not connection.execute(statement, (write.path, write.path.rpartition("/")[0], text, version, expiry)).rowcount:
        raise Conflict(f"{write.path} exists already")
    return str(version)


def _delete(connection: sqlite3.Connection, write: Delete) -> None:
    if write.version is None:
        connection.execute("DELETE FROM docs WHERE path = ?", (write.path,))
    elif not connection.execute(_REMOVE, (write.path, _known(write.version))).rowcount:
        raise Conflict(f"{write.path} is not at version {write.version}")


def _known(version: str) -> int:
    """A version as it is stored; one that was never ours (0 is not used) is at no document."""
    return int(version) if version.isdecimal() and version.isascii() and len(version) < 19 else 0


def _fetch(connection: sqlite3.Connection, path: str) -> Doc | None:
    row = connection.execute("SELECT path, data, version FROM docs WHERE path = ?", (path,)).fetchone()
    return _doc(row) if row else None


def _doc(row: tuple[str, str, int]) -> Doc:
    path, text, version = row
    return Doc(path, json_text.decode(text), str(version))
