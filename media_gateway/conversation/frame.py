"""What can happen at any point of a call: handing over to a person, saying goodbye, asking again."""

from __future__ import annotations

from dataclasses import replace

from media_gateway.conversation import booking
from media_gateway.conversation.model import State
from media_gateway.conversation.turn import Turn

MISSES = 3
MISUNDERSTOOD = "repeated_misunderstanding"
POLICY = "policy"


def escalated(turn: Turn, reason: str) -> Turn:
    """To a person, from any state. The first reason stays. What is said must be heard: it cannot be interrupted."""
    if turn.state.escalation_reason:
        turn = turn.at(State.ESCALATION, why="escalated before").saying(turn.flow.spec.escalation.waiting)
    else:
        changes = {"escalation_reason": reason, "intent": reason if reason == "manager_request" else turn.state.intent}
        turn = turn.at(State.ESCALATION, why=f"escalation: {reason}", asked=None, pending=(), **changes)
        turn = turn.saying(turn.flow.spec.escalation.say)
    return replace(turn, after="handoff", interruptible=False)


def closed(turn: Turn, line: str, why: str) -> Turn:
    turn = turn.at(State.CLOSING, why=why, asked=None, pending=(), ended=True).saying(line)
    return replace(turn, after="hangup", interruptible=False)


def missed(turn: Turn, why: str) -> Turn:
    """Not understood: ask again politely, never guess; the third time in a row a person is fetched."""
    misses = turn.state.misses + 1
    turn = replace(turn, state=replace(turn.state, misses=misses), why=(*turn.why, why))
    if misses >= MISSES:
        return escalated(turn, MISUNDERSTOOD)
    lines = turn.flow.spec.talk.misunderstood
    state = State.INTENT_DETECTION if turn.state.state is State.GREETING else turn.state.state
    return turn.at(state).saying(lines[min(misses, len(lines)) - 1], question=question(turn, again=True))


def understood(turn: Turn) -> Turn:
    return replace(turn, state=replace(turn.state, misses=0))


def question(turn: Turn, *, again: bool = False) -> str:
    """The open question; `again` in the flow's words for a second try."""
    slot = turn.flow.spec.slots.get(turn.state.asked) if turn.state.asked else None  # type: ignore[call-overload]
    line = "{question}"
    if again and slot is not None and not turn.memory.get("offered"):
        line = slot.again
    elif again and turn.state.asked == booking.CONFIRM:
        line = turn.flow.spec.booking.confirm_again
    return filled(turn, line)


def filled(turn: Turn, line: str) -> str:
    return replace(turn, say="").saying(line).say
