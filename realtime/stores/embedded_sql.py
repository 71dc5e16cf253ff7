"""The SQL of the embedded store: its tables, its connections, and queries put into words."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from realtime.stores.port import Query

BUSY_MS = 5_000
"""How long SQLite waits for another process's lock before it gives up."""

WAL_PAGES = 4_000
"""From how many on (16 MB) the log is copied into the file: heads of calls are written again and again, and this way
each page of theirs is copied, and waited for, a quarter as often as by default."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS docs ("
    "path TEXT PRIMARY KEY, collection TEXT NOT NULL, data TEXT NOT NULL, version INTEGER NOT NULL, "
    "expire_at TEXT)",  # with row ids: a head is three pages long, and has no place in a key's tree
    "CREATE INDEX IF NOT EXISTS docs_changes ON docs (collection, version)",
    "CREATE INDEX IF NOT EXISTS docs_expiry ON docs (expire_at) WHERE expire_at IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO counter (id, n) VALUES (1, 0)",
)
_OPERATORS = frozenset(("==", "<", "<=", ">", ">="))


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit (transactions are spelled out), to be used by one thread at a time. The file, which
    holds what callers have said, is for this user alone, as is its folder if it has to be made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_private(path)
    if path.exists() and path.stat().st_mode & 0o077:
        path.chmod(0o600)  # made by an older release; SQLite gives the files beside it the mode of this one
    connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    return connection


def _make_private(path: Path) -> None:
    """Make the file, empty and for this user alone, if it is not there. It is made and closed under another name and
    then linked: to close the database file itself, however briefly it was open, would cancel the locks that any other
    connection of this process holds on it (POSIX; see SQLite's "How To Corrupt An SQLite Database File")."""
    if path.exists():
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    os.close(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        os.link(aside, path)
    except FileExistsError:
        return  # another one was faster
    finally:
        aside.unlink()


def prepare(connection: sqlite3.Connection) -> None:
    """Turn WAL on and create what is missing. Several processes may do so at once."""
    _turn_wal_on(connection)
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("COMMIT")


def _turn_wal_on(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for a lock here, so that two processes that start together would trip over each other."""
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def compile_query(query: Query) -> tuple[str, list[Any]]:
    """The statement and its values, giving rows of (path, data, version). As in Firestore, a comparison holds only
    between values of one kind, and ordering by a field leaves out documents that do not have it."""
    words = ["SELECT path, data, version FROM docs WHERE collection = ?"]
    values: list[Any] = [query.collection]
    for name, operator, value in query.where:
        _condition(words, values, name, operator, value)
    direction = "DESC" if query.descending else "ASC"
    if query.order_by is not None:
        if query.after is not None:
            _condition(words, values, query.order_by, "<" if query.descending else ">", query.after)
        words.append("AND json_type(data, ?) IS NOT NULL ORDER BY json_extract(data, ?)")
        values += [_at(query.order_by), _at(query.order_by)]
        words.append(f"{direction},")
    else:
        if query.after is not None:
            words.append(f"AND path {'<' if query.descending else '>'} ?")
            values.append(query.after)
        words.append("ORDER BY")
    words.append(f"path {direction} LIMIT ?")
    values.append(query.limit)
    return " ".join(words), values


def _condition(words: list[str], values: list[Any], name: str, operator: str, value: Any) -> None:
    if operator not in _OPERATORS:
        raise ValueError(f"{operator!r} is not an operator of a query")
    kinds = _kinds(value)
    words.append(f"AND json_type(data, ?) IN ({', '.join('?' * len(kinds))})")
    values += [_at(name), *kinds]
    if value is not None:
        words.append(f"AND json_extract(data, ?) {'=' if operator == '==' else operator} ?")
        values += [_at(name), value]


def _kinds(value: Any) -> tuple[str, ...]:
    """The kinds of JSON value that `value` can be compared with."""
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("true", "false")
    if isinstance(value, int | float):
        return ("integer", "real")
    if isinstance(value, str):
        return ("text",)
    raise ValueError(f"{value!r} cannot be compared with in a query")


def _at(name: str) -> str:
    if '"' in name:
        raise ValueError(f"{name!r} is not the name of a field")
    return f'$."{name}"'
