"""What a call came to, in one small document, `calls/{call_id}/facts/numbers`, made from its head and journal when it
is over.

The numbers of a week and the search in words read these, never the journals. A document is made once and made anew
only when the call has grown since (`seq`); whoever finds one missing makes it, so nothing depends on who was alive when
the call ended. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from realtime.call import Call, Status
from realtime.clock import parse_iso
from realtime.events import Event, EventType

VERSION = 2
"""Of this shape; documents of another are made anew."""
TEXT_CHARACTERS = 20_000
"""Of the words that are kept for the search."""
TURNS = 200
"""Turns whose latency counts."""

_DONE_BY = {
    "book_appointment": "booked",
    "reschedule_appointment": "moved",
    "cancel_appointment": "cancelled",
    "confirm_appointment": "confirmed",
    "take_message": "message",
}
_NOT_REACHED = {
    Status.NO_ANSWER: "no_answer",
    Status.BUSY: "busy",
    Status.FAILED: "failed",
    Status.CANCELED: "canceled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`day` and `hour` are local to the shop. `seconds` from the start to the end. `outcome` is one word for what came
    of it: booked, moved, cancelled, confirmed, message, escalated, answered, voicemail, no_answer, busy, failed,
    canceled, abandoned (the caller was asked for something and left), or a flow's own `outcome` slot. `asked` is the
    slot that was being asked for at the end, for a call that came to nothing. `latency` is ms per stage, one figure a
    turn; `cost` US dollars per vendor, or per part of a call of our own (llm, tts, stt, telephone)."""

    call_id: str
    org: str
    seq: int
    started_at: str
    day: str
    hour: int
    flow: str
    direction: str
    status: str
    outcome: str
    seconds: float = 0.0
    answered: bool = False
    booked: bool = False
    escalated: bool = False
    reason: str | None = None
    intent: str | None = None
    asked: str | None = None
    turns: int = 0
    tokens: int = 0
    faults: int = 0
    interruptions: int = 0
    latency: Mapping[str, Sequence[float]] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    text: str = ""
    version: int = VERSION
    expire_at: str | None = None

    @property
    def completed(self) -> bool:
        """The flow came to an end of its own: something was done, told or passed on."""
        return self.outcome not in {"abandoned", "failed", "no_answer", "busy", "canceled"}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored. Raises KeyError, TypeError on a poison document."""
        return cls(**{name: data[name] for name in _FIELDS if name in data})


_FIELDS = tuple(one.name for one in fields(Facts))


def path(call_id: str) -> str:
    """Where the facts of a call are kept."""
    return f"calls/{call_id}/facts/numbers"


def facts_of(call: Call, events: Sequence[Event], zone: ZoneInfo) -> Facts:
    """The facts of a call that is over. `events` is its whole journal."""
    began = parse_iso(call.started_at)
    local = began.astimezone(zone)
    ended = parse_iso(call.ended_at) if call.ended_at else began
    ran = [event.data for event in events if event.type is EventType.TOOL_CALL and event.data.get("ok")]
    state = call.conversation_state or {}
    escalations = [event.data for event in events if event.type is EventType.ESCALATION]
    done = [_DONE_BY[data["tool"]] for data in ran if data.get("tool") in _DONE_BY]
    return Facts(
        call_id=call.call_id,
        org=call.org,
        seq=call.seq,
        started_at=call.started_at,
        day=local.date().isoformat(),
        hour=local.hour,
        flow=call.flow or str(state.get("flow") or "") or "unknown",
        direction=call.direction,
        status=call.status.value,
        outcome=_outcome(call, events, done),
        seconds=max(0.0, round((ended - began).total_seconds(), 3)),
        answered=call.status is Status.COMPLETED,
        booked="booked" in done,
        escalated=bool(escalations),
        reason=str(escalations[0].get("reason")) if escalations else None,
        intent=state.get("intent"),
        asked=state.get("asked"),
        turns=sum(event.type is EventType.FINAL_TRANSCRIPT for event in events),
        tokens=call.total_tokens,
        faults=sum(event.type is EventType.PROVIDER_FAULT for event in events),
        interruptions=sum(
            event.type is EventType.INTERRUPTION and bool(event.data.get("confirmed")) for event in events
        ),
        latency=_latency(events),
        cost=_cost(call),
        text=_text(call, events),
        expire_at=call.expire_at,
    )


def _outcome(call: Call, events: Sequence[Event], done: Sequence[str]) -> str:
    if call.status in _NOT_REACHED:
        return _NOT_REACHED[call.status]
    summary = call.conversation_summary or {}
    own = (summary.get("collected_slots") or {}).get("outcome")
    if isinstance(own, str) and own:
        return own
    if done:
        return done[-1]
    if any(event.type is EventType.ESCALATION for event in events):
        return "escalated"
    if call.answered_by == "voicemail":
        return "voicemail"
    asked = (call.conversation_state or {}).get("asked")
    wanted = asked not in (None, "anything_else")
    return "abandoned" if wanted or not _heard(events) else "answered"


def _heard(events: Iterable[Event]) -> bool:
    return any(event.type is EventType.FINAL_TRANSCRIPT for event in events)


def _latency(events: Iterable[Event]) -> dict[str, list[float]]:
    stages: dict[str, list[float]] = {}
    for event in events:
        if event.type is not EventType.TURN_METRICS:
            continue
        measured = {**(event.data.get("stages") or {}), "total": event.data.get("total_ms")}
        for name, ms in measured.items():
            if isinstance(ms, int | float) and len(stages.setdefault(name, [])) < TURNS:
                stages[name].append(ms)
    return stages


def _cost(call: Call) -> dict[str, float]:
    """As the call's head has it (`metadata.cost`: US dollars per vendor, else `cost`: per part). What costs nothing has
    no place in it, nor has the sum."""
    told: Any = call.metadata.get("cost") or call.cost
    parts: Mapping[str, Any] = told.get("parts", told) if isinstance(told, Mapping) else {}
    return {
        str(name): float(value)
        for name, value in parts.items()
        if isinstance(value, int | float) and value and name not in ("total", "usd")
    }


def _text(call: Call, events: Iterable[Event]) -> str:
    """Every word that was heard or said, lower case, for the search. A hosted call's words are in its record."""
    spoken = [
        str(event.data.get("text") or "")
        for event in events
        if event.type in (EventType.FINAL_TRANSCRIPT, EventType.AI_RESPONSE_COMPLETE)
    ]
    analysis = call.analysis or {}
    spoken.append(str(analysis.get("transcript_summary") or analysis.get("summary") or ""))
    return " ".join(" ".join(spoken).lower().split())[:TEXT_CHARACTERS]


def local_day(moment: datetime, zone: ZoneInfo) -> str:
    """The shop's date of a moment."""
    return moment.astimezone(zone).date().isoformat()
