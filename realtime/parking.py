"""News about a call that nobody knows yet, kept under each of its keys until the call appears.

`parked/{sha256(key)}/news/{sha256(message id)}` is `{message, occurred_at}`; a large message is `{ref}`, in parts.
`waiting/{sha256(message id)}` is `{at}`, the way to one of them: what waits can be looked through.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from typing import Any

from realtime import parts
from realtime.bus.port import BusMessage
from realtime.call_data import encode
from realtime.paths import digest
from realtime.stores.port import Delete, DocumentStore, Put, Query, Write

INLINE = 200_000
"""Characters of JSON in a message that is kept in one document."""
WAITING = "waiting"
MOST_WAITING = 5_000
MOST = 500
"""Parked news of one key that is read; a call has a handful."""


async def park(store: DocumentStore, message: BusMessage, expire_at: str) -> None:
    """Keep `message`; the same news again changes nothing. Raises ValueError when it has no key."""
    keys = sorted({key for key in message.keys.values() if key})
    if not keys:
        raise ValueError(f"news {message.id} names no call and cannot wait for one")
    document: dict[str, Any] = {"occurred_at": message.occurred_at, "expire_at": expire_at}
    text = await asyncio.to_thread(encode, message.to_dict())
    if len(text) <= INLINE:
        document["message"] = message.to_dict()
    else:
        document["ref"] = await parts.save(store, f"parked/{digest(keys[0])}/parts", text, expire_at)
    way: Write = Put(_way(message.id), {"at": _path(keys[0], message.id), "expire_at": expire_at})
    await store.commit([*(Put(_path(key, message.id), document) for key in keys), way])


async def parked(store: DocumentStore, aliases: Collection[str]) -> list[BusMessage]:
    """The news under any of these ids, each once, oldest first."""
    found: dict[str, Mapping[str, Any]] = {}
    for alias in aliases:
        for doc in await store.query(Query(_collection(alias), limit=MOST)):
            found[doc.path.rpartition("/")[2]] = doc.data
    messages = [await _message(store, data) for data in found.values()]
    return sorted(messages, key=lambda message: (message.occurred_at, message.id))


async def unpark(store: DocumentStore, aliases: Collection[str], message: BusMessage) -> None:
    """Forget `message` under all of its keys; no error if it is gone."""
    own = sorted({key for key in message.keys.values() if key})
    keys = {*own, *aliases}
    texts: list[str] = []
    if own:
        (doc,) = await store.get(_path(own[0], message.id))
        ref = doc.data.get("ref") if doc else None
        texts = [f"{ref['path']}-{n:04d}" for n in range(ref["parts"])] if ref else []
    paths = [*(_path(key, message.id) for key in sorted(keys)), *texts, _way(message.id)]
    await store.commit([Delete(path) for path in paths])


async def waiting(store: DocumentStore) -> list[BusMessage]:
    """All parked news, whatever call it is about, at most `MOST_WAITING`."""
    ways = await store.query(Query(WAITING, limit=MOST_WAITING))
    messages: list[BusMessage] = []
    for way in ways:
        (doc,) = await store.get(way.data["at"])
        if doc is not None:
            messages.append(await _message(store, doc.data))
    return messages


async def _message(store: DocumentStore, data: Mapping[str, Any]) -> BusMessage:
    if "message" in data:
        return BusMessage.from_dict(data["message"])
    text = await parts.load(store, data["ref"])
    return BusMessage.from_dict(await asyncio.to_thread(json.loads, text))


def _collection(key: str) -> str:
    return f"parked/{digest(key)}/news"


def _way(message_id: str) -> str:
    return f"{WAITING}/{digest(message_id)}"


def _path(key: str, message_id: str) -> str:
    return f"{_collection(key)}/{digest(message_id)}"
