"""A whole call in virtual time: engines that fail on purpose, and a caller who knows when they heard what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from media_gateway.conversation.model import ListeningProfile
from media_gateway.voice.parts import Parts, Patience
from media_gateway.voice.ports import (
    EarsFailed,
    Final,
    Heard,
    Partial,
    ProviderFault,
    SpeechStarted,
    Spoken,
    SpokenAudio,
    SpokenEnd,
    TextDelta,
    Thought,
    ToolRequest,
    Usage,
    VoiceFailed,
)
from realtime.call import Call
from realtime.events import EventType
from realtime.journal import Journal
from realtime.stores.port import StoreUnavailable, Write
from tests.media_gateway.voice import stage as scene
from tests.media_gateway.voice.stage import APOLOGY, CALL, FILLER, GREETING, Stage
from tests.media_gateway.voice.virtual import MemoryStore, monotonic, utc

WORKING, TIME_SOON, TIME_UP, TRANSFER = "Still working.", "One minute left.", "Time is up.", "I put you through."
LINES = (GREETING, APOLOGY, FILLER, WORKING, TIME_SOON, TIME_UP, TRANSFER)
MS_PER_CHARACTER = 60

OPENING = ("refused", "unauthorized", "busy", "hung open")
MIND = ("refused", "unauthorized", "busy", "hung", "slow", "empty", "cut", "hung in the middle", "bug")
VOICE = (*OPENING, "fails", "dumb", "empty", "slow", "cut", "stalls")
EARS = (*OPENING, "fails", "deaf")


def sound(text: str) -> bytes:
    """Unlike the silence of a pause, and as long as people speak."""
    return b"\x2a" * (8 * MS_PER_CHARACTER * len(text))


class Trouble:
    """`kind` strikes the next `times` uses."""

    def __init__(self) -> None:
        self.kind = ""
        self.times = 0
        self.struck = 0

    def set(self, kind: str, times: int) -> None:
        self.kind, self.times = kind, times

    def take(self, *kinds: str) -> str:
        """The trouble, if it is one of these and there is any left."""
        if self.times <= 0 or self.kind not in kinds:
            return ""
        self.times -= 1
        self.struck += 1
        return self.kind


async def _open(name: str, trouble: Trouble) -> None:
    await asyncio.sleep(0.05)
    match trouble.take(*OPENING):
        case "hung open":
            await asyncio.sleep(3_600)
        case "":
            pass
        case kind:
            raise ProviderFault(name, kind)


@dataclass
class Mind:
    trouble: Trouble
    name: str = "mind"
    thoughts: list[Thought] = field(default_factory=list)

    async def think(self, thought: Thought) -> AsyncIterator[TextDelta | ToolRequest | Usage]:
        self.thoughts.append(thought)
        kind = self.trouble.take(*MIND)
        await asyncio.sleep(0.3)
        if kind == "hung":
            await asyncio.sleep(3_600)
        if kind == "bug":
            raise RuntimeError("a bug")
        if kind in OPENING:
            raise ProviderFault(self.name, kind)
        words = [] if kind == "empty" else thought.script.split(" ")
        whole = kind not in ("cut", "hung in the middle")
        for word in words if whole else words[:2]:
            await asyncio.sleep(2.0 if kind == "slow" else 0.01)
            yield TextDelta(word + " ")
        if kind == "hung in the middle":
            await asyncio.sleep(3_600)
        if kind == "cut":
            raise ProviderFault(self.name, "broken")
        for request in thought.script_tools if kind != "empty" else ():
            yield request
        yield Usage(100, 20, 0)


@dataclass
class Voice:
    trouble: Trouble
    name: str = "voice"
    opened: list[OpenVoice] = field(default_factory=list)

    async def open(self, on_spoken: Callable[[Spoken], None]) -> OpenVoice:
        await _open(self.name, self.trouble)
        self.opened.append(OpenVoice(self, on_spoken))
        return self.opened[-1]

    async def render(self, text: str) -> bytes:
        return sound(text)


@dataclass
class OpenVoice:
    owner: Voice
    tell: Callable[[Spoken], None]
    closed: bool = False
    free: float = 0.0

    def say(self, reply: int, clause: int, text: str) -> None:
        kind, audio = self.owner.trouble.take(*VOICE[len(OPENING) :]), sound(text)
        half = len(audio) // 2
        at = max(self.free, asyncio.get_running_loop().time()) + 0.15
        end = SpokenEnd(reply, clause)
        plan: list[tuple[float, Spoken]] = [(0, SpokenAudio(reply, clause, audio[:half]))]
        match kind:
            case "fails":
                plan = [(0, VoiceFailed("broken", "test"))]
            case "dumb":
                plan = []
            case "empty":
                plan = [(0, end)]
            case "cut":
                plan.append((0.1, VoiceFailed("broken", "test")))
            case "stalls":
                pass
            case "slow":
                plan = [(3.0, plan[0][1]), (6.0, SpokenAudio(reply, clause, audio[half:])), (6.1, end)]
            case _:
                plan += [(0.05, SpokenAudio(reply, clause, audio[half:])), (0.06, end)]
        for after, event in plan:
            asyncio.get_running_loop().call_at(at + after, self._emit, event)
        self.free = at

    def done(self, reply: int) -> None:
        """Nothing waits for it."""

    def cancel(self, reply: int) -> None:
        """Late sound still comes: the mouth has to drop it."""

    def break_off(self) -> None:
        """The socket breaks: nothing more comes of it."""
        self._emit(VoiceFailed("broken", "test"))
        self.closed = True

    def _emit(self, event: Spoken) -> None:
        if not self.closed:
            self.tell(event)

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Ears:
    trouble: Trouble
    name: str = "ears"
    opened: list[OpenEars] = field(default_factory=list)

    async def open(self, profile: ListeningProfile, on_heard: Callable[[Heard], None]) -> OpenEars:
        await _open(self.name, self.trouble)
        self.opened.append(OpenEars(on_heard))
        return self.opened[-1]


@dataclass
class OpenEars:
    tell: Callable[[Heard], None]
    closed: bool = False

    def feed(self, mulaw: bytes) -> None:
        """The words come by `Caller.say`."""

    def configure(self, profile: ListeningProfile) -> None:
        """Nothing to it."""

    async def aclose(self) -> None:
        self.closed = True


class Line(scene.Line):
    """Remembers from when to when the caller heard something (seconds of virtual time), and what came too late."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[float, float]] = []

    def media(self, mulaw: bytes) -> None:
        start = max(self._free, asyncio.get_running_loop().time())
        super().media(mulaw)
        self.heard.append((start, self._free))

    def clear(self) -> None:
        now = asyncio.get_running_loop().time()
        self.heard = [(start, min(end, now)) for start, end in self.heard if start < now]
        super().clear()

    def silence_from(self, moment: float, until: float) -> float:
        """How long after this moment nothing was heard."""
        return next((max(0.0, start - moment) for start, end in self.heard if end > moment), until - moment)

    def longest_silence(self, since: float, until: float) -> float:
        """Between what was heard, since the first of these moments and until the second."""
        longest, at = 0.0, since
        for start, end in self.heard:
            if end > since and start < until:
                longest, at = max(longest, start - at), max(at, end)
        return max(longest, until - at)


class AwayStore(MemoryStore):
    """Does not answer while `away`."""

    away = False

    async def commit(self, writes: Any) -> list[str]:
        if self.away:
            await asyncio.sleep(1.0)
            raise StoreUnavailable("away")
        return await super().commit(cast("list[Write]", writes))


class World(Stage):
    """One call. `committed` are the moments at which a turn of the caller's became ours to answer."""

    def __init__(self) -> None:
        self.memory = AwayStore()
        self.store = cast(Any, self.memory)
        self.journal = Journal(self.memory, clock=utc)
        self.troubles = {name: Trouble() for name in ("ears", "mind", "voice")}
        self.virtual_ears = Ears(self.troubles["ears"])
        self.ears = cast(Any, self.virtual_ears)
        self.mind = cast(Any, Mind(self.troubles["mind"]))
        self.virtual_voice = Voice(self.troubles["voice"])
        self.voice = cast(Any, self.virtual_voice)
        self.manager, self.tools = scene.Manager(), scene.Tools(cast(Any, self.memory))
        self.audience, self.line = scene.Audience(), Line()
        self.tools.gate.set()
        self.prerendered = {text: sound(text) for text in LINES}
        self.patience = Patience()
        self.resumed = False
        self.direction = "inbound"
        self.lookup = None
        self.opener = ""
        self.committed: list[float] = []

    @property
    def ear(self) -> Line:
        """The caller's."""
        assert isinstance(self.line, Line)
        return self.line

    def parts(self) -> Parts:
        return replace(
            super().parts(),
            clock=utc,
            monotonic=monotonic,
            working=WORKING,
            time_soon=TIME_SOON,
            time_up=TIME_UP,
            transfer=TRANSFER,
        )

    async def ring(self) -> None:
        """The call is known; `begin` is its stream."""
        await self.journal.open(Call(call_id=CALL, call_sid=CALL))

    @property
    def over(self) -> bool:
        return self.session.floor.ending is not None

    async def quiet(self, longest: float = 120.0) -> bool:
        """Wait until the assistant listens (True) or the call is over (False)."""
        until = monotonic() + longest
        while monotonic() < until and not self.over:
            if self.session.turns.phase == "listening" and self.virtual_ears.opened:
                return True
            await asyncio.sleep(0.02)
        assert self.over, f"{self.session.turns} for {longest} s"
        return False

    def speak(self, text: str) -> None:
        """The caller says something; nothing is heard by ears that are not there, or deaf."""
        ears = self.virtual_ears.opened[-1] if self.virtual_ears.opened else None
        if ears is None or ears.closed or self.troubles["ears"].take("deaf"):
            return
        turn = self.session.turns.turn
        for event in (SpeechStarted(), Partial(text), Final(text, 0.9)):
            ears.tell(event)
        if self.session.turns.turn > turn and self.session.turns.phase == "thinking":
            self.committed.append(monotonic())

    def break_engine(self, engine: str) -> None:
        """What is open of it."""
        if engine == "ears" and self.virtual_ears.opened:
            self.virtual_ears.opened[-1].tell(EarsFailed("broken", "test"))
        if engine == "voice" and self.virtual_voice.opened:
            self.virtual_voice.opened[-1].break_off()

    async def finish(self) -> None:
        if not self.over:
            self.session.on_stop()
        await asyncio.wait_for(asyncio.shield(self.running), 120)
        assert self.line.closed
        assert not self.line.after_close

    async def stages_of_faults(self) -> set[str]:
        return {fault["stage"] for fault in await self.kept(EventType.PROVIDER_FAULT)}
