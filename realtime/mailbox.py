"""What the hub delivers to, and the plain form of it: an async iterator over a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from realtime.call import Call
from realtime.events import Event, EventType, LiveEvent, LiveType
from realtime.subscription import START, Cursor, Ended

CHUNK_CHARACTERS = 8192
"""How much unread response text is kept together before the older part is dropped."""

SAYS = {
    EventType.FINAL_TRANSCRIPT: LiveType.PARTIAL_TRANSCRIPT,
    EventType.AI_RESPONSE_COMPLETE: LiveType.AI_RESPONSE_CHUNK,
}
"""The durable event that carries the whole of what moments have shown."""


class Mailbox(Protocol):
    """Whom the hub delivers to: for the call that `key` names, or for all (`*`) of `org`. Nothing here may wait."""

    key: str
    org: str
    reason: Ended | None

    def start(self, call: Call | None) -> Cursor:
        """The store has been asked for the call (None: there is none yet): where to begin."""

    def found(self, heads: list[Mapping[str, Any]]) -> None:
        """What the store said at the start."""

    def put(self, events: Sequence[Event], *, replayed_to: int) -> bool:
        """These events of one call, in order; up to `replayed_to` they are old. False if it is over."""

    def put_live(self, event: LiveEvent) -> None:
        """A moment."""

    def jumped(self, head: Mapping[str, Any]) -> None:
        """`*`: the journal of this call cannot be told from where it was; it goes on after this head."""

    def end(self, reason: Ended) -> None:
        """No more will come."""


class Subscription:
    """`async for item in subscription`: durable events (each once, in order per call) and, when none waits, live
    ones (the latest of each kind per call). Ends by itself; `reason` then says why. One reader at a time.

    `limit` bounds the durable events that happened since the start and wait to be read: a reader who falls further
    behind is closed with `Ended.SLOW` and comes back with a cursor. What is replayed does not count; it is shared.
    """

    def __init__(self, key: str, org: str, *, limit: int, on_close: Callable[[Subscription], None]) -> None:
        self.key = key
        self.org = org
        self.reason: Ended | None = None
        self._limit = limit
        self._on_close = on_close
        self._events: deque[tuple[Event, bool]] = deque()
        self._counted = 0
        self._live: dict[tuple[str, LiveType], LiveEvent] = {}
        self._wake = asyncio.Event()
        self._found: asyncio.Future[list[Mapping[str, Any]]] = asyncio.get_running_loop().create_future()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event | LiveEvent:
        while True:
            if self._events:
                event, counted = self._events.popleft()
                self._counted -= counted
                return event
            if self.reason is not None:
                raise StopAsyncIteration
            if self._live:
                return self._live.pop(next(iter(self._live)))
            self._wake.clear()
            await self._wake.wait()

    async def heads(self) -> list[Mapping[str, Any]]:
        """The heads this subscription starts from, as soon as the store has been asked: of all active calls for `*`,
        of the one call, or none if it does not exist yet. What happens after them is what is delivered, unless a
        replay was asked for."""
        return await asyncio.shield(self._found)

    async def aclose(self) -> None:
        """Leave; nothing more is delivered. Safe to call twice."""
        self._events.clear()
        if self.reason is None:
            self.end(Ended.CLOSED)
            self._on_close(self)

    # What follows is for the hub.

    def start(self, call: Call | None) -> Cursor:
        """From now on: after what there is."""
        return Cursor(call.seq, call.epoch) if call else START

    def found(self, heads: list[Mapping[str, Any]]) -> None:
        """What the store said at the start."""
        if not self._found.done():
            self._found.set_result(heads)

    def put(self, events: Sequence[Event], *, replayed_to: int) -> bool:
        """Queue these events; up to `replayed_to` they are old. False if the reader is too slow (it is now closed)."""
        for event in events:
            counted = event.seq > replayed_to
            self._counted += counted
            self._events.append((event, counted))
            self._forget_live(event)
        if self._counted > self._limit:
            self._events.clear()
            self.end(Ended.SLOW)
            return False
        self._wake.set()
        return True

    def put_live(self, event: LiveEvent) -> None:
        """Show this moment, instead of an older one of its kind that has not been read yet."""
        slot = (event.call_id, event.type)
        waiting = self._live.pop(slot, None)
        self._live[slot] = merged(waiting, event) if waiting else event
        self._wake.set()

    def jumped(self, head: Mapping[str, Any]) -> None:
        """Not told: what comes has its `seq`."""

    def end(self, reason: Ended) -> None:
        """No more will come; what is queued can still be read."""
        self.reason = self.reason or reason
        self._live.clear()
        self.found([])
        self._wake.set()

    def _forget_live(self, event: Event) -> None:
        """The durable event carries the whole text: an older moment of the same turn must not come after it."""
        kind = SAYS.get(event.type)
        waiting = self._live.get((event.call_id, kind)) if kind else None
        if waiting and kind and waiting.data.get("turn", 0) <= event.data.get("turn", 0):
            del self._live[event.call_id, kind]


def merged(older: LiveEvent, newer: LiveEvent, *, keep: int | None = CHUNK_CHARACTERS) -> LiveEvent:
    """Two pieces of one response that lie side by side become one, of `keep` characters at most; of anything else the
    newer is kept."""
    if newer.type is not LiveType.AI_RESPONSE_CHUNK or older.data.get("turn") != newer.data.get("turn"):
        return newer
    before: str = older.data["text"]
    if older.data["offset"] + len(before) != newer.data["offset"] or (keep is not None and len(before) > keep):
        return newer
    return replace(newer, data={**newer.data, "offset": older.data["offset"], "text": before + newer.data["text"]})
