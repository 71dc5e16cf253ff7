"""What happens in a call's turn-taking, what is to be done about it, and where it stands: the model of `turns`."""

from __future__ import annotations

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


class Sound(msgspec.Struct, frozen=True):
    """The recogniser believes that somebody began (or stopped) making sound."""

    on: bool


class Loud(msgspec.Struct, frozen=True):
    """The caller's line became loud while we speak (or is soft again): sooner known than any word, and less certain."""

    on: bool


class Words(msgspec.Struct, frozen=True):
    """What has been recognised of the utterance so far."""

    text: str


class Utterance(msgspec.Struct, frozen=True):
    """The caller's turn, whole; `typed` when it did not come by voice (then it always counts)."""

    text: str
    understood: bool = True
    typed: bool = False


class Key(msgspec.Struct, frozen=True):
    """A key of the phone."""

    digit: str


class Opened(msgspec.Struct, frozen=True):
    """The call begins: the assistant greets (turn 0 is ours)."""


class Interruptible(msgspec.Struct, frozen=True):
    """Whether what is about to be said may be interrupted."""

    on: bool


class AudioBegan(msgspec.Struct, frozen=True):
    """The first sound of the reply has been sent."""


class RanDry(msgspec.Struct, frozen=True):
    """All that was sent of the reply has been heard, and more of it is awaited (a tool runs, a voice is slow)."""


class PlayedOut(msgspec.Struct, frozen=True):
    """The reply is complete and has been heard to its end."""


class TimerFired(msgspec.Struct, frozen=True):
    """A timer that was armed and not disarmed."""

    name: str


class Recording(msgspec.Struct, frozen=True):
    """A machine has answered and records now: what we say next is the message that we leave."""


class Working(msgspec.Struct, frozen=True):
    """A tool runs for the current turn, or has ended: the wait is for it, and has an end of its own."""

    on: bool


class Announce(msgspec.Struct, frozen=True):
    """A line that is not the conversation's own is to be said: at the next moment at which nobody is in the middle of
    something, or `now`. `key` is its name."""

    key: str
    now: bool = False


class TakenOver(msgspec.Struct, frozen=True):
    """A supervisor speaks with the caller themselves from now on."""


class Released(msgspec.Struct, frozen=True):
    """The supervisor has given the caller back."""


class GaveUp(msgspec.Struct, frozen=True):
    """An engine that the call cannot do without is gone for good."""


class Stopped(msgspec.Struct, frozen=True):
    """The call is over."""


TurnEvent = (
    Sound | Loud | Words | Utterance | Key | Opened | Interruptible | AudioBegan | RanDry | PlayedOut | TimerFired
    | Recording | Working | Announce | TakenOver | Released | GaveUp | Stopped
)  # fmt: skip


# --- commands ------------------------------------------------------------------------------------------------------


class Commit(msgspec.Struct, frozen=True):
    """The caller's turn is real: answer it."""

    turn: int
    text: str
    understood: bool


class CommitKeys(msgspec.Struct, frozen=True):
    """The caller's turn was made with the keypad."""

    turn: int
    digits: str


class Idle(msgspec.Struct, frozen=True):
    """Nobody spoke for the idle time: this turn is ours."""

    turn: int


class LeaveMessage(msgspec.Struct, frozen=True):
    """Speak to the machine that records: this turn is ours, and nothing interrupts it."""

    turn: int


class Announcing(msgspec.Struct, frozen=True):
    """Say the line of this name: this turn is ours."""

    turn: int
    key: str


class Overheard(msgspec.Struct, frozen=True):
    """The caller said this to the supervisor: it is kept, and not answered."""

    turn: int
    text: str
    understood: bool


class Regained(msgspec.Struct, frozen=True):
    """The caller is ours again: this turn is ours."""

    turn: int


class Hold(msgspec.Struct, frozen=True):
    """Fall silent, forget nothing."""


class Resume(msgspec.Struct, frozen=True):
    """It was nothing: go on from the last heard word."""

    words: str


class Cut(msgspec.Struct, frozen=True):
    """Stop thinking and speaking for the turn that was (tools go on). The caller has the floor, unless the call itself
    is over (`caller` False)."""

    turn: int
    words: str
    caller: bool = True


class Ignored(msgspec.Struct, frozen=True):
    """Words that were not a turn."""

    words: str


class Say(msgspec.Struct, frozen=True):
    """Say the pre-rendered `filler` or `apology`."""

    what: str
    turn: int


class Leave(msgspec.Struct, frozen=True):
    """Apologise with what is at hand, and give the caller to a human."""

    turn: int


class Arm(msgspec.Struct, frozen=True):
    """(Re)start a timer."""

    name: str
    ms: int


class Disarm(msgspec.Struct, frozen=True):
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
