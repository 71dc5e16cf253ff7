"""The live lane between instances: what is being said in a call is shown wherever somebody watches it.

The instance that has the call writes one document, `calls/{id}/live/current`, with all that is being said at the
moment, at most twice a second and only while `interest/{id}` shows that an instance without the call has watchers. It
reads that seldom; who watches reads the document. No clock is compared with another: interest lives while its document
keeps changing. Nothing here is promised: the durable event that follows carries the whole text.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import token_hex
from typing import Any

from realtime.backoff import Random
from realtime.clock import Clock, iso, utcnow
from realtime.events import LiveType
from realtime.stores.port import DocumentStore, Put, StoreUnavailable, Write

log = logging.getLogger(__name__)

BATCH = 100
"""Documents of one request."""
KINDS: Mapping[str, LiveType] = {kind.value: kind for kind in LiveType}
KEPT = timedelta(days=1)
Show = Callable[[str, LiveType, Mapping[str, Any], str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `write`: between two writes or reads of a call that talks. `idle`: between two looks at one that does
    not. `look`: between two looks at who is interested. `beat`: between two signs of interest. `keep`: how long one
    counts. `own`: how long a call that said something here counts as this instance's."""

    write: float = 0.5
    idle: float = 2.0
    look: float = 3.0
    beat: float = 20.0
    keep: float = 50.0
    own: float = 10.0


@dataclass(slots=True)
class _Own:
    """A call whose moments happen here."""

    said_at: float
    texts: dict[str, dict[str, Any]] = field(default_factory=dict)
    n: int = 0
    written: int = 0
    interest: str = ""
    interest_at: float | None = None


@dataclass(slots=True)
class _Other:
    """A call that is watched here and happens elsewhere."""

    beat_at: float | None = None
    read_at: float = 0.0
    version: str = ""
    changed_at: float = 0.0
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)


class LiveLane:
    """One per instance. `show` tells those who watch here; `watched` are the calls they watch."""

    def __init__(
        self,
        store: DocumentStore,
        show: Show,
        watched: Callable[[], Sequence[str]],
        *,
        pace: Pace | None = None,
        clock: Clock = utcnow,
        rand: Random = random.random,
    ) -> None:
        self._store, self._show, self._watched = store, show, watched
        self._pace, self._clock, self._rand = pace or Pace(), clock, rand
        self._me = token_hex(8)
        self._own: dict[str, _Own] = {}
        self._others: dict[str, _Other] = {}
        self._look_at = 0.0

    def offer(self, call_id: str, type_: LiveType, data: Mapping[str, Any], ts: str) -> None:
        """A moment of a call that this instance has."""
        now = asyncio.get_running_loop().time()
        own = self._own.get(call_id)
        if own is None:
            own = self._own[call_id] = _Own(now)
        own.said_at, own.n = now, own.n + 1
        before = own.texts.get(type_.value, {})
        text, turn = str(data.get("text", "")), data.get("turn")
        if type_ is LiveType.AI_RESPONSE_CHUNK and turn == before.get("turn"):
            text = before["text"][: int(data.get("offset", 0))] + text
        own.texts[type_.value] = {"turn": turn, "text": text, "ts": ts}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._pace.write * (1 + self._rand() / 4))
            try:
                await self.round()
            except StoreUnavailable as error:
                log.debug("live_lane_waits", extra={"why": str(error)})
                await asyncio.sleep(self._pace.idle)

    async def round(self) -> None:
        """Write what is wanted elsewhere, and read what is wanted here. Raises StoreUnavailable."""
        now = asyncio.get_running_loop().time()
        for call_id in [id for id, own in self._own.items() if now - own.said_at > 12 * self._pace.own]:
            del self._own[call_id]
        if self._own:
            await self._write(now)
        await self._read(now)

    async def _write(self, now: float) -> None:
        if now >= self._look_at:
            self._look_at = now + self._pace.look
            for ids in _batches(list(self._own)):
                docs = await self._store.get(*(f"interest/{id}" for id in ids))
                for id, doc in zip(ids, docs, strict=True):
                    own = self._own.get(id)
                    if own is not None and doc is not None and doc.version != own.interest:
                        own.interest, own.interest_at = doc.version, now
        fresh = [
            (id, own)
            for id, own in self._own.items()
            if own.interest_at is not None and now - own.interest_at < self._pace.keep and own.written < own.n
        ]
        for some in _batches(fresh):
            await self._store.commit([Put(f"calls/{id}/live/current", self._state(own)) for id, own in some])
            for _, own in some:
                own.written = own.n

    def _state(self, own: _Own) -> dict[str, Any]:
        return {"by": self._me, "n": own.n, "texts": dict(own.texts), "expire_at": iso(self._clock() + KEPT)}

    async def _read(self, now: float) -> None:
        elsewhere = [
            id for id in self._watched() if id not in self._own or now - self._own[id].said_at > self._pace.own
        ]
        self._others = {id: self._others.get(id) or _Other() for id in elsewhere}
        await self._beat(now)
        due = [id for id, other in self._others.items() if now >= other.read_at]
        for ids in _batches(due):
            docs = await self._store.get(*(f"calls/{id}/live/current" for id in ids))
            for id, doc in zip(ids, docs, strict=True):
                other = self._others.get(id)
                if other is None:
                    continue
                if doc is not None and doc.version != other.version:
                    other.version, other.changed_at = doc.version, now
                    if doc.data.get("by") != self._me:
                        self._told(id, other, doc.data)
                talks = now - other.changed_at < self._pace.own
                other.read_at = now + (0 if talks else self._pace.idle)

    async def _beat(self, now: float) -> None:
        """Say that somebody watches here."""
        silent = [id for id, one in self._others.items() if one.beat_at is None or now - one.beat_at > self._pace.beat]
        for ids in _batches(silent):
            data = {"by": self._me, "beat": token_hex(4), "expire_at": iso(self._clock() + KEPT)}
            writes: list[Write] = [Put(f"interest/{id}", data) for id in ids]
            await self._store.commit(writes)
            for id in ids:
                if id in self._others:
                    self._others[id].beat_at = now

    def _told(self, call_id: str, other: _Other, data: Mapping[str, Any]) -> None:
        """A document that cannot be read shows nothing, and keeps no other call from being shown."""
        try:
            self._tell(call_id, other, data["texts"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            log.warning("live_lane_quarantined", extra={"call_id": call_id, "why": type(error).__name__})

    def _tell(self, call_id: str, other: _Other, texts: Mapping[str, Mapping[str, Any]]) -> None:
        """What is new in the texts; of a reply that has grown, the rest."""
        for kind, said in texts.items():
            before = other.shown.get(kind)
            if said == before or kind not in KINDS:
                continue
            data: dict[str, Any] = {"turn": said["turn"], "text": said["text"]}
            if kind == LiveType.AI_RESPONSE_CHUNK:
                known = before["text"] if before and before["turn"] == said["turn"] else ""
                offset = len(known) if said["text"].startswith(known) else 0
                data |= {"offset": offset, "text": said["text"][offset:]}
            other.shown[kind] = dict(said)
            self._show(call_id, KINDS[kind], data, said["ts"])


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
