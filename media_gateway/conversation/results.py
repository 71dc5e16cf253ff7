"""What the tools of a booking answered, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from media_gateway.conversation import booking, speech
from media_gateway.conversation.model import State, ToolReturned
from media_gateway.conversation.turn import Turn, as_times


def slots_returned(turn: Turn, event: ToolReturned) -> Turn:
    """Free times of a day have come. Those of a day that is no longer wanted are dropped."""
    asked_for = event.arguments.get("date", event.data.get("date"))
    if asked_for != turn.slots.get("preferred_date") or not booking.expects(turn):
        return turn.at(turn.state.state, why="stale times")
    free = {
        "date": asked_for,
        "times": list(as_times(event.data.get("times"))),
        "open": event.data.get("open") is not False,
    }
    return booking.advance(turn.remembering(free=free, failures=None), "times")


def booked(turn: Turn, event: ToolReturned) -> Turn:
    """The appointment stands: say it as the shop's book has it."""
    data = {name: event.data.get(name) or event.arguments.get(name) for name in ("service_type", "date", "time")}
    names = {"service_type": "service_type", "date": "preferred_date", "time": "preferred_time"}
    turn = turn.with_slots(**{names[key]: value for key, value in data.items() if isinstance(value, str)})
    before = turn.memory.get("appointment") or {}
    key = event.data.get("appointment_id") or event.arguments.get("appointment_id")
    appointment = {**before, **{name: value for name, value in data.items() if isinstance(value, str)}}
    appointment["appointment_id"] = key if isinstance(key, str) else None
    moved = turn.memory.get("moving")
    turn = turn.remembering(appointment=appointment, free=None, offered=None, part=None, failures=None, moving=None)
    line = turn.flow.spec.appointments.moved if moved else turn.flow.spec.booking.booked
    turn = turn.with_slots(outcome="moved") if moved else turn
    turn = turn.remembering(wanting=None).at(State.CLOSING, why="moved" if moved else "booked").saying(line)
    reference = event.data.get("reference")
    if turn.flow.spec.booking.reference and isinstance(reference, str) and reference.isascii() and not moved:
        turn = turn.saying(turn.flow.spec.booking.reference, reference=speech.say_digits(reference))
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def not_booked(turn: Turn, event: ToolReturned) -> Turn | None:
    """A refusal that the caller can mend; None when it is a failure."""
    reason, data = event.data.get("reason"), event.data
    if reason == "slot_taken":
        day, taken = turn.slots.get("preferred_date"), turn.slots.get("preferred_time")
        alternatives = [one for one in as_times(_same_day(data.get("alternatives"), day)) if one != taken]
        if not alternatives:
            turn = turn.with_slots(preferred_date=None, preferred_time=None)
            return booking.advance(turn.saying_text(message(data)).remembering(free=None), "slot taken")
        # The alternatives are the nearest times, not all: what else was free that day may still be asked for.
        known = turn.memory.get("free") or {}
        others = as_times(known.get("times")) if known.get("date") == day else ()
        times = sorted({*others, *alternatives} - {taken})
        turn = turn.remembering(free={"date": day, "times": times, "open": True})
        return booking.offered_instead(turn, tuple(alternatives), "slot taken")
    if reason in {"closed", "in_the_past"}:
        turn = turn.saying_text(message(data)).with_slots(preferred_date=None, preferred_time=None)
        return booking.advance(turn.remembering(free=None, offered=None), str(reason))
    return None


def _same_day(alternatives: object, day: str | None) -> list[Any]:
    values = alternatives if isinstance(alternatives, list | tuple) else []
    return [one for one in values if not isinstance(one, Mapping) or one.get("date", day) == day]


def message(data: Mapping[str, Any]) -> str:
    """The sentence that a tool gave to be said aloud; empty when it gave none."""
    text = data.get("message")
    return " ".join(text.split())[:300] if isinstance(text, str) else ""
