"""What every call of this process shares; put together once by the composition root."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from media_gateway.conversation.model import ConversationState, Input, ListeningProfile, Started, Step
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.voice.ports import Engines
from media_gateway.voice.recording import Recorder
from media_gateway.voice.sounding import Pace
from media_gateway.voice.telemetry import Nobody, Telemetry
from realtime.clock import Clock, utcnow
from realtime.events import LiveType
from realtime.journal import Journal
from realtime.stores.port import DocumentStore

GENERAL_FLOW = "inbound_general"
"""Who greets a caller who could not be looked up; where there is no such flow, the caller's number decides."""


class Conversing(Protocol):
    """The conversation manager of one flow."""

    @property
    def name(self) -> str:
        """The flow's name."""

    @property
    def listening(self) -> ListeningProfile:
        """How to listen before the first directive."""

    @property
    def approval(self) -> Collection[str]:
        """Tools that a supervisor has to approve first."""

    @property
    def recorded(self) -> bool:
        """May the sound of these calls be kept?"""

    def begin(self) -> ConversationState:
        """The state before `Started`."""

    def step(self, state: ConversationState, event: Input) -> Step:
        """Pure."""


class Toolbox(Protocol):
    """The router of the tools."""

    def schemas(self, names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """What a model may be offered."""

    def problem(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What is wrong with this call before it is made; empty if nothing is."""

    async def run(self, name: str, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Never raises for a tool's own failure; has a deadline of its own."""


class Audience(Protocol):
    """Who watches calls in this process (`realtime.hub.Hub`)."""

    def notice(self, head: Mapping[str, Any]) -> None:
        """A head changed."""

    def live(self, call_id: str, type_: LiveType, data: Mapping[str, Any], ts: str) -> None:
        """Something happens that is shown and not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The clocks of a call, in seconds; tests shorten them."""

    first_word: float = 2.5
    """From the question to the model's first word; then the script stands in."""
    lookup: float = 0.25
    """For the caller's record; then they are greeted as unknown."""
    opener: float = 0.1
    """From the start of the stream until it is known who calls; then `Parts.opener` is said. Before a greeting that is
    not at hand as sound it is said at once."""
    open: float = 5.0
    """For an engine to open."""
    close: float = 2.0
    """For an engine to close."""
    sound: float = 4.0
    """From a clause to its first sound, and from sound to more of it; then the voice counts as gone."""
    effect: float = 5.0
    """For a tool's effect to be kept; then the caller is told that it did not work (for all that is known)."""
    deeds: float = 8.0
    """After the end, for what the caller has asked for to be done."""
    lost: float = 5.0
    """For another instance to take over a stream that broke; then the call is over."""
    approval: float = 30.0
    """For a supervisor to approve a tool; then it is refused."""
    microphone: float = 20.0
    """For the microphone of a supervisor who has taken the caller over; then the assistant goes on."""
    longest: float = 55 * 60.0
    """A call, since it began: a media stream lives for 60 minutes."""
    warning: float = 60.0
    """Before that, for the caller to be told."""
    verdict: float = 45.0
    """For the carrier to say whether a human or a machine answered a call of ours (it takes 30 at most)."""
    look: float = 0.5
    """Between two looks for that."""
    finish: float = 20.0
    """To write the end of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The shared parts. `prerendered` maps a line to its mu-law sound; `lookup` finds a customer by phone number."""

    journal: Journal
    store: DocumentStore
    audience: Audience
    engines: Engines
    choose: Callable[[str | None, Started], Conversing]
    tools: Toolbox
    instance: str
    zone: ZoneInfo
    prerendered: Mapping[str, bytes] = field(default_factory=dict)
    opener: str = ""
    """Said before a greeting that takes its time; "": nothing is."""
    filler: str = "One moment, please."
    working: str = "I am still working on that. One more moment, please."
    transfer: str = "One moment, please. I am putting you through to a colleague."
    time_soon: str = "I have to tell you that we have about one minute left on this call."
    time_up: str = "I am sorry, our time on this call is up. Please call again if there is more to do. Goodbye."
    apology: str = "I am sorry, I am having some trouble on my side. Could you say that once more?"
    regret: str = (
        "I am sorry, I am having trouble on my side, and nobody can take your call right now. Please call again later. "
        "Goodbye."
    )
    cut_off: str = "Sorry, we were cut off."
    lookup: Callable[[str, str], Awaitable[Mapping[str, Any] | None]] | None = None
    clock: Clock = utcnow
    monotonic: Callable[[], float] = time.monotonic
    patience: Patience = field(default_factory=Patience)
    telemetry: Telemetry = field(default_factory=Nobody)
    recorder: Recorder | None = None
    """None: the sound of calls is not kept."""
    paces: dict[str, Pace] = field(default_factory=dict)
    """How fast each voice speaks, as all calls have learned it."""

    def pace_of(self, voice: str) -> Pace:
        """Of the voice of this name."""
        return self.paces.setdefault(voice, Pace())

    @property
    def lines(self) -> tuple[str, ...]:
        """What may have to be said at once, or without a voice: to be rendered before the first call."""
        return (
            *filter(None, [self.opener]),
            self.filler,
            self.working,
            self.transfer,
            self.time_soon,
            self.time_up,
            self.apology,
            self.regret,
            self.cut_off,
        )

    def local_now(self) -> str:
        """The shop's local time, as the manager is told it."""
        return self.clock().astimezone(self.zone).isoformat(timespec="seconds")
