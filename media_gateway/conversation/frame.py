"""What can happen at any point of a call: handing over to a person, saying goodbye, asking again."""

from __future__ import annotations

from msgspec.structs import replace

from media_gateway.conversation import booking, driver, errands
from media_gateway.conversation.model import State
from media_gateway.conversation.turn import Turn

MISSES = 3
MISUNDERSTOOD = "repeated_misunderstanding"
POLICY = "policy"
RINGS = 2
"""How often people are rung in one call; a caller who asks again is offered a message."""


def leaving(turn: Turn) -> bool:
    """A person has been called for, and the caller is not back."""
    return turn.state.escalation_reason is not None and not turn.memory.get("handoff")


def escalated(turn: Turn, reason: str) -> Turn:
    """To a person, from any state. The first reason stays. What is said must be heard: it cannot be interrupted."""
    if leaving(turn):
        turn = turn.at(State.ESCALATION, why="escalated before").saying(turn.flow.spec.escalation.waiting)
    elif int(turn.memory.get("unreached") or 0) >= RINGS:
        return returned(turn, f"{reason}, but nobody is there")
    else:
        turn = turn.remembering(handoff=None)
        reason = str(reason)
        changes = {"escalation_reason": reason, "intent": reason if reason == "manager_request" else turn.state.intent}
        turn = turn.at(State.ESCALATION, why=f"escalation: {reason}", asked=None, pending=(), **changes)
        turn = turn.saying(turn.flow.spec.escalation.say)
    return replace(turn, after="handoff", interruptible=False)


def back_from(turn: Turn, outcome: str, attempt: int) -> Turn:
    """The caller is back from being put through; `attempt` counts how often that was tried in this call."""
    turn = turn.remembering(handoff=outcome, handoff_attempt=attempt)
    if outcome != "ended":
        return returned(turn.remembering(unreached=int(turn.memory.get("unreached") or 0) + 1), f"handoff: {outcome}")
    turn = turn.at(State.INTENT_DETECTION, why="handoff: ended", pending=())
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.escalation.ended)


def returned(turn: Turn, why: str) -> Turn:
    """Nobody took the call: a message, so that somebody calls back. The state before stays whole."""
    turn = turn.at(State.INTENT_DETECTION, why=why, pending=(), misses=0)
    return turn.asking(errands.OFFER, turn.flow.spec.escalation.unavailable)


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
    return turn if not turn.state.misses else replace(turn, state=replace(turn.state, misses=0))


def question(turn: Turn, *, again: bool = False) -> str:
    """The open question; `again` in the flow's words for a second try."""
    slot = turn.flow.spec.slots.get(turn.state.asked) if turn.state.asked else None  # type: ignore[call-overload]
    line = "{question}"
    if again and slot is not None and not turn.memory.get("offered"):
        line = slot.again
    elif again and turn.state.asked == booking.CONFIRM and not booking.moves(turn):
        line = turn.flow.spec.booking.confirm_again
    elif again and turn.state.asked == driver.ITEM and turn.flow.spec.items:
        line = turn.flow.spec.items.again
    return filled(turn, line)


def filled(turn: Turn, line: str) -> str:
    return replace(turn, say="").saying(line).say
