"""The feed of heads of the embedded store: asks SQLite whether anything was written, and if so which calls changed.

`PRAGMA data_version` costs microseconds and changes with every commit of any other connection, in this process or
another. The thread that asks lives only while the feed runs.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from realtime import json_text
from realtime.stores.embedded_sql import connect
from realtime.stores.port import FeedState

log = logging.getLogger(__name__)

POLL = 0.04
"""Seconds between two looks."""
RETRY = 1.0
"""Seconds before the file is opened again after an error."""
_CHANGED = "SELECT data, version FROM docs WHERE collection = 'calls' AND version > ? ORDER BY version"

Head = Mapping[str, Any]


class EmbeddedHeadFeed:
    """`HeadFeed` over the SQLite file at `path`."""

    def __init__(self, path: Path, *, poll: float = POLL, retry: float = RETRY) -> None:
        self._path = path
        self._poll = poll
        self._retry = retry

    async def run(self, on_head: Callable[[Head], None], on_state: Callable[[FeedState], None]) -> None:
        """All active heads first, then those that changed, until cancelled."""
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        batches: asyncio.Queue[list[Head] | FeedState] = asyncio.Queue(maxsize=1)
        taken = threading.Semaphore(0)

        def hand_over(item: list[Head] | FeedState) -> None:
            """From the thread: give it to the loop and wait until it was taken, so that nothing piles up."""
            if stop.is_set():
                return  # nobody takes it any more, and what was handed over last may still lie in the queue
            loop.call_soon_threadsafe(batches.put_nowait, item)
            while not taken.acquire(timeout=0.5):
                if stop.is_set():
                    return

        watcher = threading.Thread(target=self._watch, args=(stop, hand_over), name="store-feed", daemon=True)
        on_state(FeedState.CONNECTING)
        watcher.start()
        try:
            while True:
                item = await batches.get()
                if isinstance(item, FeedState):
                    on_state(item)
                else:
                    for head in item:
                        on_head(head)
                taken.release()
        finally:
            stop.set()
            taken.release()
            await asyncio.shield(asyncio.to_thread(watcher.join))

    def _watch(self, stop: threading.Event, hand_over: Callable[[list[Head] | FeedState], None]) -> None:
        """The thread. Starts over from all active heads after an error, so that nothing is missed."""
        while not stop.is_set():
            try:
                with closing(connect(self._path)) as connection:
                    self._follow(connection, stop, hand_over)
            except sqlite3.Error as error:
                log.warning("feed_degraded", extra={"error": str(error)})
                hand_over(FeedState.DEGRADED)
                stop.wait(self._retry)

    def _follow(
        self,
        connection: sqlite3.Connection,
        stop: threading.Event,
        hand_over: Callable[[list[Head] | FeedState], None],
    ) -> None:
        seen_data, seen_version, live = -1, 0, False
        while not stop.is_set():
            # Asked before the heads are read: what is written in between is found by the next look.
            data_version: int = connection.execute("PRAGMA data_version").fetchone()[0]
            if data_version != seen_data:
                seen_data = data_version
                heads, seen_version = _changed(connection, seen_version)
                if heads:
                    hand_over(heads)
            if not live:
                live = True
                hand_over(FeedState.LIVE)
            stop.wait(self._poll)


def _changed(connection: sqlite3.Connection, since: int) -> tuple[list[Head], int]:
    """The active heads written after version `since`, and the version to go on from."""
    heads = []
    for text, version in connection.execute(_CHANGED, (since,)):
        since = version
        head = json_text.decode(text)
        if head.get("active") is True:
            heads.append(head)
    return heads, since
