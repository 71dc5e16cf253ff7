"""News about a call that nobody knows yet, kept under each of its keys until the call appears."""

from __future__ import annotations

from collections.abc import Collection

from realtime.bus.port import BusMessage
from realtime.paths import digest
from realtime.stores.port import Delete, DocumentStore, Put, Query

MOST = 500
"""Parked news of one key that is read; a call has a handful."""


async def park(store: DocumentStore, message: BusMessage, expire_at: str) -> None:
    """Keep `message`; the same news again changes nothing. Raises ValueError when it has no key."""
    keys = {key for key in message.keys.values() if key}
    if not keys:
        raise ValueError(f"news {message.id} names no call and cannot wait for one")
    document = {"message": message.to_dict(), "occurred_at": message.occurred_at, "expire_at": expire_at}
    await store.commit([Put(_path(key, message), document) for key in sorted(keys)])


async def parked(store: DocumentStore, aliases: Collection[str]) -> list[BusMessage]:
    """The news under any of these ids, each once, oldest first."""
    found: dict[str, BusMessage] = {}
    for alias in aliases:
        for doc in await store.query(Query(_collection(alias), limit=MOST)):
            message = BusMessage.from_dict(doc.data["message"])
            found[message.id] = message
    return sorted(found.values(), key=lambda message: (message.occurred_at, message.id))


async def unpark(store: DocumentStore, aliases: Collection[str], message: BusMessage) -> None:
    """Forget `message` under all of its keys; no error if it is gone."""
    keys = {key for key in message.keys.values() if key} | set(aliases)
    await store.commit([Delete(_path(key, message)) for key in sorted(keys)])


def _collection(key: str) -> str:
    return f"parked/{digest(key)}/news"


def _path(key: str, message: BusMessage) -> str:
    return f"{_collection(key)}/{digest(message.id)}"
