"""Who answered a call that we placed. The carrier's verdict comes by webhook, to whichever instance, and is written to
the head of the call by the one that applies news; the session that owns the call looks there."""

from __future__ import annotations

import asyncio

import structlog

from media_gateway.voice.parts import Parts
from realtime.stores.port import StoreUnavailable

log = structlog.get_logger()


async def who_answered(parts: Parts, call_id: str) -> str | None:
    """`human`, `voicemail`, `fax` or `unknown`; None when no verdict came in `patience.verdict` seconds."""
    until = parts.monotonic() + parts.patience.verdict
    while parts.monotonic() < until:
        try:
            head = await parts.journal.find(call_id)
        except StoreUnavailable:
            log.warning("verdict_waits", call_id=call_id)
            head = None
        if head and head.answered_by:
            return head.answered_by
        await asyncio.sleep(parts.patience.look)
    return None
