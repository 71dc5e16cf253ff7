"""What happens in a call's turn-taking, what is to be done about it, and where it stands: the model of `turns`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec
from msgspec.structs import replace

IDLE_MS = 9_000
MAX_CRIES = 2


class Phase(StrEnum):
    """Who has the floor."""

    CONNECTING = "connecting"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    HELD = "held"
    SUPERVISED = "supervised"
    LEAVING = "leaving"
    ENDED = "ended"


_OURS = (Phase.SPEAKING, Phase.HELD)


# --- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """The recogniser believes that somebody began (or stopped) making sound."""

    on: bool


@dataclass(frozen=True, slots=True)
class Loud:
    """The caller's line became loud while we speak (or is soft again): sooner known than any word, and less certain."""

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
class Working:
    """A tool runs for the current turn, or has ended: the wait is for it, and has an end of its own."""

    on: bool


@dataclass(frozen=True, slots=True)
class Announce:
    """A line that is not the conversation's own is to be said: at the next moment at which nobody is in the middle of
    something, or `now`. `key` is its name."""

    key: str
    now: bool = False


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A supervisor speaks with the caller themselves from now on."""


@dataclass(frozen=True, slots=True)
class Released:
    """The supervisor has given the caller back."""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """An engine that the call cannot do without is gone for good."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The call is over."""


TurnEvent = (
    Sound | Loud | Words | Utterance | Key | Opened | Interruptible | AudioBegan | RanDry | PlayedOut | TimerFired
    | Recording | Working | Announce | TakenOver | Released | GaveUp | Stopped
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
class Announcing:
    """Say the line of this name: this turn is ours."""

    turn: int
    key: str


@dataclass(frozen=True, slots=True)
class Overheard:
    """The caller said this to the supervisor: it is kept, and not answered."""

    turn: int
    text: str
    understood: bool


@dataclass(frozen=True, slots=True)
class Regained:
    """The caller is ours again: this turn is ours."""

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


TurnCommand = (
    Commit | CommitKeys | Idle | LeaveMessage | Announcing | Overheard | Regained | Hold | Resume | Cut | Ignored
    | Say | Leave | Arm | Disarm
)  # fmt: skip


# --- the state -------------------------------------------------------------------------------------------------------


class Turns(msgspec.Struct, frozen=True):
    """A struct, for it is replaced with each event. `waiting` is an utterance that came while we could not be
    interrupted; `words` are those that hold us, or did last (the same words again do not hold twice). `lines` are
    announcements that wait; `working`: a tool runs for this turn, of which the caller was told `waits` times; `lost`:
    an engine was lost for good while a supervisor had the caller. `cries`: how often in a row the line was loud and
    nothing was said."""

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
    lines: tuple[str, ...] = ()
    working: bool = False
    waits: int = 0
    lost: bool = False
    cries: int = 0

    def counted_on(self, turn: int) -> Turns:
        """The same, behind the turns of another instance."""
        return replace(self, turn=turn)

    @property
    def alert(self) -> bool:
        """Does it matter whether the caller's line becomes loud? A line that has cried wolf is not listened to: on a
        bad one, or with somebody who hums along, only words hold us."""
        return self.cries < MAX_CRIES and self.interruptible and self.phase in _OURS
