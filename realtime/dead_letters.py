"""News that could not be applied, kept until somebody has looked at it or it has expired.

    dead_letters/{name}                {why, news, source, type, keys, parts, received_at, expire_at}
    dead_letters/{name}/parts/{n:04d}  {text, expire_at}: what came, as it came

The applier keeps aside what it does not understand; delivering that again would end the same way. What the bus could
not deliver at all lies in the bus: in a table of the embedded one, in Pub/Sub's dead-letter topic.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from realtime.bus.envelope import Malformed, decode, open_push
from realtime.bus.port import Bus, BusMessage
from realtime.clock import iso
from realtime.paths import is_id
from realtime.stores.port import Delete, DocumentStore, Put, Query

PART = 200_000
"""Characters of a dead letter in one document: 800 kB at the very most in UTF-8."""
MOST = 1_000
"""Letters of one place that are listed."""


class NoLetter(LookupError):
    """There is no such letter."""


class NotNews(ValueError):
    """What was kept is no news of this system: it can be looked at, and not be published again."""


@dataclass(frozen=True, slots=True)
class Letter:
    """`id` names it among all places; `keys` the call it is about, as far as that was readable."""

    id: str
    where: str
    why: str
    at: str
    news: str | None = None
    source: str | None = None
    type: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = ("id", "where", "why", "at", "news", "source", "type")
        return {**{name: getattr(self, name) for name in names}, "keys": dict(self.keys)}


class Place(Protocol):
    """Somewhere that dead letters lie. `name` begins the id of each of them."""

    @property
    def name(self) -> str:
        """Without `-`."""

    async def letters(self) -> list[Letter]:
        """At most `MOST`, oldest first."""

    async def text(self, letter_id: str) -> str:
        """What came, as it came. Raises NoLetter."""

    async def forget(self, letter_id: str) -> None:
        """Delete it; no error if it is not there."""


async def keep(
    store: DocumentStore, raw: str, why: str, message: BusMessage | None, *, now: datetime, expire_at: str
) -> str:
    """Keep aside what came; the same again is the same letter. Its name."""
    name = hashlib.sha256((message.id if message else raw).encode()).hexdigest()
    parts = [raw[at : at + PART] for at in range(0, len(raw), PART)] or [""]
    for n, part in enumerate(parts):
        await store.commit([Put(f"{_path(name)}/parts/{n:04d}", {"text": part, "expire_at": expire_at})])
    letter = {
        "why": why,
        "news": message.id if message else None,
        "source": message.source if message else None,
        "type": message.type if message else None,
        "keys": dict(message.keys) if message else {},
        "parts": len(parts),
        "received_at": iso(now),
        "expire_at": expire_at,
    }
    await store.commit([Put(_path(name), letter)])
    return name


class KeptAside:
    """What the applier did not understand. Satisfies `Place`."""

    name = "aside"

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def letters(self) -> list[Letter]:
        """See `Place`."""
        docs = await self._store.query(Query("dead_letters", limit=MOST))
        found = [_letter(doc.path.rpartition("/")[2], doc.data) for doc in docs]
        return sorted(found, key=lambda letter: letter.at)

    async def text(self, letter_id: str) -> str:
        """See `Place`."""
        name = letter_id.removeprefix(f"{self.name}-")
        path = _path(name)
        (doc,) = await self._store.get(path) if is_id(name) else (None,)
        if doc is None:
            raise NoLetter(f"there is no dead letter {letter_id}")
        parts = [f"{path}/parts/{n:04d}" for n in range(doc.data["parts"])]
        texts = [part for one in parts for part in await self._store.get(one)]
        return "".join(part.data["text"] for part in texts if part is not None)

    async def forget(self, letter_id: str) -> None:
        """The letter last: while it is there, it can be tried again."""
        name = letter_id.removeprefix(f"{self.name}-")
        if not is_id(name):
            raise NoLetter(f"there is no dead letter {letter_id}")
        path = _path(name)
        (doc,) = await self._store.get(path)
        for n in range(doc.data["parts"] if doc else 0):
            await self._store.commit([Delete(f"{path}/parts/{n:04d}")])
        await self._store.commit([Delete(path)])


class Letters:
    """All places together."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = {place.name: place for place in places}

    async def all(self) -> list[Letter]:
        """Of every place, oldest first."""
        found = [letter for place in self._places.values() for letter in await place.letters()]
        return sorted(found, key=lambda letter: letter.at)

    async def show(self, letter_id: str) -> str:
        """What came, as it came. Raises NoLetter."""
        return await self._place(letter_id).text(letter_id)

    async def replay(self, letter_id: str, bus: Bus) -> BusMessage:
        """Publish it again, then forget it here: if it still cannot be applied, it comes back. Raises NoLetter,
        NotNews, PublishFailed."""
        message = await asyncio.to_thread(news_in, await self.show(letter_id))
        await bus.publish(message)
        await self._place(letter_id).forget(letter_id)
        return message

    async def forget(self, letter_id: str) -> None:
        """Delete it. Raises NoLetter."""
        await self._place(letter_id).forget(letter_id)

    def _place(self, letter_id: str) -> Place:
        place = self._places.get(letter_id.partition("-")[0])
        if place is None:
            raise NoLetter(f"there is no dead letter {letter_id}")
        return place


def news_in(text: str) -> BusMessage:
    """The news in what was kept: a push, a CloudEvent, or the bare message. Raises NotNews."""
    try:
        body = json.loads(text)
        if isinstance(body, dict) and "occurred_at" in body:
            return decode(text.encode())
        return open_push(body)
    except (ValueError, RecursionError, Malformed) as error:
        raise NotNews(f"this is no news that could be published again: {error}") from error


def described(letter_id: str, where: str, why: str, at: str, data: bytes) -> Letter:
    """A letter of a bus, from the message in it."""
    try:
        message = decode(data)
    except Malformed as error:
        return Letter(letter_id, where, f"{why}; {error}", at)
    return Letter(letter_id, where, why, at, message.id, message.source, message.type, message.keys)


def _letter(name: str, data: Mapping[str, Any]) -> Letter:
    told = {field: data.get(field) for field in ("news", "source", "type")}
    return Letter(
        f"{KeptAside.name}-{name}", "kept aside", data["why"], data["received_at"], keys=data.get("keys") or {}, **told
    )


def _path(name: str) -> str:
    return f"dead_letters/{name}"
