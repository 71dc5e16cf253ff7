"""A journal and a feed in memory for the hub: what is read is counted, and can be made to fail or to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from realtime.call import Call, Status
from realtime.events import Event, EventType
from realtime.hub import Hub
from realtime.stores.port import FeedState, StoreUnavailable

TS = "2026-11-20T10:00:00.000Z"


class Memory:
    """Calls and their logs; `tail` is how much of the log a head carries."""

    def __init__(self, tail: int = 8) -> None:
        self.tail = tail
        self.heads: dict[str, Call] = {}
        self.logs: dict[str, list[Event]] = {}
        self.records: dict[str, Mapping[str, Any]] = {}
        self.reads: list[tuple[str, int]] = []
        self.outage = 0
        self.before_find: Callable[[str], None] = lambda _key: None
        self.before_active: Callable[[], None] = lambda: None

    def open(self, call: Call) -> Call:
        self.logs[call.call_id] = []
        return self._put(replace(call, epoch="e1"))

    def add(self, call_id: str, *types: EventType, data: Mapping[str, Any] | None = None, **change: Any) -> Call:
        log = self.logs[call_id]
        for type in types:
            log.append(Event(call_id, "e1", len(log) + 1, type, TS, data or {}))
        return self._put(replace(self.heads[call_id], **change))

    def complete(self, call_id: str, record: Mapping[str, Any], *, pointer: bool = False) -> Call:
        self.records[call_id] = record
        self.add(call_id, EventType.CALL_STATUS, data={"status": "completed"})
        data = {"ref": {"path": "x", "parts": 1}} if pointer else {"call_data": record}
        return self.add(call_id, EventType.CALL_COMPLETED, data=data, status=Status.COMPLETED)

    def _put(self, call: Call) -> Call:
        log = self.logs[call.call_id]
        tail = tuple(event.to_dict() for event in log[len(log) - self.tail :]) if self.tail else ()
        head = self.heads[call.call_id] = replace(call, seq=len(log), tail=tail)
        return head

    def _available(self) -> None:
        if self.outage:
            self.outage -= 1
            raise StoreUnavailable("away")

    async def find(self, any_id: str) -> Call | None:
        self._available()
        found = next((call for call in self.heads.values() if any_id in call.aliases), None)
        await asyncio.sleep(0)
        self.before_find(any_id)
        return found

    async def active(self, *, org: str) -> list[Call]:
        self._available()
        found = [call for call in self.heads.values() if call.active and call.org == org]
        await asyncio.sleep(0)
        self.before_active()
        return found

    async def events(self, call_id: str, after: int = 0, limit: int = 500) -> list[Event]:
        self._available()
        self.reads.append((call_id, after))
        await asyncio.sleep(0)
        return self.logs[call_id][after : after + limit]

    async def call_data(self, event: Event) -> Mapping[str, Any]:
        return self.records[event.call_id]


class Feed:
    """A feed that says what the test says, and counts how often it was started."""

    def __init__(self) -> None:
        self.starts = 0
        self.running = 0

    async def run(self, on_head: Callable[[Mapping[str, Any]], None], on_state: Callable[[FeedState], None]) -> None:
        self.starts += 1
        self.running += 1
        on_state(FeedState.LIVE)
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1


@asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[Hub]:
    task = asyncio.create_task(hub.run())
    try:
        yield hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settle(turns: int = 30) -> None:
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)
