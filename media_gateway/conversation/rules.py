"""What was heard, and the rule that answers it. The order of the rules is the order of what must not be missed: a
person is asked for, the words are asked for again, an open question is answered, a question is asked, a booking is
wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from media_gateway.conversation import booking
from media_gateway.conversation.day_words import Expect
from media_gateway.conversation.frame import POLICY, closed, escalated, filled, leaving, missed, question, understood
from media_gateway.conversation.model import HeardDigits, HeardText, State
from media_gateway.conversation.turn import Turn
from media_gateway.conversation.understand import Understood

_EXPECTED: Mapping[str | None, Expect] = {"preferred_date": "date", "preferred_time": "time", booking.CONFIRM: "time"}
_QUESTION = re.compile(r"\b(?:what|when|where|how|which|are you|is the|do you|does it|can you tell)\b")


def heard_text(turn: Turn, event: HeardText) -> Turn:
    """A turn of the caller in words."""
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    if not event.understood or not event.text.strip():
        return missed(turn, "not understood")
    heard = turn.flow.ear.hear(event.text, turn.now, _EXPECTED.get(turn.state.asked))
    for rule in (_escalation, _under_way, _repeat, _answered, _told, _booked, _aside):
        done = rule(turn, heard)
        if done is not None:
            return understood(done)
    return missed(turn, "nothing matched")


def _escalation(turn: Turn, heard: Understood) -> Turn | None:
    """A person is wanted or needed. What the policy leaves to people is about appointments that stand: while one is
    being made, "cancel the appointment" means this one."""
    name = _action(turn, heard, "escalate")
    reason = turn.flow.spec.intents[name].reason if name else None
    if reason is None:
        return None
    if reason != POLICY or not booking.expects(turn):
        return escalated(turn, reason)
    return _abandoned(turn, "cancel") if "cancel" in heard.said else booking.ask_change(turn, "change")


def _under_way(turn: Turn, heard: Understood) -> Turn | None:
    """What is being booked can no longer be changed; the result comes in a moment."""
    if turn.flow.spec.booking.booking_tool not in turn.state.pending:
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
    if booking.expects(turn):
        return told.saying_text(question(turn))
    if _action(turn, heard, "book") or (heard.service and heard.when.date):
        return _booked(told, heard)
    return told.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def _booked(turn: Turn, heard: Understood) -> Turn | None:
    """A new booking is wanted, or an old wish is taken up again."""
    name = _action(turn, heard, "book") or (next(iter(_book_intents(turn)), None) if heard.service else None)
    if name is None or _action(turn, heard, "abandon"):
        if turn.memory.get("appointment") and heard.when and turn.state.asked == booking.ANYTHING_ELSE:
            return escalated(turn, POLICY)  # moving what is booked is not in this flow
        return None
    if not booking.expects(turn):
        turn = booking.cleared(turn).remembering(appointment=None)
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
    """1 and 2 are yes and no where that was the question."""
    answer = {"1": True, "2": False}.get(event.digits.strip("#*"))
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    if answer is not None and turn.state.asked in {booking.CONFIRM, booking.ANYTHING_ELSE} and not turn.state.pending:
        turn = replace(turn, why=(*turn.why, f"key {event.digits}"))
        answered = _answered(turn, Understood(said="", yes=answer))
        if answered is not None:
            return understood(answered)
    return turn.at(turn.state.state, why="keys").saying(turn.flow.spec.talk.keys)
