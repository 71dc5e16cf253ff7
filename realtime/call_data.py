"""The whole record of a call: inline in its `call_completed` event, or in parts beside the log when it is large."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from realtime import parts
from realtime.events import Event
from realtime.stores.port import DocumentStore

INLINE_BYTES = 32 * 1024


async def save(store: DocumentStore, call_id: str, record: Mapping[str, Any], expire_at: str) -> dict[str, Any]:
    """The `data` of a `call_completed` event for `record`: `{call_data}`, or `{ref}` with the parts written here."""
    text = await asyncio.to_thread(encode, record)
    if len(text) <= INLINE_BYTES and len(text.encode()) <= INLINE_BYTES:
        return {"call_data": dict(record)}
    return {"ref": await parts.save(store, f"calls/{call_id}/call_data", text, expire_at)}


async def load(store: DocumentStore, event: Event) -> Mapping[str, Any]:
    """The record that `event` carries or points to. Raises LookupError when its parts have expired."""
    if "call_data" in event.data:
        record: Mapping[str, Any] = event.data["call_data"]
        return record
    text = await parts.load(store, event.data["ref"])
    whole: Mapping[str, Any] = await asyncio.to_thread(json.loads, text)
    return whole


def encode(record: Mapping[str, Any]) -> str:
    """Compact JSON. For a thread: a record can have megabytes."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
