"""How a call of our own ends: its record, and the two messages in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from media_gateway.conversation.model import ConversationState
from media_gateway.voice.parts import Parts
from realtime import commands
from realtime.call import Status
from realtime.clock import iso
from realtime.events import Event
from realtime.journal import Journal
from realtime.record import own_record, summary

PAGE = 500


async def said(journal: Journal, call_id: str) -> list[Event]:
    """The journal of the call, whole."""
    events: list[Event] = []
    while page := await journal.events(call_id, after=events[-1].seq if events else 0, limit=PAGE):
        events += page
    return events


async def finish(
    parts: Parts,
    call_id: str,
    ending: str,
    term: int,
    state: ConversationState | None,
    tokens: int,
    *,
    cost: Mapping[str, float] | None = None,
) -> None:
    """Complete the call if it is over and still ours. A human or another instance that takes over completes it later;
    a stream that broke is given `patience.lost` seconds to be taken over."""
    if ending in ("handoff", "move", "fenced"):
        return
    if ending == "lost":
        await asyncio.sleep(parts.patience.lost)
    call = await parts.journal.find(call_id)
    if call is None or call.status.terminal or call.owner_term != term:
        return
    for command in await commands.left(parts.journal, parts.store, call, lambda _: True):
        await commands.settle(parts.journal, command, parts.clock(), ok=False, detail="the call is over")
    events = await said(parts.journal, call_id)
    brief = summary(state.to_dict()) if state else None
    ended_at = iso(parts.clock())
    call = replace(call, total_tokens=max(tokens, call.total_tokens), conversation_summary=brief)
    appended = await parts.journal.complete(
        call_id,
        Status.COMPLETED,
        call_data=own_record(call, events, status=Status.COMPLETED, ended_at=ended_at),
        change={
            "conversation_summary": brief,
            "ended_at": ended_at,
            "total_tokens": call.total_tokens,
            **({"cost": dict(cost)} if cost else {}),
        },
        key="end",
        ts=ended_at,
        term=term,
    )
    parts.audience.notice(appended.call.to_dict())
