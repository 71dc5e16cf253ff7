"""Turn-taking: who may speak, when a turn is over, what an interruption is. A pure reducer: `step(turns, event)`
gives the next `Turns` and the commands for the shell. No clock (timers come back as events), no I/O, no randomness.

    LISTENING --Utterance--> THINKING --AudioBegan--> SPEAKING --PlayedOut--> LISTENING
                                                        |  ^
                                  first words over it   v  | noise, "uh-huh", nothing more
                                                       HELD --words go on--> cut, the caller has the floor

`turn` is the one token of the call: whatever was started for an older turn may not emit audio any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

HOLD_MS = 900
"""How long a hold waits for more words before speech goes on."""
MAX_HOLDS = 3
IDLE_MS = 9_000
KEYS_MS = 1_500
FILLER_MS = 1_000
"""After this long in thought something is said: with the way to the caller's ear, inside the 1.2 s of the design."""
APOLOGY_MS = 3_500
CONFIRM_WORDS = 2

_INTERJECTIONS = frozenset(
    {"uh", "huh", "uhhuh", "um", "mm", "hm", "hmm", "mhm", "mmhm", "ah", "oh", "ok", "okay", "right", "yeah", "yep"}
    | {"sure", "i", "see", "got", "it", "alright"}
)


class Phase(StrEnum):
    """Who has the floor."""

    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    HELD = "held"
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
class PlayedOut:
    """The reply is complete and has been heard to its end."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that was armed and not disarmed."""

    name: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The call is over."""


TurnEvent = (
    Sound | Words | Utterance | Key | Opened | Interruptible | AudioBegan | PlayedOut | TimerFired | Stopped
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
class Hold:
    """Fall silent, forget nothing."""


@dataclass(frozen=True, slots=True)
class Resume:
    """It was nothing: go on from the last heard word."""

    words: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The caller has the floor: stop thinking and speaking for the turn that was (tools go on)."""

    turn: int
    words: str


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
class Arm:
    """(Re)start a timer."""

    name: str
    ms: int


@dataclass(frozen=True, slots=True)
class Disarm:
    """Stop a timer."""

    name: str


TurnCommand = Commit | CommitKeys | Idle | Hold | Resume | Cut | Ignored | Say | Arm | Disarm


# --- the machine ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turns:
    """`waiting` is an utterance that came while we could not be interrupted."""

    phase: Phase = Phase.LISTENING
    turn: int = 0
    sounding: bool = False
    words: str = ""
    holds: int = 0
    interruptible: bool = True
    keys: str = ""
    waiting: Utterance | None = None
    idle_ms: int = IDLE_MS


Next = tuple[Turns, tuple[TurnCommand, ...]]


def real_words(text: str) -> int:
    """Words that are more than an interjection ("uh-huh", "okay")."""
    return sum(word not in _INTERJECTIONS for word in re.findall(r"[a-z0-9']+", text.lower()))


def step(turns: Turns, event: TurnEvent) -> Next:
    """One step. Every event is allowed in every phase."""
    if turns.phase is Phase.ENDED:
        return turns, ()
    match event:
        case Stopped():
            cut = Cut(turns.turn, "")
            return replace(turns, phase=Phase.ENDED, turn=turns.turn + 1), (cut, *_disarm_all())
        case Opened():
            return replace(turns, phase=Phase.THINKING), ()
        case Interruptible(on):
            return replace(turns, interruptible=on), ()
        case Sound(on):
            return _sound(replace(turns, sounding=on))
        case Words(text):
            return _words(turns, text)
        case Utterance():
            return _utterance(replace(turns, sounding=False), event)
        case Key(digit):
            return _key(turns, digit)
        case AudioBegan():
            if turns.phase is not Phase.THINKING:
                return turns, ()
            return replace(turns, phase=Phase.SPEAKING), (Disarm("filler"), Disarm("apology"))
        case PlayedOut():
            return _played_out(turns)
        case TimerFired(name):
            return _timer(turns, name)


def _disarm_all() -> tuple[TurnCommand, ...]:
    return tuple(Disarm(name) for name in ("idle", "hold", "keys", "filler", "apology"))


def _sound(turns: Turns) -> Next:
    if turns.phase is Phase.LISTENING:
        # Sound alone only stretches the wait: hold music never ends, and a wall clock must.
        return turns, (Arm("idle", turns.idle_ms * (2 if turns.sounding else 1)),)
    if turns.phase is Phase.HELD and not turns.sounding:
        return _resume(turns, turns.words)
    return turns, ()


def _words(turns: Turns, text: str) -> Next:
    count = real_words(text)
    match turns.phase:
        case Phase.SPEAKING if count and turns.interruptible:
            return replace(turns, phase=Phase.HELD, words=text, holds=1), (Hold(), Arm("hold", HOLD_MS))
        case Phase.HELD if count >= CONFIRM_WORDS and text != turns.words:
            freed = replace(turns, phase=Phase.LISTENING, words="", turn=turns.turn + 1)
            return freed, (Disarm("hold"), Cut(turns.turn, text), Arm("idle", turns.idle_ms))
        case Phase.LISTENING:
            return turns, (Arm("idle", turns.idle_ms * 2),)
        case _:
            return turns, ()


def _utterance(turns: Turns, said: Utterance) -> Next:
    empty = not said.text.strip() and said.understood
    if turns.phase is Phase.LISTENING:
        return (turns, (Arm("idle", turns.idle_ms),)) if empty else _commit(turns, said)
    if said.typed:
        return _interrupt(turns, said)
    if turns.phase is Phase.HELD:
        meant = said.understood and real_words(said.text)
        return _interrupt(turns, said) if meant else _resume(turns, said.text)
    if empty or not real_words(said.text) or not said.understood:
        return turns, ((Ignored(said.text),) if said.text else ())
    if not turns.interruptible:
        return replace(turns, waiting=said), ()
    return _interrupt(turns, said)


def _interrupt(turns: Turns, said: Utterance) -> Next:
    cut = Cut(turns.turn, said.text)
    after, commands = _commit(turns, said)
    return after, (cut, *commands)


def _commit(turns: Turns, said: Utterance) -> Next:
    after = _think(turns)
    return after, (*_thinking(), Commit(after.turn, said.text, said.understood))


def _think(turns: Turns) -> Turns:
    return replace(turns, phase=Phase.THINKING, turn=turns.turn + 1, words="", holds=0, keys="", interruptible=True)


def _thinking() -> tuple[TurnCommand, ...]:
    return (Disarm("idle"), Disarm("hold"), Disarm("keys"), Arm("filler", FILLER_MS), Arm("apology", APOLOGY_MS))


def _resume(turns: Turns, words: str) -> Next:
    return replace(turns, phase=Phase.SPEAKING, words="", holds=0), (Disarm("hold"), Resume(words))


def _key(turns: Turns, digit: str) -> Next:
    keys = turns.keys + digit
    commands: tuple[TurnCommand, ...] = (Disarm("idle"), Arm("keys", KEYS_MS))
    if turns.phase in (Phase.SPEAKING, Phase.HELD) and turns.interruptible:
        freed = replace(turns, phase=Phase.LISTENING, turn=turns.turn + 1, words="", keys=keys)
        return freed, (Disarm("hold"), Cut(turns.turn, ""), *commands)
    return replace(turns, keys=keys), commands


def _played_out(turns: Turns) -> Next:
    if turns.phase not in (Phase.SPEAKING, Phase.THINKING):
        return turns, ()
    after = replace(turns, phase=Phase.LISTENING, interruptible=True, waiting=None)
    quiet: tuple[TurnCommand, ...] = (Disarm("filler"), Disarm("apology"))
    if turns.waiting:
        after, commands = _commit(after, turns.waiting)
        return after, (*quiet, *commands)
    return after, (quiet if turns.sounding or turns.keys else (*quiet, Arm("idle", turns.idle_ms)))


def _timer(turns: Turns, name: str) -> Next:
    if name == "hold" and turns.phase is Phase.HELD:
        if turns.sounding and turns.holds < MAX_HOLDS:
            return replace(turns, holds=turns.holds + 1), (Arm("hold", HOLD_MS),)
        return _resume(turns, turns.words)
    if name == "idle" and turns.phase is Phase.LISTENING and not turns.keys:
        after = _think(turns)
        return after, (*_thinking(), Idle(after.turn))
    if name == "keys" and turns.keys:
        if turns.phase is not Phase.LISTENING:
            return turns, (Arm("keys", KEYS_MS),)
        after = _think(turns)
        return after, (*_thinking(), CommitKeys(after.turn, turns.keys))
    if name in ("filler", "apology") and turns.phase is Phase.THINKING:
        return turns, (Say(name, turns.turn),)
    return turns, ()
