"""What a call needs to know before it can greet: who calls, and what was said on another instance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from media_gateway.conversation.model import ConversationState
from media_gateway.voice.answering import remembered
from media_gateway.voice.ending import said
from media_gateway.voice.parts import Parts
from media_gateway.voice.ports import Message, StartedStream
from realtime.stores.port import StoreUnavailable

LATE_S = 0.1
"""A timer that comes later than this was not late by itself."""

Fault = Callable[[str, str, str, str], None]
"""Told (stage, provider, kind, detail)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A conversation as another instance left it: its state (None: it had none yet), what was said, the tokens it took,
    the number of the turn that comes now, and what it has cost."""

    state: ConversationState | None
    history: list[Message]
    tokens: int
    turn: int
    cost: Mapping[str, float]


async def kept(parts: Parts, call_id: str, fault: Fault) -> Kept | None:
    """None when the store cannot tell: then the conversation begins anew."""
    try:
        head = await parts.journal.find(call_id)
        events = await said(parts.journal, call_id)
    except StoreUnavailable as problem:
        fault("journal", "store", "timeout", type(problem).__name__)
        return None
    state = ConversationState.from_dict(head.conversation_state) if head and head.conversation_state else None
    turn = 1 + max((event.data.get("turn") or 0 for event in events), default=-1)
    return Kept(state, remembered(events), head.total_tokens if head else 0, turn, (head.cost if head else None) or {})


async def look_up(parts: Parts, started: StartedStream) -> Mapping[str, object] | None:
    """The caller's record, None for one nobody knows. Raises TimeoutError, StoreUnavailable. If it is this process that
    was held up (engines are begun meanwhile, on a small machine as processes), the store has had no time yet: it gets
    its time once more."""
    if not parts.lookup or not started.caller_phone:
        return None
    patience, now = parts.patience.lookup, asyncio.get_running_loop().time
    asked = asyncio.ensure_future(parts.lookup(started.org, started.caller_phone))
    try:
        due = now() + patience
        await asyncio.wait({asked}, timeout=patience)
        if not asked.done() and now() > due + LATE_S:
            await asyncio.wait({asked}, timeout=patience)
        if not asked.done():
            raise TimeoutError
        return asked.result()
    finally:
        asked.cancel()
