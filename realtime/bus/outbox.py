"""The embedded bus's memory: a queue in the SQLite file that the embedded store uses too (tables of its own).

Plain blocking calls, for the functions (which are threads anyway) and, through a worker thread, for the event loop.
Any number of processes may publish and dispatch: a message is claimed by a lease, and per ordering key only the
oldest message can be claimed, so order holds whoever dispatches.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from realtime.bus.envelope import encode
from realtime.bus.port import BusMessage, PublishFailed
from realtime.clock import Clock, iso, utcnow
from realtime.stores.embedded_sql import connect, prepare

_TABLES = (
    "CREATE TABLE IF NOT EXISTS bus_messages ("
    "n INTEGER PRIMARY KEY AUTOINCREMENT, ordering_key TEXT NOT NULL, data BLOB NOT NULL, attributes TEXT NOT NULL, "
    "published_at TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, "
    "lease TEXT, lease_until REAL NOT NULL DEFAULT 0)",
    "CREATE INDEX IF NOT EXISTS bus_messages_by_key ON bus_messages (ordering_key, n)",
    "CREATE TABLE IF NOT EXISTS bus_dead_letters ("
    "n INTEGER PRIMARY KEY, ordering_key TEXT NOT NULL, data BLOB NOT NULL, attributes TEXT NOT NULL, "
    "published_at TEXT NOT NULL, attempts INTEGER NOT NULL, why TEXT NOT NULL, died_at TEXT NOT NULL)",
)

# Only the oldest message of each key, if nobody works on it and its time has come.
_CLAIM = """
UPDATE bus_messages SET lease = :lease, lease_until = :until
WHERE n IN (
    SELECT n FROM bus_messages WHERE n IN (SELECT MIN(n) FROM bus_messages GROUP BY ordering_key)
    AND due <= :now AND lease_until <= :now ORDER BY n LIMIT :limit
)
RETURNING n, ordering_key, data, attributes, published_at, attempts
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """A claimed message. `attempts` counts the deliveries that have failed so far."""

    n: int
    ordering_key: str
    data: bytes
    attributes: dict[str, str]
    published_at: str
    attempts: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be delivered; kept as long as everything else, for somebody to deal with it."""

    n: int
    ordering_key: str
    data: bytes
    attempts: int
    why: str
    died_at: str


class Outbox:
    """The queue. Safe to use from several threads; open one per process and file."""

    def __init__(self, path: str | Path, *, clock: Clock = utcnow, retention_days: int = 30) -> None:
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._lock = threading.Lock()
        self._db = connect(Path(path))
        prepare(self._db)
        self._db.execute("PRAGMA synchronous = FULL")  # acknowledged means it survives a power cut
        with self._transaction() as db:
            for statement in _TABLES:
                db.execute(statement)

    def publish(self, message: BusMessage) -> None:
        """Returns when the message is on disk. Raises PublishFailed (TooLarge: for good)."""
        data, attributes = encode(message)
        row = (message.ordering_key, data, json.dumps(attributes), iso(self._clock()))
        statement = "INSERT INTO bus_messages (ordering_key, data, attributes, published_at) VALUES (?, ?, ?, ?)"
        try:
            with self._transaction() as db:
                db.execute(statement, row)
        except sqlite3.Error as error:
            raise PublishFailed(f"the embedded bus did not take {message.id}: {error}") from error

    def claim(self, lease: str, *, seconds: float, limit: int) -> list[Letter]:
        """At most `limit` messages that are due, leased for `seconds`, one per ordering key, oldest first."""
        now = self._now()
        with self._transaction() as db:
            values = {"lease": lease, "until": now + seconds, "now": now, "limit": limit}
            rows = db.execute(_CLAIM, values).fetchall()
        rows.sort()
        return [Letter(n, key, data, json.loads(attributes), at, tries) for n, key, data, attributes, at, tries in rows]

    def acknowledge(self, lease: str, n: int) -> None:
        """Delivered: forget it. Nothing happens if the lease has been lost in the meantime."""
        with self._transaction() as db:
            db.execute("DELETE FROM bus_messages WHERE n = ? AND lease = ?", (n, lease))

    def retry(self, lease: str, n: int, *, after: float) -> None:
        """Not delivered: let anyone try again `after` seconds from now."""
        with self._transaction() as db:
            db.execute(
                "UPDATE bus_messages SET attempts = attempts + 1, due = ?, lease = NULL, lease_until = 0 "
                "WHERE n = ? AND lease = ?",
                (self._now() + after, n, lease),
            )

    def release(self, lease: str) -> None:
        """Give back everything that this lease holds, without counting an attempt."""
        with self._transaction() as db:
            db.execute("UPDATE bus_messages SET lease = NULL, lease_until = 0 WHERE lease = ?", (lease,))

    def bury(self, lease: str, n: int, *, why: str) -> None:
        """Not deliverable: keep it aside, so that the messages behind it can go on."""
        with self._transaction() as db:
            moved = db.execute(
                "INSERT INTO bus_dead_letters "
                "SELECT n, ordering_key, data, attributes, published_at, attempts + 1, ?, ? "
                "FROM bus_messages WHERE n = ? AND lease = ?",
                (why, iso(self._clock()), n, lease),
            )
            if moved.rowcount:
                db.execute("DELETE FROM bus_messages WHERE n = ?", (n,))

    def purge(self) -> int:
        """Forget the undeliverable messages that have been kept long enough; how many."""
        with self._transaction() as db:
            gone = db.execute("DELETE FROM bus_dead_letters WHERE died_at < ?", (iso(self._clock() - self._retention),))
        return gone.rowcount

    def pending(self) -> int:
        """How many messages are not acknowledged yet."""
        with self._lock:
            row: tuple[int] = self._db.execute("SELECT COUNT(*) FROM bus_messages").fetchone()
        return row[0]

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The oldest undeliverable messages."""
        with self._lock:
            rows: list[tuple[Any, ...]] = self._db.execute(
                "SELECT n, ordering_key, data, attempts, why, died_at FROM bus_dead_letters ORDER BY n LIMIT ?",
                (limit,),
            ).fetchall()
        return [DeadLetter(*row) for row in rows]

    def dead_letter(self, n: int) -> DeadLetter | None:
        """One of them."""
        with self._lock:
            row: tuple[Any, ...] | None = self._db.execute(
                "SELECT n, ordering_key, data, attempts, why, died_at FROM bus_dead_letters WHERE n = ?", (n,)
            ).fetchone()
        return DeadLetter(*row) if row else None

    def forget_dead(self, n: int) -> None:
        """Somebody has dealt with it; no error if it is not there."""
        with self._transaction() as db:
            db.execute("DELETE FROM bus_dead_letters WHERE n = ?", (n,))

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._db.close()

    def _now(self) -> float:
        return self._clock().timestamp()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
