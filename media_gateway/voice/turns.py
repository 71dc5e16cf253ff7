"""Turn-taking: who may speak, when a turn is over, what an interruption is. A pure reducer: `step(turns, event)`
gives the next `Turns` and the commands for the shell. No clock (timers come back as events), no I/O, no randomness.

    CONNECTING --Opened--> THINKING                      (what comes before the greeting is answered after it)

    LISTENING --Utterance--> THINKING --AudioBegan--> SPEAKING --PlayedOut--> LISTENING
                                      <---RanDry-----   |  ^
                                  first words over it   v  | noise, "uh-huh", nothing more
                                                       HELD --words go on--> cut, the caller has the floor

    anything --an engine is gone, nothing to say for too long--> LEAVING --Stopped--> ENDED

`turn` is the one token of the call: whatever was started for an older turn may not emit audio any more. No phase waits
for an event that may never come: LISTENING, THINKING and HELD have a timer of their own, SPEAKING and LEAVING end with
the sound that was sent, which the ledger bounds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

HOLD_MS = 900
"""How long a hold waits for more words before speech goes on."""
MAX_HOLDS = 3
IDLE_MS = 9_000
TYPING_IDLE_MS = 60_000
"""Somebody who types is not silent: they are thinking and looking for keys."""
DEAF_MS = 30_000
"""However much sound and however many half words there are: after this long without a whole utterance we speak."""
KEYS_MS = 1_500
FILLER_MS = 1_000
"""After this long in thought something is said: with the way to the caller's ear, inside the 1.2 s of the design."""
APOLOGY_MS = 3_500
APOLOGY_AGAIN_MS = 8_000
MAX_APOLOGIES = 2
"""In a row, with no answer between them; then the call is given to a human."""
MAX_KEYS = 32
CONFIRM_WORDS = 2

_INTERJECTIONS = frozenset(
    {"uh", "huh", "uhhuh", "um", "mm", "hm", "hmm", "mhm", "mmhm", "ah", "oh", "ok", "okay", "right", "yeah", "yep"}
    | {"sure", "i", "see", "got", "it", "alright"}
)


class Phase(StrEnum):
    """Who has the floor."""

    CONNECTING = "connecting"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    HELD = "held"
    LEAVING = "leaving"
    ENDED = "ended"


# --- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """The recogniser believes that somebody began (or stopped) making sound."""

    on: bool


@dataclass(frozen=True, slots=True)
class Words:
    """What has been recognised of the utterance so far."""

    text: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """The caller's turn, whole; `typed` when it did not come by voice (then it always counts)."""

    text: str
    understood: bool = True
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the phone."""

    digit: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The call begins: the assistant greets (turn 0 is ours)."""


@dataclass(frozen=True, slots=True)
class Interruptible:
    """Whether what is about to be said may be interrupted."""

    on: bool


@dataclass(frozen=True, slots=True)
class AudioBegan:
    """The first sound of the reply has been sent."""


@dataclass(frozen=True, slots=True)
class RanDry:
    """All that was sent of the reply has been heard, and more of it is awaited (a tool runs, a voice is slow)."""


@dataclass(frozen=True, slots=True)
class PlayedOut:
    """The reply is complete and has been heard to its end."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that was armed and not disarmed."""

    name: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A machine has answered and records now: what we say next is the message that we leave."""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """An engine that the call cannot do without is gone for good."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The call is over."""


TurnEvent = (
    Sound | Words | Utterance | Key | Opened | Interruptible | AudioBegan | RanDry | PlayedOut | TimerFired
    | Recording | GaveUp | Stopped
)  # fmt: skip


# --- commands ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Commit:
    """The caller's turn is real: answer it."""

    turn: int
    text: str
    understood: bool


@dataclass(frozen=True, slots=True)
class CommitKeys:
    """The caller's turn was made with the keypad."""

    turn: int
    digits: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Nobody spoke for the idle time: this turn is ours."""

    turn: int


@dataclass(frozen=True, slots=True)
class LeaveMessage:
    """Speak to the machine that records: this turn is ours, and nothing interrupts it."""

    turn: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Fall silent, forget nothing."""


@dataclass(frozen=True, slots=True)
class Resume:
    """It was nothing: go on from the last heard word."""

    words: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Stop thinking and speaking for the turn that was (tools go on). The caller has the floor, unless the call itself
    is over (`caller` False)."""

    turn: int
    words: str
    caller: bool = True


@dataclass(frozen=True, slots=True)
class Ignored:
    """Words that were not a turn."""

    words: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say the pre-rendered `filler` or `apology`."""

    what: str
    turn: int


@dataclass(frozen=True, slots=True)
class Leave:
    """Apologise with what is at hand, and give the caller to a human."""

    turn: int


@dataclass(frozen=True, slots=True)
class Arm:
    """(Re)start a timer."""

    name: str
    ms: int


@dataclass(frozen=True, slots=True)
class Disarm:
    """Stop a timer."""

    name: str


TurnCommand = Commit | CommitKeys | Idle | LeaveMessage | Hold | Resume | Cut | Ignored | Say | Leave | Arm | Disarm


# --- the machine ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turns:
    """`waiting` is an utterance that came while we could not be interrupted; `words` are those that hold us, or did
    last (the same words again do not hold twice)."""

    phase: Phase = Phase.CONNECTING
    turn: int = 0
    sounding: bool = False
    words: str = ""
    holds: int = 0
    interruptible: bool = True
    keys: str = ""
    waiting: Utterance | None = None
    apologies: int = 0
    idle_ms: int = IDLE_MS


Next = tuple[Turns, tuple[TurnCommand, ...]]


def real_words(text: str) -> int:
    """Words that are more than an interjection ("uh-huh", "okay")."""
    return sum(word not in _INTERJECTIONS for word in re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower()))


def step(turns: Turns, event: TurnEvent) -> Next:
    """One step. Every event is allowed in every phase."""
    if turns.phase is Phase.ENDED:
        return turns, ()
    if isinstance(event, Stopped):
        after = replace(turns, phase=Phase.ENDED, turn=turns.turn + 1)
        return after, (Cut(turns.turn, "", caller=False), *_disarm_all())
    if turns.phase is Phase.LEAVING:
        return turns, ()
    if isinstance(event, GaveUp):
        return _leave(turns)
    if turns.phase is Phase.CONNECTING:
        return _connecting(turns, event)
    return _step(turns, event)


def _step(turns: Turns, event: TurnEvent) -> Next:
    match event:
        case Interruptible(on):
            return _interruptible(turns, on)
        case Sound(on):
            return _sound(replace(turns, sounding=on))
        case Words(text):
            return _words(turns, text)
        case Utterance(typed=True):
            return _utterance(replace(turns, sounding=False, idle_ms=TYPING_IDLE_MS), event)
        case Utterance():
            return _utterance(replace(turns, sounding=False), event)
        case Key(digit):
            return _key(turns, digit)
        case AudioBegan() if turns.phase is Phase.THINKING:
            return replace(turns, phase=Phase.SPEAKING, apologies=0), (Disarm("filler"), Disarm("apology"))
        case RanDry() if turns.phase is Phase.SPEAKING:
            return replace(turns, phase=Phase.THINKING), _awaiting()
        case PlayedOut():
            return _played_out(turns)
        case TimerFired(name):
            return _timer(turns, name)
        case Recording():
            # What its announcement said was no caller's turn.
            after = replace(_think(turns), waiting=None, interruptible=False)
            return after, (Cut(turns.turn, "", caller=False), *_thinking(), LeaveMessage(after.turn))
        case _:
            return turns, ()


def _disarm_all() -> tuple[TurnCommand, ...]:
    return tuple(Disarm(name) for name in ("idle", "deaf", "hold", "keys", "filler", "apology"))


def _connecting(turns: Turns, event: TurnEvent) -> Next:
    """Before the greeting: what the caller does is kept for afterwards."""
    match event:
        case Opened():
            keys = (Arm("keys", KEYS_MS),) if turns.keys else ()
            return replace(turns, phase=Phase.THINKING), (*_awaiting(), *keys)
        case Sound(on):
            return replace(turns, sounding=on), ()
        case Utterance() if _counts(event):
            return replace(turns, waiting=_joined(turns.waiting, event)), ()
        case Key(digit):
            return replace(turns, keys=(turns.keys + digit)[:MAX_KEYS]), ()
        case _:
            return turns, ()


def _counts(said: Utterance) -> bool:
    """Is it more than noise and "uh-huh"? What was typed always is, unless it is nothing."""
    return bool(said.text.strip()) if said.typed else said.understood and real_words(said.text) > 0


def _joined(before: Utterance | None, said: Utterance) -> Utterance:
    return replace(said, text=f"{before.text} {said.text}") if before else said


def _interruptible(turns: Turns, on: bool) -> Next:
    after = replace(turns, interruptible=on)
    # The line that follows must be heard whole, so nothing may hold it.
    return _resume(after, turns.words) if turns.phase is Phase.HELD and not on else (after, ())


def _sound(turns: Turns) -> Next:
    if turns.phase is Phase.LISTENING:
        # Sound alone only stretches the wait: hold music never ends, and a wall clock must.
        return turns, (_idle(turns),)
    if turns.phase is Phase.HELD and not turns.sounding:
        return _resume(turns, turns.words)
    return turns, ()


def _idle(turns: Turns) -> Arm:
    return Arm("idle", turns.idle_ms * (2 if turns.sounding else 1))


def _words(turns: Turns, text: str) -> Next:
    count, news = real_words(text), text != turns.words
    match turns.phase:
        case Phase.SPEAKING if count and news and turns.interruptible:
            return replace(turns, phase=Phase.HELD, words=text, holds=1), (Hold(), Arm("hold", HOLD_MS))
        case Phase.HELD if count >= CONFIRM_WORDS and news:
            freed = replace(turns, phase=Phase.LISTENING, words="", turn=turns.turn + 1)
            return freed, (Disarm("hold"), Cut(turns.turn, text), *_floor(freed))
        case Phase.LISTENING:
            return turns, (Arm("idle", turns.idle_ms * 2),)
        case _:
            return turns, ()


def _floor(turns: Turns) -> tuple[TurnCommand, ...]:
    """The caller has the floor, and not for ever."""
    return (_idle(turns), Arm("deaf", DEAF_MS))


def _utterance(turns: Turns, said: Utterance) -> Next:
    if said.typed and not said.text.strip():
        return turns, ()
    if turns.phase is Phase.LISTENING:
        empty = not said.text.strip() and said.understood
        return (turns, (_idle(turns),)) if empty else _commit(turns, said)
    if said.typed:
        return _interrupt(turns, said)
    if turns.phase is Phase.HELD:
        return _interrupt(turns, said) if _counts(said) else _resume(turns, said.text)
    if not _counts(said):
        return replace(turns, words=""), ((Ignored(said.text),) if said.text.strip() else ())
    if not turns.interruptible:
        return replace(turns, waiting=_joined(turns.waiting, said)), ()
    return _interrupt(turns, said)


def _interrupt(turns: Turns, said: Utterance) -> Next:
    cut = Cut(turns.turn, said.text)
    after, commands = _commit(turns, said)
    return after, (cut, *commands)


def _commit(turns: Turns, said: Utterance) -> Next:
    """What waited is part of what is answered now: never lost, and never answered when it is stale."""
    said = _joined(turns.waiting, said)
    after = _think(replace(turns, waiting=None))
    return after, (*_thinking(), Commit(after.turn, said.text, said.understood))


def _think(turns: Turns) -> Turns:
    return replace(turns, phase=Phase.THINKING, turn=turns.turn + 1, words="", holds=0, keys="", interruptible=True)


def _thinking() -> tuple[TurnCommand, ...]:
    return (*(Disarm(name) for name in ("idle", "deaf", "hold", "keys")), *_awaiting())


def _awaiting() -> tuple[TurnCommand, ...]:
    return (Arm("filler", FILLER_MS), Arm("apology", APOLOGY_MS))


def _resume(turns: Turns, words: str) -> Next:
    return replace(turns, phase=Phase.SPEAKING, holds=0), (Disarm("hold"), Resume(words))


def _key(turns: Turns, digit: str) -> Next:
    if len(turns.keys) >= MAX_KEYS:
        return turns, ()  # the timer runs out, whatever keeps pressing
    keys = turns.keys + digit
    commands: tuple[TurnCommand, ...] = (Disarm("idle"), Arm("keys", KEYS_MS))
    if turns.phase in (Phase.SPEAKING, Phase.HELD) and turns.interruptible:
        freed = replace(turns, phase=Phase.LISTENING, turn=turns.turn + 1, words="", keys=keys)
        return freed, (Disarm("hold"), Cut(turns.turn, ""), *commands)
    return replace(turns, keys=keys), commands


def _played_out(turns: Turns) -> Next:
    if turns.phase not in (Phase.SPEAKING, Phase.THINKING):
        return turns, ()
    after = replace(turns, phase=Phase.LISTENING, interruptible=True, words="", apologies=0)
    quiet: tuple[TurnCommand, ...] = (Disarm("filler"), Disarm("apology"))
    if turns.waiting:
        after, commands = _commit(replace(after, waiting=None), turns.waiting)
        return after, (*quiet, *commands)
    return after, (*quiet, *_floor(after))


def _timer(turns: Turns, name: str) -> Next:
    if name == "hold" and turns.phase is Phase.HELD:
        if turns.sounding and turns.holds < MAX_HOLDS:
            return replace(turns, holds=turns.holds + 1), (Arm("hold", HOLD_MS),)
        return _resume(turns, turns.words)
    if name in ("idle", "deaf") and turns.phase is Phase.LISTENING and not turns.keys:
        after = _think(turns)
        return after, (*_thinking(), Idle(after.turn))
    if name == "keys" and turns.keys:
        if turns.phase is not Phase.LISTENING:
            return turns, (Arm("keys", KEYS_MS),)
        after = _think(turns)
        return after, (*_thinking(), CommitKeys(after.turn, turns.keys))
    if turns.phase is Phase.THINKING:
        return _silence(turns, name)
    return turns, ()


def _silence(turns: Turns, name: str) -> Next:
    """Nothing of the answer has been heard for too long."""
    if name == "filler":
        return turns, (Say(name, turns.turn),)
    if name != "apology":
        return turns, ()
    if turns.apologies >= MAX_APOLOGIES:
        return _leave(turns)
    after = replace(turns, apologies=turns.apologies + 1)
    return after, (Say(name, turns.turn), Arm("apology", APOLOGY_AGAIN_MS))


def _leave(turns: Turns) -> Next:
    after = replace(turns, phase=Phase.LEAVING, turn=turns.turn + 1)
    return after, (Cut(turns.turn, "", caller=False), *_disarm_all(), Leave(after.turn))
