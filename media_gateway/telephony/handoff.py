"""Putting a caller through to a person: a pure machine `(state, event) -> (state, commands)`. See docs/handoff.md.

One attempt rings one phone. The caller hears it ring (Twilio plays that) until the person who answered has heard a
brief and pressed 1; then the two are joined. However an attempt ends, the caller is then with the person, back with
the assistant, or has hung up: there is no path into silence. The state lives in the head of the call
(`metadata["handoff"]`), so that any instance can answer any of Twilio's questions, in any order and twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Self

MISSES = 3
"""Attempts in a row that reached nobody, before the call ends with a word of regret. The conversation offers a message
long before; this bounds a call whose assistant can do nothing but hand over."""
ASKS = 2
"""How often the person is asked to press a key."""
ACCEPT, REFUSE = "1", "2"

Mode = Literal["warm", "cold"]


class Phase(StrEnum):
    """Where the caller is: hears it ring, hears it ring while the brief is spoken, talks to the person, is back with
    the assistant, or is gone."""

    RINGING = "ringing"
    BRIEFING = "briefing"
    JOINED = "joined"
    BACK = "back"
    OVER = "over"


class Outcome(StrEnum):
    """What the journal says of an attempt. `accepted` and `ended` may both come, in this order; of the others one."""

    DIALLED = "dialled"
    ACCEPTED = "accepted"
    ENDED = "ended"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    MACHINE = "machine"
    REFUSED = "refused"
    CALLER_HUNG_UP = "caller_hung_up"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Person:
    """Who is rung (E.164), and how: `warm` asks them first, `cold` joins the two as soon as they answer."""

    number: str
    mode: Mode = "warm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """`attempt` counts from 1 and is in every URL of its callbacks; `misses` counts attempts in a row that reached
    nobody. `outcome` is the newest; while it rings, what is known already (refused, a machine)."""

    attempt: int = 0
    phase: Phase = Phase.BACK
    to: str | None = None
    mode: Mode = "warm"
    outcome: Outcome | None = None
    misses: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> Self:
        """None is a call that was never handed over."""
        if not data:
            return cls()
        outcome = data.get("outcome")
        return cls(**{**data, "phase": Phase(data["phase"]), "outcome": Outcome(outcome) if outcome else None})


def told(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the conversation is told of a caller who is back (`Started.variables`); empty for one who never left."""
    state = Handoff.from_dict(metadata.get("handoff"))
    if state.phase is not Phase.BACK or state.outcome is None:
        return {}
    return {"handoff": state.outcome.value, "handoff_attempt": state.attempt}


# --- what happens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conversation hands the caller over. Without a person there is nobody to ring."""

    person: Person | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The person's phone was answered; they wait for what we say. `machine`: already known to be one."""

    attempt: int
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Screened:
    """Twilio's answering machine detection has decided, while the brief is spoken."""

    attempt: int
    machine: bool


@dataclass(frozen=True, slots=True)
class Pressed:
    """What the person pressed after the `ask`-th question; "" is nothing in time."""

    attempt: int
    ask: int
    digits: str
    machine: bool = False


@dataclass(frozen=True, slots=True)
class DialOver:
    """The person's leg is over. `status` is Twilio's DialCallStatus; `bridged` whether the two were joined, None where
    Twilio does not say; `caller_gone` whether it ended because the caller hung up."""

    attempt: int
    status: str
    bridged: bool | None = None
    caller_gone: bool = False


Event = Wanted | Answered | Screened | Pressed | DialOver


# --- what to do ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the journal."""

    outcome: Outcome


class Answer(StrEnum):
    """What Twilio is told: the first four of the caller's leg, the others of the person's. Every step that Twilio
    waits for has exactly one."""

    RING = "ring"
    ASSISTANT = "assistant"
    REGRET = "regret"
    HANG_UP = "hang_up"
    BRIEF = "brief"
    ASK = "ask"
    JOIN = "join"
    DISMISS = "dismiss"
    NOTHING = "nothing"


Command = Note | Answer
Result = tuple[Handoff, tuple[Command, ...]]

_WAITING = (Phase.RINGING, Phase.BRIEFING)
_TALKED = ("completed", "answered")
_NOT_REACHED: Mapping[str, Outcome] = {"busy": Outcome.BUSY, "no-answer": Outcome.NO_ANSWER}


def step(state: Handoff, event: Event) -> Result:
    """Never raises. An event of another attempt than the state's changes nothing."""
    match event:
        case Wanted(person):
            return _wanted(state, person)
        case DialOver():
            return _over(state, event) if event.attempt == state.attempt else (state, (_stale(state),))
        case Screened():
            return _screened(state, event)
        case Answered() | Pressed():
            if event.attempt != state.attempt or state.phase not in (*_WAITING, Phase.JOINED):
                return state, (Answer.DISMISS,)
            return _at_the_phone(state, event)


def _wanted(state: Handoff, person: Person | None) -> Result:
    if state.phase is Phase.OVER:
        return state, (Answer.HANG_UP,)
    if state.phase is not Phase.BACK:  # asked once more: the same answer
        return state, (Answer.RING,)
    state = replace(state, attempt=state.attempt + 1, outcome=None)
    if state.misses >= MISSES:
        return replace(state, phase=Phase.OVER, outcome=Outcome.FAILED), (Note(Outcome.FAILED), Answer.REGRET)
    if person is None:
        return _missed(replace(state, to=None), Outcome.UNAVAILABLE)
    ringing = replace(state, phase=Phase.RINGING, to=person.number, mode=person.mode)
    return ringing, (Note(Outcome.DIALLED), Answer.RING)


def _screened(state: Handoff, event: Screened) -> Result:
    """Kept for when the brief has been spoken to nobody: a machine is not asked twice. Who has pressed 1 is none."""
    if event.machine and event.attempt == state.attempt and state.phase in _WAITING and state.outcome is None:
        state = replace(state, outcome=Outcome.MACHINE)
    return state, (Answer.NOTHING,)


def _at_the_phone(state: Handoff, event: Answered | Pressed) -> Result:
    """The person's leg: brief, a key, joined or dismissed."""
    if state.phase is Phase.JOINED:
        return state, (Answer.JOIN,)
    state = replace(state, phase=Phase.BRIEFING)
    if event.machine and state.outcome is None:
        state = replace(state, outcome=Outcome.MACHINE)
    pressed = event.digits if isinstance(event, Pressed) else ""
    if pressed == ACCEPT and state.outcome in (None, Outcome.MACHINE):
        joined = replace(state, phase=Phase.JOINED, outcome=Outcome.ACCEPTED, misses=0)
        return joined, (Note(Outcome.ACCEPTED), Answer.JOIN)
    if pressed == REFUSE:
        return replace(state, outcome=state.outcome or Outcome.REFUSED), (Answer.DISMISS,)
    if state.outcome is not None:
        return state, (Answer.DISMISS,)
    if isinstance(event, Answered):
        return state, (Answer.BRIEF,)
    if event.ask < ASKS:
        return state, (Answer.ASK,)
    return replace(state, outcome=Outcome.NO_ANSWER), (Answer.DISMISS,)


def _over(state: Handoff, event: DialOver) -> Result:
    """The person's leg is over: the caller is never left alone with it."""
    if state.phase is Phase.BACK:
        return state, (Answer.ASSISTANT,)
    if state.phase is Phase.OVER:
        return state, (Answer.HANG_UP,)
    if _talked(state, event):
        return _talked_over(state, event)
    if event.caller_gone:
        gone = replace(state, phase=Phase.OVER, outcome=Outcome.CALLER_HUNG_UP)
        return gone, (Note(Outcome.CALLER_HUNG_UP), Answer.HANG_UP)
    return _missed(state, _why(state, event))


def _talked(state: Handoff, event: DialOver) -> bool:
    """Twilio's word counts where it gives one; else the key that was pressed (or, cold, that the phone was
    answered)."""
    if event.bridged is not None:
        return event.bridged
    if state.phase is Phase.JOINED:
        return True
    return state.mode == "cold" and event.status in _TALKED


def _talked_over(state: Handoff, event: DialOver) -> Result:
    notes: tuple[Command, ...] = (Note(Outcome.ENDED),)
    if state.phase is not Phase.JOINED:  # cold, or the key was pressed while the store was away
        notes = (Note(Outcome.ACCEPTED), *notes)
    ended = replace(state, outcome=Outcome.ENDED, misses=0)
    if event.caller_gone:
        return replace(ended, phase=Phase.OVER), (*notes, Answer.HANG_UP)
    return replace(ended, phase=Phase.BACK), (*notes, Answer.ASSISTANT)


def _why(state: Handoff, event: DialOver) -> Outcome:
    """Why the two were not joined. Somebody who answered and hung up has refused."""
    if state.phase is Phase.JOINED:
        return Outcome.FAILED
    if state.outcome is not None:
        return state.outcome
    if state.phase is Phase.BRIEFING:
        return Outcome.FAILED if event.status == "failed" else Outcome.REFUSED
    return _NOT_REACHED.get(event.status, Outcome.FAILED)


def _missed(state: Handoff, outcome: Outcome) -> Result:
    back = replace(state, phase=Phase.BACK, outcome=outcome, misses=state.misses + 1)
    return back, (Note(outcome), Answer.ASSISTANT)


def _stale(state: Handoff) -> Answer:
    """Another attempt's leg is over. The caller is not there any more; but if they were, they would not be left."""
    return Answer.HANG_UP if state.phase is Phase.OVER else Answer.ASSISTANT
