"""Hosted calls whose record never came: which they are, and the news that heals them. Pure.

ElevenLabs' retries are off unless somebody switches them on, so a webhook that was lost once is lost for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from functions.elevenlabs_news import SOURCE, keys
from realtime.bus.port import BusMessage
from realtime.call import Call
from realtime.clock import iso, parse_iso

QUIET = timedelta(minutes=10)
"""A hosted call of which nothing was heard for this long, since it began or since its line went down, is asked for."""
NEVER = timedelta(minutes=60)
"""A call that the vendor does not know this long after it was placed was never made."""


def wanting(call: Call, now: datetime) -> bool:
    """True if the vendor is to be asked what became of this call."""
    heard = max(call.last_updated, call.started_at)
    return call.hosted and not call.status.terminal and heard <= iso(now - QUIET)


def healed(call: Call, conversation: Mapping[str, Any], now: datetime) -> BusMessage:
    """The conversation as its webhook would have brought it. The same state of it is the same news."""
    conversation_id = str(conversation.get("conversation_id") or call.conversation_id)
    state = conversation.get("status")
    analysed = "analysed" if conversation.get("analysis") else "plain"
    return BusMessage(
        f"{SOURCE}:fetched:{conversation_id}:{state}:{analysed}",
        SOURCE,
        "post_call_transcription",
        # Our own word about which call it is goes before what the vendor kept.
        {**keys(conversation), "conversation_id": conversation_id, "call_id": call.call_id},
        iso(now),
        dict(conversation),
    )


def never_made(call: Call, now: datetime) -> BusMessage | None:
    """The news that there was no such call; None while it may still appear."""
    if now - parse_iso(call.started_at) < NEVER:
        return None
    ids = {"conversation_id": call.conversation_id, "call_sid": call.call_sid, "call_id": call.call_id}
    return BusMessage(
        f"{SOURCE}:never:{call.call_id}",
        SOURCE,
        "call_initiation_failure",
        {name: value for name, value in ids.items() if value is not None},
        iso(now),
        {"failure_reason": "unknown", "metadata": {"type": "reconciled"}},
    )
