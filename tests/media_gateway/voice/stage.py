"""A call with everything around it played: ears, mind, voice, tools, manager and line; the journal is the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    Guided,
    HeardDigits,
    HeardText,
    Input,
    ListeningProfile,
    Started,
    State,
    Step,
    ToolCall,
    ToolReturned,
    VoicemailReached,
)
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.voice.parts import Parts, Patience
from media_gateway.voice.ports import (
    EarsFailed,
    Engines,
    Final,
    Heard,
    Partial,
    ProviderFault,
    SpeechEnded,
    SpeechStarted,
    Spoken,
    SpokenAudio,
    SpokenEnd,
    StartedStream,
    TextDelta,
    Thought,
    ToolRequest,
    Usage,
    VoiceFailed,
)
from media_gateway.voice.session import CallSession
from realtime.call import Call, Status
from realtime.events import Event, EventType, LiveType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Create

CALL = "CA1"
GREETING = "Hello."
APOLOGY = "Sorry about that."
FILLER = "One moment."
MESSAGE = "Please call us back."
MS_PER_CHARACTER = 2


def tone(text: str) -> bytes:
    return b"\x2a" * (8 * MS_PER_CHARACTER * len(text))


@dataclass
class Ears:
    name: str = "ears"
    refusals: int = 0
    opened: list[OpenEars] = field(default_factory=list)
    hang: bool = False

    async def open(self, profile: ListeningProfile, on_heard: Callable[[Heard], None]) -> OpenEars:
        await asyncio.sleep(3_600 if self.hang else 0)
        if self.refusals:
            self.refusals -= 1
            raise ProviderFault(self.name, "refused")
        self.opened.append(OpenEars(on_heard, [profile]))
        return self.opened[-1]


@dataclass
class OpenEars:
    tell: Callable[[Heard], None]
    profiles: list[ListeningProfile]
    fed: int = 0
    closed: bool = False
    missed: bytes = b""

    def unheard(self) -> bytes:
        return self.missed

    def feed(self, mulaw: bytes) -> None:
        self.fed += len(mulaw)

    def configure(self, profile: ListeningProfile) -> None:
        self.profiles.append(profile)

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Voice:
    """How often it refuses to open, breaks on being asked, stays dumb, or says that it is done without a sound."""

    name: str = "voice"
    refusals: int = 0
    breaks: int = 0
    dumb: int = 0
    empty: int = 0
    opened: list[OpenVoice] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def open(self, on_spoken: Callable[[Spoken], None]) -> OpenVoice:
        await asyncio.sleep(0)
        if self.refusals:
            self.refusals -= 1
            raise ProviderFault(self.name, "refused")
        self.opened.append(OpenVoice(self, on_spoken))
        return self.opened[-1]

    async def render(self, text: str) -> bytes:
        return tone(text)


@dataclass
class OpenVoice:
    owner: Voice
    tell: Callable[[Spoken], None]
    closed: bool = False

    def say(self, reply: int, clause: int, text: str) -> None:
        self.owner.asked.append(text)
        loop = asyncio.get_running_loop()
        if self.owner.breaks:
            self.owner.breaks -= 1
            loop.call_soon(self._emit, VoiceFailed("broken", "test"))
        elif self.owner.empty:
            self.owner.empty -= 1
            loop.call_soon(self._emit, SpokenEnd(reply, clause))
        elif self.owner.dumb:
            self.owner.dumb -= 1
        else:
            sound = tone(text)
            half = len(sound) // 2
            for event in (
                SpokenAudio(reply, clause, sound[:half]),
                SpokenAudio(reply, clause, sound[half:]),
                SpokenEnd(reply, clause),
            ):
                loop.call_soon(self._emit, event)

    def _emit(self, event: Spoken) -> None:
        if not self.closed:
            self.tell(event)

    def done(self, reply: int) -> None:
        """Clauses never wait for others."""

    def cancel(self, reply: int) -> None:
        """Late sound still comes: the mouth has to drop it."""

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Mind:
    """Says the script, after `delay` seconds; raises `fails` first, or gives `items` instead. Keeps the thoughts."""

    name: str = "mind"
    delay: float = 0.0
    fails: list[Exception] = field(default_factory=list)
    items: list[TextDelta | ToolRequest | Usage] | None = None
    thoughts: list[Thought] = field(default_factory=list)
    running: int = 0

    async def think(self, thought: Thought) -> AsyncIterator[TextDelta | ToolRequest | Usage]:
        self.thoughts.append(thought)
        self.running += 1
        try:
            await asyncio.sleep(self.delay)
            if self.fails:
                raise self.fails.pop(0)
            if self.items is not None:
                for item in self.items:
                    yield item
                return
            for word in thought.script.split(" "):
                yield TextDelta(word + " ")
            for request in thought.script_tools:
                yield request
            yield Usage(10, 5, 2)
        finally:
            self.running -= 1


def _tools(text: str) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(word, {"for": word}) for word in text.split() if word in ("book", "look", "crash", "again"))


@dataclass
class Manager:
    """ "bye" hangs up, "human" hands off, "boom" raises, "firm" is not interruptible, "book" and "look" are tools,
    "long" is a long line; everything else is repeated."""

    name: str = "test"
    listening: ListeningProfile = field(default_factory=ListeningProfile)
    told: list[Input] = field(default_factory=list)
    approval: Collection[str] = ()
    recorded: bool = True

    def begin(self) -> ConversationState:
        return ConversationState(flow=self.name)

    def step(self, state: ConversationState, event: Input) -> Step:
        self.told.append(event)
        after = msgspec.structs.replace(state, state=State.INTENT_DETECTION, turn_count=state.turn_count + 1)
        return Step(after, replace(self._directive(event), listening=self.listening))

    def _directive(self, event: Input) -> Directive:
        match event:
            case Started():
                return Directive(say=GREETING)
            case HeardText(text) if "boom" in text:
                raise RuntimeError("boom")
            case HeardText(text) if "bye" in text:
                return Directive(say="Good bye then.", after="hangup")
            case HeardText(text) if "human" in text:
                return Directive(say="I will put you through.", after="handoff")
            case HeardText(text) if "firm" in text:
                return Directive(say="This line must be heard whole.", interruptible=False)
            case HeardText(text) if "order" in text:
                return Directive(say=f"The cache must wait for this. {GREETING}")
            case HeardText(text) if "long" in text:
                return Directive(say="one two three four five six seven eight nine ten " * 3 + "end.")
            case HeardText(text) if _tools(text):
                return Directive(say="Let me see.", tools=_tools(text))
            case HeardText(text) | HeardDigits(text):
                return Directive(say=f"You said {text}.")
            case ToolReturned(name, _, True) if name == "again":
                return Directive(tools=(ToolCall("again", {}),))
            case ToolReturned(name, _, ok, data):
                return Directive(say=f"{name} {'is done' if ok else data['reason']}.")
            case Guided():
                return Directive()
            case VoicemailReached():
                return Directive(say=MESSAGE, after="hangup", interruptible=False)
            case _:
                return Directive(say="Are you there?")


@dataclass
class Tools:
    """ "book" writes a slot (and loses `conflicts` times); all of them wait for `gate`."""

    store: EmbeddedStore
    conflicts: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    ran: list[str] = field(default_factory=list)
    most: int = 0
    running: int = 0

    def schemas(self, names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        return [{"name": name} for name in names]

    def problem(self, name: str, arguments: Mapping[str, Any]) -> str:
        return ""

    async def run(self, name: str, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.ran.append(name)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if name == "crash":
            raise RuntimeError("a tool broke")
        if name != "book":
            return ToolResult(ok=True, data={"found": 1})
        path = "slots/14"
        if self.conflicts:
            self.conflicts -= 1
            path = f"calls/{context.call_id}/events/00000001"  # exists, so it loses
        return ToolResult(ok=True, data={"slot": "14:00"}, writes=(Create(path, {"by": context.call_id}),))


class Line:
    """A carrier in real time: plays, echoes, clears."""

    def __init__(self) -> None:
        self.session: CallSession | None = None
        self.echo = True
        self.closed = 0
        self.cleared = 0
        self.sent = 0
        self.after_close = 0
        self._free = 0.0
        self._marks: dict[str, asyncio.TimerHandle] = {}

    def media(self, mulaw: bytes) -> None:
        self.after_close += bool(self.closed)
        loop = asyncio.get_running_loop()
        self._free = max(self._free, loop.time()) + len(mulaw) / 8_000
        self.sent += len(mulaw)

    def mark(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        if self.echo:
            self._marks[name] = loop.call_at(max(self._free, loop.time()), self._echo, name)

    def clear(self) -> None:
        loop = asyncio.get_running_loop()
        self.cleared += 1
        self._free = loop.time()
        for name, handle in list(self._marks.items()):
            handle.cancel()
            loop.call_soon(self._echo, name)

    def close(self) -> None:
        self.closed += 1

    def _echo(self, name: str) -> None:
        if self._marks.pop(name, None) and self.session:
            self.session.on_mark(name)


@dataclass
class Audience:
    heads: list[Mapping[str, Any]] = field(default_factory=list)
    shown: list[tuple[LiveType, Mapping[str, Any]]] = field(default_factory=list)

    def notice(self, head: Mapping[str, Any]) -> None:
        self.heads.append(head)

    def live(self, call_id: str, type_: LiveType, data: Mapping[str, Any], ts: str) -> None:
        self.shown.append((type_, data))


PATIENCE = Patience(
    first_word=0.6,
    lookup=0.5,
    open=1.5,
    close=1.0,
    sound=0.6,
    effect=2.0,
    deeds=2.0,
    lost=0.05,
    finish=5.0,
    verdict=2.0,
    look=0.02,
)


class Stage:
    """One call and its surroundings."""

    def __init__(self, path: Path) -> None:
        self.store = EmbeddedStore(path / "callboard.db")
        self.journal = Journal(self.store)
        self.ears, self.mind, self.voice = Ears(), Mind(), Voice()
        self.manager, self.tools, self.audience, self.line = Manager(), Tools(self.store), Audience(), Line()
        self.tools.gate.set()
        self.prerendered = {text: tone(text) for text in (GREETING, APOLOGY, FILLER)}
        self.patience = PATIENCE
        self.opener = ""
        self.resumed = False
        self.direction: Literal["inbound", "outbound"] = "inbound"
        self.lookup: Callable[[str, str], Any] | None = None

    def parts(self) -> Parts:
        return Parts(
            journal=self.journal,
            store=self.store,
            audience=self.audience,
            engines=Engines(self.ears, self.mind, self.voice),
            choose=lambda flow, started: self.manager,
            tools=self.tools,
            instance="here",
            zone=ZoneInfo("UTC"),
            prerendered=self.prerendered,
            filler=FILLER,
            apology=APOLOGY,
            opener=self.opener,
            lookup=self.lookup,
            patience=self.patience,
        )

    def begin(self, **variables: object) -> CallSession:
        stream = StartedStream(
            call_id=CALL,
            stream_sid="MZ1",
            caller_phone="+15550001",
            resumed=self.resumed,
            direction=self.direction,
            variables=variables,
        )
        self.session = CallSession(self.parts(), stream, self.line)
        self.line.session = self.session
        self.running = asyncio.create_task(self.session.run())
        return self.session

    # --- the caller ---

    def hear(self, event: Heard) -> None:
        self.ears.opened[-1].tell(event)

    def say(self, text: str) -> None:
        self.hear(SpeechStarted())
        self.hear(Partial(text))
        self.hear(Final(text, 0.9))

    def noise(self) -> None:
        self.hear(SpeechStarted())
        self.hear(SpeechEnded())

    def break_ears(self) -> None:
        self.hear(EarsFailed("broken", "test"))

    async def phase(self, phase: str) -> None:
        await until(lambda: self.session.turns.phase == phase, f"phase {phase}, not {self.session.turns.phase}")

    async def greeted(self) -> None:
        await self.phase("listening")
        await until(lambda: bool(self.ears.opened), "ears")

    async def ended(self) -> None:
        await asyncio.wait_for(asyncio.shield(self.running), 8)

    # --- what was kept ---

    async def events(self) -> list[Event]:
        events = await self.journal.events(CALL)
        assert [event.seq for event in events] == list(range(1, len(events) + 1)), "the journal has a hole"
        return events

    async def kept(self, type_: EventType) -> list[Mapping[str, Any]]:
        return [event.data for event in await self.events() if event.type is type_]

    async def written(self, type_: EventType, count: int = 1) -> list[Mapping[str, Any]]:
        """Wait until that many are in the journal."""
        for _ in range(1_000):
            found = await self.kept(type_)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.003)
        raise AssertionError(f"{type_} never came: {[event.type.value for event in await self.events()]}")

    async def completed(self) -> None:
        """The last two lines are the two messages."""
        last = (await self.events())[-2:]
        assert [event.type for event in last] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]
        assert Status(last[0].data["status"]).terminal


async def until(true: Callable[[], bool], what: str) -> None:
    for _ in range(1_500):
        if true():
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"never: {what}")


@asynccontextmanager
async def call(path: Path) -> AsyncIterator[Stage]:
    """A stage; nothing may be left of the call when it is over: no task, no engine open, no sound after the close."""
    stage = Stage(path)
    await stage.journal.open(Call(call_id=CALL, call_sid=CALL))
    before = asyncio.all_tasks()
    try:
        yield stage
        if not stage.running.done():
            stage.session.on_stop()
        await stage.ended()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before, "tasks are left"
        assert all(ears.closed for ears in stage.ears.opened)
        assert all(voice.closed for voice in stage.voice.opened)
        assert stage.line.closed
        assert not stage.line.after_close
        assert not stage.mind.running
        await stage.events()
    finally:
        stage.running.cancel()
        await asyncio.wait({stage.running})
        await stage.store.aclose()
