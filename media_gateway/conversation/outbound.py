"""Calls that we place: the right person first, then what the call is about. Nothing is told to anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from media_gateway.conversation import booking, changes, driver
from media_gateway.conversation.frame import closed, escalated
from media_gateway.conversation.model import EscalationReason, Started, State, ToolReturned
from media_gateway.conversation.turn import Turn, as_appointment, first_name
from media_gateway.conversation.understand import Understood

PERSON, REMINDER, FEEDBACK, WRONG = "right_person", "reminder", "feedback", "what_was_wrong"
ASKED = frozenset({PERSON, REMINDER, FEEDBACK, WRONG, driver.ITEM, driver.REASON})
"""Questions of ours to which the conversation returns after an aside."""
NOTE_LIMIT = 300


def opened(turn: Turn, event: Started) -> Turn:
    """Who is there? Without a name to ask for, what the call is about comes at once."""
    turn = turn.remembering(**known(event.variables))
    customer = turn.state.customer or {}
    if not first_name(customer) and first_name(event.variables):
        turn = turn.at(turn.state.state, customer={**customer, "first_name": first_name(event.variables)})
    callee = turn.flow.spec.callee
    if callee and first_name(turn.state.customer):
        return turn.asking(PERSON, callee.ask)
    return about(turn)


def known(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What the variables say, as far as it is usable."""
    appointment = variables.get("appointment") or variables
    service = variables.get("service_type") or variables.get("service")
    return {
        "appointment": as_appointment(appointment),
        "service": service if isinstance(service, str) else None,
        "items": driver.items_of(variables) or None,
    }


def about(turn: Turn) -> Turn:
    """What the call is about."""
    spec = turn.flow.spec
    turn = turn.remembering(person=True)
    if spec.purpose == "driver_check":
        return driver.opened(turn)
    if spec.followup and spec.purpose == "followup":
        return turn.at(State.INTENT_DETECTION, why="followup").asking(FEEDBACK, spec.followup.ask)
    if spec.reminder and turn.memory.get("appointment"):
        return turn.at(State.CONFIRMATION, why="reminder").asking(REMINDER, spec.reminder.ask)
    if spec.reminder and spec.purpose == "reminder":
        turn = turn.at(State.INTENT_DETECTION, why="no appointment").saying(spec.reminder.nothing)
    return turn.asking("help", spec.talk.help)


def stop_wanted(turn: Turn, heard: Understood, name: str) -> Turn | None:
    """They want no more calls: whoever it is, and whatever was asked. Done first, then confirmed, then goodbye."""
    callee = turn.flow.spec.callee
    if callee is None:
        return None
    turn = turn.at(State.EXECUTION, why=name, intent=name, asked=None).with_slots(outcome="do_not_call")
    return turn if callee.stop_tool in turn.state.pending else turn.calling(callee.stop_tool, {})


def stopped(turn: Turn, event: ToolReturned) -> Turn:
    """The list was written, or it was not: then the team gets a message."""
    callee, errands = turn.flow.spec.callee, turn.flow.spec.errands
    if callee is None:
        return turn
    turn = turn.with_slots(outcome="do_not_call")
    if event.ok:
        return closed(turn, callee.stopped, "do not call")
    text = "This number asked not to be called any more, and could not be put on the do-not-call list."
    turn = closed(turn, callee.not_stopped, f"do not call: {event.data.get('reason')}")
    return turn.calling(errands.message_tool, {"text": text})


def answered(turn: Turn, heard: Understood, text: str, actions: Mapping[str, str]) -> Turn | None:
    """The answer to a question of ours; `actions` maps what was understood to the intents' names."""
    match turn.state.asked:
        case "right_person":
            return _person(turn, heard, actions)
        case "reminder":
            return _reminder(turn, heard, actions)
        case "feedback":
            return _feedback(turn, heard, text, actions)
        case "what_was_wrong" if len(text.split()) > 1:
            return complained(turn, text)
        case driver.ITEM | driver.REASON:
            return driver.answered(turn, heard, text, actions)
    return None


def _person(turn: Turn, heard: Understood, actions: Mapping[str, str]) -> Turn | None:
    callee = turn.flow.spec.callee
    if callee and ("wrong_person" in actions or (heard.yes is False and "right_person" not in actions)):
        turn = turn.with_slots(outcome="wrong_person")
        return closed(turn, callee.wrong_person, "wrong person")
    if turn.flow.spec.purpose == "reminder" and turn.memory.get("appointment") and _wishes(actions):
        return _reminder(turn.remembering(person=True), heard, actions)  # nobody else would know of it
    if heard.yes or "right_person" in actions:
        turn = turn.at(State.GREETING, why="the right person")
        return about(turn)
    return None


def _wishes(actions: Mapping[str, str]) -> bool:
    return "move" in actions or "cancel" in actions


def _reminder(turn: Turn, heard: Understood, actions: Mapping[str, str]) -> Turn | None:
    reminder = turn.flow.spec.reminder
    if reminder is None or not turn.memory.get("appointment"):
        return None
    if "cancel" in actions:
        return changes.wanted(turn, heard, actions["cancel"], "cancel")
    if "move" in actions or (heard.when and not heard.yes and not _same(turn, heard)):
        return changes.wanted(turn, heard, actions.get("move", "reschedule_appointment"), "move")
    if heard.yes:
        turn = turn.at(State.EXECUTION, why="confirmed", intent="confirm_appointment", asked=None)
        key = turn.memory["appointment"]["appointment_id"]
        return turn.calling(turn.flow.spec.appointments.confirm_tool, {"appointment_id": key})
    if heard.yes is False:
        if turn.memory.get("move_or_cancel"):
            return changes.kept(turn.with_slots(outcome="open"), "neither")
        turn = turn.remembering(move_or_cancel=True).at(State.CONFIRMATION, why="not confirmed")
        return turn.asking(REMINDER, reminder.move_or_cancel)
    return None


def confirmed(turn: Turn, event: ToolReturned) -> Turn:
    """They will come. Where that could not be noted it is still in the call's record."""
    reminder = turn.flow.spec.reminder
    turn = turn.at(State.CLOSING, why="noted" if event.ok else "not noted").with_slots(outcome="confirmed")
    turn = turn.saying(reminder.confirmed) if reminder else turn
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def _same(turn: Turn, heard: Understood) -> bool:
    """The time that was said is the appointment's own: "two o'clock, right"."""
    appointment = turn.memory.get("appointment") or {}
    day, clock = heard.when.date, heard.when.time
    return (day is None or day.isoformat() == appointment.get("date")) and (
        clock is None or clock.strftime("%H:%M") == appointment.get("time")
    )


def _feedback(turn: Turn, heard: Understood, text: str, actions: Mapping[str, str]) -> Turn | None:
    followup = turn.flow.spec.followup
    if followup is None:
        return None
    if heard.yes is False:
        turn = turn.at(State.INTENT_DETECTION, why="not happy", intent="complaint").with_slots(outcome="unhappy")
        return turn.asking(WRONG, followup.what_was_wrong)
    if heard.yes or "happy" in actions:
        turn = turn.at(State.EXECUTION, why="happy", intent="feedback")
        turn = turn.with_slots(outcome="happy", feedback=text[:NOTE_LIMIT]).at(State.CLOSING).saying(followup.happy)
        return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)
    return None


def complained(turn: Turn, text: str) -> Turn:
    """To a person, with the complaint in the record."""
    turn = turn.with_slots(outcome="complaint", feedback=" ".join(text.split())[:NOTE_LIMIT])
    turn = turn.at(turn.state.state, intent="complaint")
    followup = turn.flow.spec.followup
    turn = turn.saying(followup.sorry) if followup else turn
    return escalated(turn, EscalationReason.COMPLAINT)


def voicemail(turn: Turn) -> Turn:
    """An answering machine: the message, and goodbye. It says no more than anybody may hear."""
    line = turn.flow.spec.voicemail
    turn = turn.with_slots(outcome="voicemail")
    return closed(turn, line, "voicemail") if line else closed(turn, turn.flow.spec.closing, "voicemail")
