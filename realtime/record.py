"""The whole record of a call of our own, made from its journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from realtime.call import Call, Status
from realtime.clock import parse_iso
from realtime.events import Event, EventType

_SAID = (EventType.FINAL_TRANSCRIPT, EventType.AI_RESPONSE_COMPLETE)


def own_record(call: Call, events: Sequence[Event], *, status: Status, ended_at: str) -> dict[str, Any]:
    """`call_data` of `call_completed`; there is no analysis of a call of our own yet."""
    duration = max(0, round((parse_iso(ended_at) - parse_iso(call.started_at)).total_seconds()))
    return {
        "call_id": call.call_id,
        "call_sid": call.call_sid,
        "conversation_id": call.conversation_id,
        "status": status.value,
        "call_end_time": ended_at,
        "transcript": transcript(call, events),
        "analysis_data": None,
        "metadata": {
            "flow": call.flow,
            "direction": call.direction,
            "duration_secs": duration,
            "total_tokens": call.total_tokens,
            "tool_calls": [
                {
                    **{name: event.data.get(name) for name in ("tool", "arguments", "result", "ok")},
                    "time_in_call_secs": _seconds_in(call, event),
                }
                for event in events
                if event.type is EventType.TOOL_CALL
            ],
        },
        "duration_secs": duration,
        "answered_by": call.answered_by,
        "conversation_summary": call.conversation_summary or summary(call.conversation_state),
    }


def summary(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """`conversation_summary`, from the conversation manager's last state (`conversation_state` of the head)."""
    if not state:
        return None
    brief: dict[str, Any] = {
        "call_type": state.get("flow"),
        "state": state.get("state"),
        "intent": state.get("intent"),
        "turn_count": state.get("turn_count", 0),
        "collected_slots": dict(state.get("slots") or {}),
        "escalation_triggered": state.get("escalation_reason") is not None,
    }
    if brief["escalation_triggered"]:
        brief["escalation_reason"] = state["escalation_reason"]
    return brief


def transcript(call: Call, events: Sequence[Event]) -> list[dict[str, Any]]:
    """What was said, as far as it was heard: `{role: user|assistant, message, time_in_call_secs, interrupted}`."""
    return [
        {
            "role": event.data.get("speaker"),
            "message": event.data["text"],
            "time_in_call_secs": _seconds_in(call, event),
            "interrupted": bool(event.data.get("interrupted")),
        }
        for event in events
        if event.type in _SAID and event.data.get("text")
    ]


def _seconds_in(call: Call, event: Event) -> int:
    return max(0, round((parse_iso(event.ts) - parse_iso(call.started_at)).total_seconds()))
