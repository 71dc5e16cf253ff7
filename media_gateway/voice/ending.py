"""How a call of our own ends: its record, and the two messages in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from media_gateway.conversation.model import ConversationState
from media_gateway.voice.parts import Parts
from realtime.call import Call, Status
from realtime.clock import iso, parse_iso
from realtime.events import Event, EventType
from realtime.journal import Journal

PAGE = 500


def transcript(call: Call, events: Sequence[Event]) -> list[dict[str, Any]]:
    """What was said, as far as it was heard: `{role: user|assistant, message, time_in_call_secs, interrupted}`."""
    lines: list[dict[str, Any]] = []
    began = parse_iso(call.started_at)
    for event in events:
        if event.type not in (EventType.FINAL_TRANSCRIPT, EventType.AI_RESPONSE_COMPLETE) or not event.data.get("text"):
            continue
        lines.append(
            {
                "role": event.data["speaker"],
                "message": event.data["text"],
                "time_in_call_secs": max(0, round((parse_iso(event.ts) - began).total_seconds())),
                "interrupted": bool(event.data.get("interrupted")),
            }
        )
    return lines


def summary(state: ConversationState | None) -> dict[str, Any] | None:
    """`conversation_summary` of the head."""
    if state is None:
        return None
    brief: dict[str, Any] = {
        "call_type": state.flow,
        "state": state.state.value,
        "intent": state.intent,
        "turn_count": state.turn_count,
        "collected_slots": dict(state.slots),
        "escalation_triggered": state.escalation_reason is not None,
    }
    if state.escalation_reason:
        brief["escalation_reason"] = state.escalation_reason
    return brief


def record(call: Call, events: Sequence[Event], ended_at: str, state: ConversationState | None) -> dict[str, Any]:
    """`call_data` of `call_completed`: the whole record, parsed; the analysis follows as `analysis_ready`."""
    duration = max(0, round((parse_iso(ended_at) - parse_iso(call.started_at)).total_seconds()))
    return {
        "call_id": call.call_id,
        "call_sid": call.call_sid,
        "conversation_id": call.conversation_id,
        "status": Status.COMPLETED.value,
        "call_end_time": ended_at,
        "transcript": transcript(call, events),
        "analysis_data": None,
        "metadata": {
            "flow": call.flow,
            "direction": call.direction,
            "duration_secs": duration,
            "total_tokens": call.total_tokens,
            "tool_calls": _tools(events),
        },
        "conversation_summary": summary(state),
    }


def _tools(events: Sequence[Event]) -> list[Mapping[str, Any]]:
    return [
        {key: event.data.get(key) for key in ("tool", "arguments", "result", "ok")}
        for event in events
        if event.type is EventType.TOOL_CALL
    ]


async def said(journal: Journal, call_id: str) -> list[Event]:
    """The journal of the call, whole."""
    events: list[Event] = []
    while page := await journal.events(call_id, after=events[-1].seq if events else 0, limit=PAGE):
        events += page
    return events


async def finish(
    parts: Parts, call_id: str, ending: str, term: int, state: ConversationState | None, tokens: int
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
    events = await said(parts.journal, call_id)
    ended_at = iso(parts.clock())
    call = replace(call, total_tokens=max(tokens, call.total_tokens))
    appended = await parts.journal.complete(
        call_id,
        Status.COMPLETED,
        call_data=record(call, events, ended_at, state),
        change={
            "conversation_summary": summary(state),
            "ended_at": ended_at,
            "total_tokens": call.total_tokens,
        },
        key="end",
        ts=ended_at,
    )
    parts.audience.notice(appended.call.to_dict())
