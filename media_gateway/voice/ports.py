"""What the call loop needs from the outside: ears (STT), a mind (LLM), a voice (TTS), and the line to the caller.

Audio everywhere is mu-law, 8,000 Hz, one byte a sample: 8 bytes are 1 ms. Callbacks are plain functions, called on
the event loop; they return at once. A provider is one file in `media_gateway/providers` that satisfies one of these.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from media_gateway.conversation.model import ListeningProfile

BYTES_PER_MS = 8
SILENCE = b"\xff"


# --- hearing -------------------------------------------------------------------------------------------------------


class SpeechStarted(msgspec.Struct, frozen=True):
    """Sound that may be speech began. Fires on noise too: hold nothing on it alone."""


class Partial(msgspec.Struct, frozen=True):
    """The whole text of the turn so far; may still change."""

    text: str


class Final(msgspec.Struct, frozen=True):
    """The turn is over (`text` whole). `confidence` 0..1, None if the engine has none; `understood` is False when the
    engine itself believes that what it heard lies outside what it can recognise. `speech_end_ms` is how long before
    this event the caller stopped speaking, as far as the engine knows."""

    text: str
    confidence: float | None = None
    understood: bool = True
    speech_end_ms: int | None = None


class EagerFinal(msgspec.Struct, frozen=True):
    """The turn is probably over, and `text` is then the whole of it. Next comes a `Final` with the same text, or
    `TurnResumed`; until then nothing may be done that cannot be taken back. Only some engines say this."""

    text: str
    confidence: float | None = None
    speech_end_ms: int | None = None


class TurnResumed(msgspec.Struct, frozen=True):
    """The `EagerFinal` before was wrong: the caller goes on speaking."""


class SpeechEnded(msgspec.Struct, frozen=True):
    """Sound stopped without becoming a turn (noise, a cough)."""


@dataclass(frozen=True, slots=True)
class EarsStumbled:
    """The recogniser is lost for the moment; the engine opens it again by itself and keeps the sound meanwhile."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class EarsFailed:
    """The recogniser is gone and will not come back by itself."""

    kind: str
    detail: str


Heard = SpeechStarted | Partial | EagerFinal | TurnResumed | Final | SpeechEnded | EarsStumbled | EarsFailed


class Hearing(Protocol):
    """One caller's open recogniser."""

    def feed(self, mulaw: bytes) -> None:
        """A frame of the caller's sound, usually 20 ms. Never blocks and never raises; bounded inside."""

    def configure(self, profile: ListeningProfile) -> None:
        """Listen differently from now on."""

    async def aclose(self) -> None:
        """Stop; safe to call twice. No callback comes after it."""


@runtime_checkable
class Remembering(Hearing, Protocol):
    """One that keeps sound which it has not made into words."""

    def unheard(self) -> bytes:
        """What the next one should hear first, once this one has failed."""


class Ears(Protocol):
    """A speech-to-text provider."""

    name: str

    async def open(self, profile: ListeningProfile, on_heard: Callable[[Heard], None]) -> Hearing:
        """Raises ProviderFault when the engine cannot be had."""


# --- thinking ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A line of the history as the model sees it: what was *heard*, not what was generated."""

    role: Literal["user", "assistant", "tool"]
    text: str
    tool_call_id: str | None = None
    tool_calls: tuple[ToolRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """The model asks for a tool. `call_id` is the model's own id, of no meaning beyond the history. With a `problem`
    it cannot be run (no such tool, arguments that are none): the model is told, and nothing happens."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    problem: str = ""


class TextDelta(msgspec.Struct, frozen=True):
    """More of what is to be said."""

    text: str


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one request, or a correction of what was said of it before; they add up."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class StoodIn:
    """The first choice failed (`kind` and `detail` as in ProviderFault), and `by` answers in its place."""

    kind: str
    detail: str
    by: str


Thinking = TextDelta | ToolRequest | Usage | StoodIn


@dataclass(frozen=True, slots=True)
class Thought:
    """What a mind is asked: the system prompt, the history, the tools it may ask for (JSON schemas), and what the
    conversation manager would say and do by itself (`script`, `script_tools`): a scripted mind says exactly that,
    a language model takes it as guidance, and it is the stand-in when the model fails."""

    turn: int
    system: str
    history: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    script: str = ""
    script_tools: Sequence[ToolRequest] = ()


class Mind(Protocol):
    """A language model, or the script."""

    name: str

    def think(self, thought: Thought) -> AsyncIterator[Thinking]:
        """Streams; closing the iterator cancels the request for real. Raises ProviderFault."""


# --- speaking ------------------------------------------------------------------------------------------------------


Timing = tuple[tuple[int, float], ...]
"""(characters of the text that was asked for, ms of this sound by which they have been said), growing; empty where the
voice does not tell."""


class SpokenAudio(msgspec.Struct, frozen=True, gc=False):
    """Sound of clause `clause` of reply `reply`: any number of bytes, mu-law 8 kHz."""

    reply: int
    clause: int
    mulaw: bytes
    timing: Timing = ()


@dataclass(frozen=True, slots=True)
class SpokenTogether:
    """Clauses `first` to `last` of a reply are one stretch of sound, which comes and ends as that of `first`. Said
    before any sound of those behind the first, as often as it grows."""

    reply: int
    first: int
    last: int


class SpokenEnd(msgspec.Struct, frozen=True):
    """Clause `clause` of reply `reply` is complete."""

    reply: int
    clause: int


@dataclass(frozen=True, slots=True)
class VoiceTrouble:
    """A provider did not do its part, and the voice goes on all the same (another one stood in)."""

    provider: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class VoiceFailed:
    """The voice is gone; clauses not ended will not come. `provider` where one of several spoke."""

    kind: str
    detail: str
    provider: str = ""


Spoken = SpokenAudio | SpokenTogether | SpokenEnd | VoiceTrouble | VoiceFailed


class Speaking(Protocol):
    """One call's open voice. Clauses of a reply sound in the order they were said."""

    def say(self, reply: int, clause: int, text: str) -> None:
        """Never blocks; the sound comes through the callback."""

    def done(self, reply: int) -> None:
        """No more clauses of this reply come: what waited for more of them is to sound now."""

    def cancel(self, reply: int) -> None:
        """Stop making sound for this reply. Late audio of it may still come; the caller drops it by `reply`."""

    async def aclose(self) -> None:
        """Stop; safe to call twice. No callback comes after it."""


class Voice(Protocol):
    """A text-to-speech provider."""

    name: str

    async def open(self, on_spoken: Callable[[Spoken], None]) -> Speaking:
        """Raises ProviderFault when the engine cannot be had."""

    async def render(self, text: str) -> bytes:
        """The whole text as mu-law, for the cache of greetings and apologies. Raises ProviderFault."""


@runtime_checkable
class Several(Protocol):
    """A voice of several providers."""

    def without(self, provider: str) -> Voice:
        """The same for a call in which `provider` has just failed: it comes last."""


@runtime_checkable
class Rendering(Protocol):
    """A voice to which many lines at once are cheaper than one by one."""

    def rendering(self) -> AbstractAsyncContextManager[None]:
        """Lines are rendered, until it is left."""


@runtime_checkable
class Warmable(Protocol):
    """A provider that can get ready before the first call, and then holds something to let go of."""

    async def warm(self) -> None:
        """Raises ProviderFault."""

    async def aclose(self) -> None:
        """Safe to call twice."""


# --- the line ------------------------------------------------------------------------------------------------------


class Line(Protocol):
    """Towards the caller. Sends are synchronous hand-overs to the transport's buffer (no await per frame)."""

    def media(self, mulaw: bytes) -> None:
        """Queue sound behind what was queued before."""

    def mark(self, name: str) -> None:
        """Ask for an echo once all that was queued before it has been played (or cleared)."""

    def clear(self) -> None:
        """Drop everything that has not been played."""

    def close(self) -> None:
        """End the media stream; what follows is up to the TwiML behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedStream:
    """A media stream whose `start` has been verified: the token fits the call and was claimed."""

    call_id: str
    stream_sid: str
    org: str = "default"
    caller_phone: str | None = None
    flow: str | None = None
    resumed: bool = False
    direction: Literal["inbound", "outbound"] = "inbound"
    variables: Mapping[str, Any] = field(default_factory=dict)
    """What a call that we place is about (`Call.metadata["variables"]`)."""


class Microphone(Protocol):
    """A supervisor's sound on its way to the caller."""

    open: bool

    def feed(self, mulaw: bytes) -> None:
        """Mu-law 8 kHz. Never blocks; what comes faster than it sounds is dropped."""

    def close(self) -> None:
        """Give the caller back. Safe to call twice."""


class Session(Protocol):
    """A call in progress, as the socket shell sees it. The `on_*` methods are called on the event loop, return at once
    and never raise."""

    call_id: str

    def on_media(self, mulaw: bytes) -> None:
        """A frame of the caller's sound."""

    def on_mark(self, name: str) -> None:
        """An echo of a mark."""

    def on_digit(self, digit: str) -> None:
        """A key was pressed."""

    def on_text(self, text: str) -> None:
        """The caller typed instead of speaking (demo, browser)."""

    def on_stop(self) -> None:
        """Twilio said that the stream is over."""

    def on_lost(self) -> None:
        """The socket is gone without a word."""

    def add_tap(self, tap: Callable[[int, bytes], None]) -> Callable[[], None]:
        """Listen in: `tap(side, mulaw)` with side 0 the caller, 1 the assistant. Returns how to stop."""

    def on_commands(self) -> None:
        """There may be commands of supervisors for this call."""

    def microphone(self, user: str) -> Microphone | None:
        """For the supervisor who has taken this caller over, once; None for anybody else."""

    async def run(self) -> None:
        """The whole call; returns when nothing of it is left, the line closed if it was ours to close."""

    def move(self) -> None:
        """This instance is going away: tell the journal, and close the stream so that another one takes over."""


SessionFactory = Callable[[StartedStream, Line], Session]


class ProviderFault(Exception):
    """A provider did not do its part. `kind` is one of: refused, unauthorized, busy, timeout, broken, missing."""

    def __init__(self, provider: str, kind: str, detail: str = "") -> None:
        super().__init__(f"{provider}: {kind}: {detail}" if detail else f"{provider}: {kind}")
        self.provider = provider
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Engines:
    """The three providers of a call."""

    ears: Ears
    mind: Mind
    voice: Voice
    extras: Mapping[str, Any] = field(default_factory=dict)
