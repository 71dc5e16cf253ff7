"""The queue of a machine without Google Cloud: tasks in the SQLite file of store and bus (a table of its own).

Any number of processes may enqueue and dispatch; a task is claimed by a lease. What is over keeps its name alone, so
that nothing comes twice, and no number or token stays behind.
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

from realtime.clock import Clock, utcnow
from realtime.queue.port import QueueUnavailable, Task
from realtime.stores.embedded_sql import connect, prepare

NAMES_KEPT = timedelta(days=7)
"""For how long a name cannot be used again. Cloud Tasks keeps it for an hour at least."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS queue_tasks ("
    "name TEXT PRIMARY KEY, state TEXT NOT NULL, url TEXT, body TEXT, headers TEXT, due REAL NOT NULL, "
    "until REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, lease TEXT, lease_until REAL NOT NULL DEFAULT 0, "
    "why TEXT, ended REAL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS queue_tasks_due ON queue_tasks (state, due)",
)
_CLAIM = """
UPDATE queue_tasks SET lease = :lease, lease_until = :lease_until
WHERE name = (
    SELECT name FROM queue_tasks WHERE state = 'waiting' AND due <= :now AND lease_until <= :now
    ORDER BY due, name LIMIT 1
)
RETURNING name, url, body, headers, until, attempts
"""
_END = """
UPDATE queue_tasks SET state = ?, why = ?, ended = ?, lease = NULL, url = NULL, body = NULL, headers = NULL
WHERE name = ? AND state = 'waiting' AND lease IS ?
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task to be made now. `body` and `headers` are JSON text, `until` POSIX seconds, `attempts` failed so far."""

    name: str
    url: str
    body: str
    headers: str
    until: float
    attempts: int


class EmbeddedQueue:
    """`TaskQueue` in the SQLite file at `path`. Safe to use from several threads."""

    def __init__(self, path: str | Path, *, clock: Clock = utcnow) -> None:
        """Raises QueueUnavailable when the file is not to be opened."""
        self._clock = clock
        self._lock = threading.Lock()
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(Path(path))
            prepare(self._db)
            self._db.execute("PRAGMA synchronous = FULL")
            with self._transaction() as db:
                for statement in _TABLES:
                    db.execute(statement)
        except (OSError, sqlite3.Error) as error:
            raise QueueUnavailable(f"the queue at {path} cannot be opened: {error}") from error

    def enqueue(self, task: Task) -> bool:
        """See `TaskQueue`."""
        body = json.dumps(dict(task.body), ensure_ascii=False, allow_nan=False)
        row = (task.name, task.url, body, json.dumps(dict(task.headers)), task.at.timestamp(), task.until.timestamp())
        try:
            with self._transaction() as db:
                db.execute("DELETE FROM queue_tasks WHERE ended < ?", (self._now() - NAMES_KEPT.total_seconds(),))
                added = db.execute(
                    "INSERT OR IGNORE INTO queue_tasks (name, state, url, body, headers, due, until) "
                    "VALUES (?, 'waiting', ?, ?, ?, ?, ?)",
                    row,
                )
        except sqlite3.Error as error:
            raise QueueUnavailable(f"the embedded queue did not take {task.name}: {error}") from error
        return added.rowcount == 1

    def withdraw(self, name: str) -> bool:
        """See `TaskQueue`. A task that failed and waits for its next try may have had its effect: it is
        under way. Withdrawing twice is no error."""
        try:
            with self._transaction() as db:
                gone = db.execute(
                    "UPDATE queue_tasks SET state = 'withdrawn', ended = ?, url = NULL, body = NULL, headers = NULL "
                    "WHERE name = ? AND state IN ('waiting', 'withdrawn') AND attempts = 0 AND lease IS NULL",
                    (self._now(), name),
                )
        except sqlite3.Error as error:
            raise QueueUnavailable(f"the embedded queue did not withdraw {name}: {error}") from error
        return gone.rowcount == 1

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._db.close()

    # -- for the dispatcher (sqlite3.Error goes to it as it is) -----------------------------------------------------

    def claim(self, lease: str, *, seconds: float) -> Claimed | None:
        """The task that has been due for longest, leased for `seconds`; None when nothing is due."""
        now = self._now()
        with self._transaction() as db:
            row = db.execute(_CLAIM, {"lease": lease, "lease_until": now + seconds, "now": now}).fetchone()
        return Claimed(*row) if row else None

    def done(self, lease: str, name: str) -> None:
        """It was made. Nothing happens if the lease has been lost in the meantime."""
        self._end(lease, name, "done", None)

    def bury(self, lease: str, name: str, *, why: str) -> None:
        """It cannot be made: a dead letter, of which the name and the reason are kept."""
        self._end(lease, name, "dead", why)

    def retry(self, lease: str, name: str, *, after: float) -> None:
        """It failed: let anyone try again `after` seconds from now."""
        with self._transaction() as db:
            db.execute(
                "UPDATE queue_tasks SET attempts = attempts + 1, due = ?, lease = NULL, lease_until = 0 "
                "WHERE name = ? AND lease = ? AND state = 'waiting'",
                (self._now() + after, name, lease),
            )

    # -- for people and tests --------------------------------------------------------------------------------------

    def waiting(self) -> list[str]:
        """The names of what is still to be made, soonest first."""
        rows = self._all("SELECT name, '' FROM queue_tasks WHERE state = 'waiting' ORDER BY due, name")
        return [name for name, _ in rows]

    def dead_letters(self) -> dict[str, str]:
        """Name -> why, of what could not be made."""
        return dict(self._all("SELECT name, why FROM queue_tasks WHERE state = 'dead' ORDER BY ended"))

    def _all(self, sql: str) -> list[tuple[str, str]]:
        with self._lock:
            rows: list[tuple[str, str]] = self._db.execute(sql).fetchall()
        return rows

    def _end(self, lease: str, name: str, state: str, why: str | None) -> None:
        with self._transaction() as db:
            db.execute(_END, (state, why, self._now(), name, lease))

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
