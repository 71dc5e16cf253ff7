"""Appends to the embedded journal, against bare inserts of the same bytes into SQLite with the same settings."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from realtime.call import Call
from realtime.clock import iso, utcnow
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.embedded_sql import connect

APPENDS = 500


async def appends() -> dict[str, Any]:
    """Appends a second; `ratio` over the floor."""
    with tempfile.TemporaryDirectory() as folder:
        bare = _bare(Path(folder) / "bare.db")
        store = EmbeddedStore(Path(folder) / "callboard.db")
        journal = Journal(store)
        await journal.open(Call(call_id="CA1"))
        began = time.perf_counter()
        for n in range(APPENDS):
            data = {"turn": n, "speaker": "user", "text": "x" * 100, "confidence": None}
            await journal.append("CA1", [Draft(EventType.FINAL_TRANSCRIPT, data, f"said:{n}", iso(utcnow()))])
        ours = APPENDS / (time.perf_counter() - began)
        await store.aclose()
    return {"bare_per_second": round(bare), "callboard_per_second": round(ours), "ratio": round(ours / bare, 3)}


def _bare(path: Path) -> float:
    """One transaction for each event, which writes what an append writes: event, key and head."""
    connection: sqlite3.Connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS floor (path TEXT PRIMARY KEY, data TEXT)")
    head = json.dumps({"call_id": "CA1", "tail": ["x" * 250] * 8})
    began = time.perf_counter()
    for n in range(APPENDS):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO floor VALUES (?, ?)", (f"events/{n:08d}", "x" * 250))
        connection.execute("INSERT INTO floor VALUES (?, ?)", (f"idem/{n:08d}", "x" * 80))
        connection.execute("INSERT OR REPLACE INTO floor VALUES ('head', ?)", (head,))
        connection.execute("COMMIT")
    rate = APPENDS / (time.perf_counter() - began)
    connection.close()
    return rate
