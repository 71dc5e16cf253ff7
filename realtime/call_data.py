"""The whole record of a call: inline in its `call_completed` event, or in parts beside the log when it is large.

The pointer is `{"ref": {"path", "parts"}}`; the parts `{path}-{n:04d}` hold the record's JSON text, cut to stay well
below the size of a document. The path is a digest of the text, so that two who complete the same call at once do not
mix their parts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from realtime.events import Event
from realtime.paths import digest
from realtime.stores.port import DocumentStore, Put

INLINE_BYTES = 32 * 1024
PART = 200_000
"""Characters in a part: 800 kB at the very most in UTF-8."""


async def save(store: DocumentStore, call_id: str, record: Mapping[str, Any], expire_at: str) -> dict[str, Any]:
    """The `data` of a `call_completed` event for `record`; parts are written here, ahead of the event."""
    text = await asyncio.to_thread(_encode, record)
    if len(text) <= INLINE_BYTES and len(text.encode()) <= INLINE_BYTES:
        return {"call_data": dict(record)}
    path = f"calls/{call_id}/call_data/{digest(text)[:32]}"
    parts = [text[at : at + PART] for at in range(0, len(text), PART)]
    for n, part in enumerate(parts):
        # One by one: a commit has a limit of 10 MiB too. Written again, a part stays what it is.
        await store.commit([Put(f"{path}-{n:04d}", {"text": part, "expire_at": expire_at})])
    return {"ref": {"path": path, "parts": len(parts)}}


async def load(store: DocumentStore, event: Event) -> Mapping[str, Any]:
    """The record that `event` carries or points to. Raises LookupError when its parts have expired."""
    if "call_data" in event.data:
        record: Mapping[str, Any] = event.data["call_data"]
        return record
    ref = event.data["ref"]
    docs = await store.get(*(f"{ref['path']}-{n:04d}" for n in range(ref["parts"])))
    texts = [doc.data["text"] for doc in docs if doc is not None]
    if len(texts) != len(docs):
        raise LookupError(f"the record of call {event.call_id} has expired")
    whole: Mapping[str, Any] = await asyncio.to_thread(json.loads, "".join(texts))
    return whole


def _encode(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
