"""Appointments that stand: telling when they are, moving, cancelling. What a caller wants with them is remembered
(`memory["wanting"]`) until it is known which one is meant (`memory["appointment"]`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from media_gateway.conversation import booking, speech
from media_gateway.conversation.model import State, ToolReturned
from media_gateway.conversation.results import message
from media_gateway.conversation.turn import Turn, appointment_words, as_appointment
from media_gateway.conversation.understand import Understood

WHICH = "which_appointment"
MOST = 4
_NTH = (("first", 0), ("second", 1), ("third", 2), ("last", -1))


def wanted(turn: Turn, heard: Understood, name: str, action: str) -> Turn:
    """A caller wants to know of, move or cancel what they have. `name` is the intent, `action` one of upcoming, move,
    cancel."""
    turn = booking.cleared(turn).remembering(wanting=action, wish=name)
    turn = turn.at(State.INTENT_DETECTION, why=name, intent=name, asked=None)
    if action == "move":
        turn, _ = booking.merged(turn, replace(heard, service=None))
    if turn.memory.get("appointment") and action != "upcoming":
        return _chosen(turn)
    turn = turn.at(State.SLOT_COLLECTION)
    return turn.calling(turn.flow.spec.appointments.upcoming_tool, {})


def listed(turn: Turn, event: ToolReturned) -> Turn:
    """The appointments have come."""
    lines, wanting = turn.flow.spec.appointments, turn.memory.get("wanting")
    values = event.data.get("appointments")
    found = [one for one in map(as_appointment, values if isinstance(values, list | tuple) else ()) if one][:MOST]
    turn = turn.remembering(upcoming=found, failures=None)
    if wanting is None:  # a model asked for them
        return turn.at(turn.state.state, why="appointments")
    if not found:
        turn = booking.cleared(turn).at(State.EXECUTION, why="no appointment").saying(lines.none)
        return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)
    words = [appointment_words(turn.flow, one, turn.now.date()) for one in found]
    if wanting == "upcoming":
        turn = turn.remembering(wanting=None, appointment=found[0] if len(found) == 1 else None)
        told = turn.at(State.EXECUTION, why="told").saying(lines.upcoming, appointments=speech.listed(words, "and"))
        return told.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)
    if len(found) == 1:
        return _chosen(turn.remembering(appointment=found[0]))
    collecting = turn.at(State.SLOT_COLLECTION, why="several")
    return collecting.asking(WHICH, lines.which, appointments=speech.listed(words, "or"))


def which(turn: Turn, heard: Understood) -> Turn | None:
    """ "The first one", "the brakes", "the one on Monday"; None when it was none of them."""
    found: list[Mapping[str, Any]] = list(turn.memory.get("upcoming") or ())
    words = set(heard.said.split())
    nth = next((index for word, index in _NTH if word in words and index < len(found)), None)
    fitting = [found[nth]] if nth is not None and found else []
    if not fitting and heard.when.date:
        fitting = [one for one in found if one["date"] == heard.when.date.isoformat()]
    if not fitting and heard.when.time:
        fitting = [one for one in found if one["time"] == heard.when.time.strftime("%H:%M")]
    if not fitting and heard.service:
        fitting = [one for one in found if one.get("service_type") == heard.service]
    return _chosen(turn.remembering(appointment=fitting[0])) if len(fitting) == 1 else None


def _chosen(turn: Turn) -> Turn:
    """It is known which appointment is meant."""
    turn = turn.remembering(upcoming=None)
    if turn.memory.get("wanting") == "cancel":
        confirming = turn.at(State.CONFIRMATION, why="cancel?")
        return confirming.asking(booking.CONFIRM_CANCEL, turn.flow.spec.appointments.confirm_cancel)
    appointment = turn.memory["appointment"]
    if turn.clock() and not turn.day():  # "make that three": on the same day
        turn = turn.with_slots(preferred_date=appointment.get("date"))
    moving = turn.remembering(moving=True).with_slots(service_type=appointment.get("service_type") or "")
    return booking.advance(moving, "move")


def answered_cancel(turn: Turn, heard: Understood) -> Turn | None:
    """Yes cancels, no leaves it as it is."""
    appointment = turn.memory.get("appointment")
    if heard.yes is None or not appointment:
        return None
    if heard.yes:
        turn = turn.at(State.EXECUTION, why="confirmed", asked=None)
        key = appointment["appointment_id"]
        return turn.calling(turn.flow.spec.appointments.cancel_tool, {"appointment_id": key})
    return kept(turn, "not cancelled")


def kept(turn: Turn, why: str) -> Turn:
    """It stays as it is."""
    turn = booking.cleared(turn).at(State.CLOSING, why=why).saying(turn.flow.spec.appointments.kept)
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def cancelled(turn: Turn, event: ToolReturned) -> Turn:
    """It is gone."""
    turn = turn.at(State.CLOSING, why="cancelled").saying(turn.flow.spec.appointments.cancelled)
    turn = booking.cleared(turn).remembering(appointment=None, failures=None).with_slots(outcome="cancelled")
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def refused(turn: Turn, event: ToolReturned) -> Turn:
    """The tool will not, and says why: the caller hears it, and goes on."""
    turn = booking.cleared(turn).at(State.CLOSING, why=f"{event.name} refused").saying_text(message(event.data))
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)
