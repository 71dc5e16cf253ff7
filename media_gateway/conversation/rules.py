"""What was heard, and the rule that answers it. The order of the rules is the order of what must not be missed: a
person is asked for, the words are asked for again, an open question is answered, a question is asked, a booking is
wanted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from media_gateway.conversation import booking, changes, driver, errands, outbound, second_fact
from media_gateway.conversation.day_words import Expect
from media_gateway.conversation.frame import POLICY, closed, escalated, filled, leaving, missed, question, understood
from media_gateway.conversation.model import EscalationReason, HeardDigits, HeardText, State
from media_gateway.conversation.turn import Turn
from media_gateway.conversation.understand import Understood

_EXPECTED: Mapping[str | None, Expect] = {
    "preferred_date": "date",
    "preferred_time": "time",
    booking.CONFIRM: "time",
    changes.WHICH: "time",
}
_QUESTION = re.compile(r"\b(?:what|when|where|how|which|are you|is the|do you|does it|can you tell)\b")


def heard_text(turn: Turn, event: HeardText) -> Turn:
    """A turn of the caller in words."""
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    if not event.understood or not event.text.strip():
        return missed(turn, "not understood")
    heard = turn.flow.ear.hear(event.text, turn.now, _EXPECTED.get(turn.state.asked))
    for rule in _rules(turn, event.text):
        done = rule(turn, heard)
        if done is not None:
            return understood(done)
    return missed(turn, "nothing matched")


Rule = Callable[[Turn, Understood], Turn | None]


def _rules(turn: Turn, text: str) -> tuple[Rule, ...]:
    """In the order of what must not be missed. A driver is not sold an oil change."""

    def dictated(turn: Turn, heard: Understood) -> Turn | None:
        return _dictated(turn, heard, text)

    def called(turn: Turn, heard: Understood) -> Turn | None:
        return _called(turn, heard, text)

    def wished(turn: Turn, heard: Understood) -> Turn | None:
        return _wished(turn, heard, text)

    def escalation(turn: Turn, heard: Understood) -> Turn | None:
        return _escalation(turn, heard, text)

    def remarked(turn: Turn, heard: Understood) -> Turn | None:
        return driver.remarked(turn, heard, text, _actions(turn, heard))

    first: tuple[Rule, ...] = (_stop, dictated, escalation, _under_way, _repeat, called)
    if turn.flow.spec.direction == "outbound" and not turn.memory.get("person"):
        return (*first, _told, _aside)  # it is not known yet who listens
    if turn.flow.spec.purpose == "driver_check":
        return (*first, remarked, _answered, _told, _aside)
    return (*first, wished, _answered, _told, _booked, _aside)


def _stop(turn: Turn, heard: Understood) -> Turn | None:
    """Nobody who wants no more calls is asked anything else."""
    name = _action(turn, heard, "stop_calling")
    return outbound.stop_wanted(turn, heard, name) if name and turn.flow.spec.direction == "outbound" else None


_URGENCY = (EscalationReason.EMERGENCY, EscalationReason.MANAGER_REQUEST, EscalationReason.COMPLAINT)


def _escalation(turn: Turn, heard: Understood, text: str) -> Turn | None:
    """A person is wanted or needed; the most urgent reason counts. After hours a flow may take a message instead."""
    intents = turn.flow.spec.intents
    found = [intents[name] for name in heard.intents if intents[name].action == "escalate"]
    if not found:
        return None
    wanted = min(found, key=lambda one: _URGENCY.index(one.reason) if one.reason in _URGENCY else len(_URGENCY))
    reason = wanted.reason or EscalationReason.POLICY
    turn = turn.saying(wanted.say) if wanted.say else turn
    if reason is EscalationReason.COMPLAINT:
        return outbound.complained(turn, text)
    after_hours = turn.flow.spec.after_hours
    if reason is not EscalationReason.EMERGENCY and after_hours.people == "message" and not turn.flow.is_open(turn.now):
        turn = turn.at(State.SLOT_COLLECTION, why=f"after hours: {reason.value}", intent=reason.value)
        return turn.asking(errands.MESSAGE, after_hours.message)
    return escalated(turn, reason)


LONG = 8
"""A dictated message of more words than this may well speak of a manager: it is taken as it is."""


def _dictated(turn: Turn, heard: Understood, text: str) -> Turn | None:
    """What is asked for word for word: a message, a number to call, a second fact, a vehicle's number."""
    asked, short = turn.state.asked, len(heard.said.split()) <= LONG
    if asked not in {errands.MESSAGE, errands.CALLBACK, errands.VIN, second_fact.ASKED}:
        return None
    emergency = any(_reason(turn, name) is EscalationReason.EMERGENCY for name in heard.intents)
    for action in ("escalate", "repeat", "abandon", "goodbye"):
        if emergency or (short and _action(turn, heard, action)):
            return None
    if asked == errands.MESSAGE:
        return errands.message_given(turn, text)
    if asked == errands.CALLBACK:
        return errands.callback_given(turn, text)
    if asked == errands.VIN:
        return errands.vin_given(turn, text)
    return None if _action(turn, heard, "answer") else second_fact.given(turn, text)


def _reason(turn: Turn, name: str) -> EscalationReason | None:
    return turn.flow.spec.intents[name].reason


def _called(turn: Turn, heard: Understood, text: str) -> Turn | None:
    """In a call that we placed: an answering machine's greeting, or the answer to a question of ours."""
    if turn.flow.spec.direction != "outbound":
        return None
    if _action(turn, heard, "voicemail") and turn.state.asked == outbound.PERSON:
        return outbound.voicemail(turn)
    if turn.state.asked not in outbound.ASKED or _action(turn, heard, "answer"):
        return None
    return outbound.answered(turn, heard, text, _actions(turn, heard))


def _actions(turn: Turn, heard: Understood) -> dict[str, str]:
    """What was wanted or said, with the first intent of each kind."""
    intents = turn.flow.spec.intents
    return {intents[name].action: name for name in reversed(heard.intents)}


def _wished(turn: Turn, heard: Understood, text: str) -> Turn | None:
    """About what stands already, or an errand. While a booking is under way, "cancel the appointment" means this one,
    and a wish that names a time is a correction."""
    if turn.state.asked == changes.WHICH and (chosen := changes.which(turn, heard)) is not None:
        return chosen
    if turn.state.asked == booking.CONFIRM_CANCEL and not _action(turn, heard, "move"):
        answered = changes.answered_cancel(turn, heard)
        if answered is not None:
            return answered
    name = _action(turn, heard, "message")
    if name is None and heard.yes and turn.state.asked == "help" and turn.memory.get("handoff"):
        name = "leave_message"  # nobody could be reached, and a message was offered
    if name:
        return errands.message_wanted(turn, name)
    if name := _action(turn, heard, "vin"):
        return errands.vin_wanted(turn, name, text)
    if name := _action(turn, heard, "text_me"):
        return errands.text_wanted(turn, name)
    for action in ("cancel", "move", "upcoming"):
        if name := _action(turn, heard, action):
            return _change(turn, heard, name, action)
    return None


def _change(turn: Turn, heard: Understood, name: str, action: str) -> Turn | None:
    if not booking.expects(turn) or (booking.moves(turn) and action == "cancel"):
        return changes.wanted(turn, heard, name, action)
    if heard.when or action == "upcoming":
        return None
    return _abandoned(turn, "cancel") if action == "cancel" else booking.ask_change(turn, "change")


def _under_way(turn: Turn, heard: Understood) -> Turn | None:
    """What is being done can no longer be changed; the result comes in a moment."""
    deeds = {turn.flow.spec.booking.booking_tool, *turn.flow.spec.appointments.deeds, *turn.flow.spec.errands.deeds}
    if not deeds & set(turn.state.pending):
        return None
    return turn.at(turn.state.state, why="booking is under way").saying(turn.flow.spec.booking.working)


def _repeat(turn: Turn, heard: Understood) -> Turn | None:
    name = _action(turn, heard, "repeat")
    said = str(turn.memory.get("said") or question(turn))
    return turn.at(turn.state.state, why=name).saying_text(said) if name else None


def _action(turn: Turn, heard: Understood, action: str) -> str | None:
    intents = turn.flow.spec.intents
    return next((name for name in heard.intents if intents[name].action == action), None)


def _answered(turn: Turn, heard: Understood) -> Turn | None:
    """The answer to a yes/no question, or to a question about the booking."""
    asks = _action(turn, heard, "answer") and (_QUESTION.search(heard.said) or not heard.when)
    if booking.expects(turn) and not asks:
        changed_turn, changed = booking.merged(turn, heard)
        if changed:
            why = f"{'correction' if turn.state.asked in {booking.CONFIRM, booking.CHANGE} else 'slots'}: "
            return booking.advance(changed_turn, why + ", ".join(changed))
        if (offered := booking.other_times(turn, heard)) is not None:
            return offered
    if _action(turn, heard, "abandon") or _action(turn, heard, "goodbye"):
        return None
    match turn.state.asked:
        case booking.CONFIRM:
            return booking.answered_confirmation(turn, heard)
        case booking.CHANGE:
            return booking.answered_change(turn, heard)
        case "preferred_time" if heard.yes and len(turn.memory.get("offered") or ()) == 1:
            return booking.advance(turn.with_slots(preferred_time=turn.memory["offered"][0]), "the only time")
        case errands.OFFER if heard.yes is True:
            return errands.message_wanted(turn, "leave_message")
        case errands.OFFER if heard.yes is False:
            return turn.at(State.INTENT_DETECTION, why="no message").asking(
                booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else
            )
        case booking.ANYTHING_ELSE if _action(turn, heard, "done"):
            return closed(turn, turn.flow.spec.closing, "nothing else")
        case booking.ANYTHING_ELSE if not heard.intents and not heard.service:
            return _anything_else(turn, heard)
    return None


def _anything_else(turn: Turn, heard: Understood) -> Turn | None:
    if heard.yes is False:
        return closed(turn, turn.flow.spec.closing, "nothing else")
    if heard.yes is True:
        return turn.at(State.INTENT_DETECTION, why="something else").asking("help", turn.flow.spec.talk.help)
    return None


def _told(turn: Turn, heard: Understood) -> Turn | None:
    """A question answered straight; then back to where the conversation was."""
    name = _action(turn, heard, "answer")
    if name is None:
        return None
    answer = turn.flow.spec.intents[name].answer or ""
    asked_about = turn.with_slots(service_type=heard.service) if heard.service else turn
    told = turn.at(State.EXECUTION, why=name, intent=name).saying_text(filled(asked_about, answer))
    if booking.expects(turn) or turn.state.asked in outbound.ASKED:
        return told.saying_text(question(turn))
    if _action(turn, heard, "book") or (heard.service and heard.when.date):
        return _booked(told, heard)
    return told.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def _booked(turn: Turn, heard: Understood) -> Turn | None:
    """A new booking is wanted, or an old wish is taken up again."""
    name = _action(turn, heard, "book") or (next(iter(_book_intents(turn)), None) if heard.service else None)
    if name is None or _action(turn, heard, "abandon"):
        if turn.memory.get("appointment") and heard.when and turn.state.asked == booking.ANYTHING_ELSE:
            return changes.wanted(turn, heard, "reschedule_appointment", "move")
        return None
    if not booking.expects(turn):
        turn = booking.cleared(turn).remembering(appointment=None)
    if booking.moves(turn) and not heard.when:
        turn = turn.remembering(moving=None)
    turn, _ = booking.merged(turn, heard)
    turn = turn.remembering(wish=name).at(State.INTENT_DETECTION, why=name, intent=name)
    return booking.advance(turn, booking.described(heard.when))


def _book_intents(turn: Turn) -> list[str]:
    return [name for name, intent in turn.flow.spec.intents.items() if intent.action == "book"]


def _aside(turn: Turn, heard: Understood) -> Turn | None:
    """Giving up, goodbye, hello."""
    if (name := _action(turn, heard, "abandon")) and booking.expects(turn):
        return _abandoned(turn, name)
    if name := (_action(turn, heard, "goodbye") or _action(turn, heard, "abandon")):
        return closed(turn, turn.flow.spec.closing, name)
    if name := _action(turn, heard, "hello"):
        state = State.INTENT_DETECTION if turn.state.state is State.GREETING else turn.state.state
        return turn.at(state, why=name).saying("{question}")
    return None


def _abandoned(turn: Turn, why: str) -> Turn:
    turn = booking.cleared(turn).at(State.CLOSING, why=why, pending=()).saying(turn.flow.spec.booking.abandoned)
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def heard_digits(turn: Turn, event: HeardDigits) -> Turn:
    """1 and 2 are yes and no where that was the question; digits that were asked for are an answer."""
    digits = event.digits.strip("#*")
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    turn = replace(turn, why=(*turn.why, f"keys {len(event.digits)}"))
    answered: Turn | None = None
    if not turn.state.pending:
        answered = _keyed(turn, digits)
    if answered is not None:
        return understood(answered)
    return turn.at(turn.state.state, why="keys").saying(turn.flow.spec.talk.keys)


def _keyed(turn: Turn, digits: str) -> Turn | None:
    if turn.state.asked == second_fact.ASKED and len(digits) >= 4:
        return second_fact.given(turn, digits)
    if turn.state.asked == errands.CALLBACK and len(digits) >= 7:
        return errands.callback_given(turn, digits)
    answer = {"1": True, "2": False}.get(digits)
    if answer is None:
        return None
    heard = Understood(said="", yes=answer)
    if turn.state.asked in {booking.CONFIRM, booking.ANYTHING_ELSE}:
        return _answered(turn, heard)
    if turn.state.asked == booking.CONFIRM_CANCEL:
        return changes.answered_cancel(turn, heard)
    if turn.state.asked in {outbound.PERSON, outbound.REMINDER, outbound.FEEDBACK, driver.ITEM}:
        return outbound.answered(turn, heard, "", {})
    return None
