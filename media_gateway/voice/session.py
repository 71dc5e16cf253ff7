"""A call in progress: the socket's side of it, and its life from the opening to the last line of its journal.

The socket calls `on_*` on the event loop; each is one step of a machine whose commands are carried out at once (the
`Floor`). What takes time (thinking, tools, the journal) runs in the call's own TaskGroup and dies with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace

import structlog

from media_gateway.conversation.model import Started
from media_gateway.voice import turns as machine
from media_gateway.voice.answering import Answering
from media_gateway.voice.ear import Ear
from media_gateway.voice.ending import finish
from media_gateway.voice.floor import Floor
from media_gateway.voice.limit import limit
from media_gateway.voice.microphone import Microphone
from media_gateway.voice.mouth import Mouth, Tap
from media_gateway.voice.onset import Onset
from media_gateway.voice.opening import kept, look_up
from media_gateway.voice.parts import GENERAL_FLOW, Conversing, Parts
from media_gateway.voice.ports import Line, StartedStream
from media_gateway.voice.scribe import Scribe
from media_gateway.voice.supervising import Supervising
from media_gateway.voice.verdict import who_answered
from realtime.call import Status
from realtime.events import EventType
from realtime.journal import Fenced, UnknownCall
from realtime.stores.port import StoreUnavailable

log = structlog.get_logger()


class CallSession:
    """One call on one media stream; satisfies `ports.Session`."""

    def __init__(self, parts: Parts, started: StartedStream, line: Line) -> None:
        self.call_id = started.call_id
        self._parts = parts
        self._started = started
        self._line = line
        self._scribe = Scribe(
            parts.journal,
            started.call_id,
            clock=parts.clock,
            wrote=lambda call: parts.audience.notice(call.to_dict()),
            fenced=lambda: self.floor.end("fenced"),
        )
        telephone = started.stream_sid.startswith("MZ")  # a browser's has no such id
        self.floor = Floor(parts, started.call_id, self._scribe, line, reopen=self._open_engine, telephone=telephone)
        self.floor.unreached = (started.variables or {}).get("handoff") not in (None, "ended")
        self._supervising = Supervising(parts, started.call_id, self.floor, self._scribe)
        self._onset = Onset()
        self._recording = parts.recorder.begin(started.call_id) if parts.recorder else None
        if self._recording:
            self.add_tap(self._recording.tap)
        self._group: asyncio.TaskGroup | None = None
        self._engine_tasks: set[asyncio.Task[None]] = set()
        self._term = 0
        self._answerer: asyncio.Task[None] | None = None
        self._beside: list[asyncio.Task[None]] = []
        """What goes on beside the talk, for as long as there is one."""

    @property
    def turns(self) -> machine.Turns:
        """Who has the floor."""
        return self.floor.turns

    # --- what the socket says ---

    def on_media(self, mulaw: bytes) -> None:
        """A frame of the caller's sound goes straight to the recogniser; while we speak it is looked at, too."""
        self.floor.ear.feed(mulaw)
        if self.floor.turns.alert:
            loud = self._onset.feed(mulaw)
            if loud is not None:
                self.floor.loud(loud, self._onset.age_ms)
        for tap in self.floor.mouth.taps:
            tap(0, mulaw)

    def on_mark(self, name: str) -> None:
        """An echo of a mark."""
        self.floor.mouth.echoed(name)

    def on_digit(self, digit: str) -> None:
        """A key was pressed."""
        self.floor.digit(digit)

    def on_text(self, text: str) -> None:
        """The caller typed."""
        self.floor.tell(machine.Utterance(text, typed=True))

    def on_stop(self) -> None:
        """Twilio said that the stream is over: the caller hung up."""
        self.floor.end("caller")

    def on_lost(self) -> None:
        """The socket broke."""
        self.floor.end("lost")

    def move(self) -> None:
        """This instance is going away."""
        self.floor.end("move")

    def add_tap(self, tap: Tap) -> Callable[[], None]:
        """Listen in; empty sound on side 1 means: drop what you have not played."""
        taps = self.floor.mouth.taps
        taps.append(tap)
        return lambda: taps.remove(tap) if tap in taps else None

    def on_commands(self) -> None:
        """A supervisor wants something of this call."""
        self._supervising.wake()

    def microphone(self, user: str) -> Microphone | None:
        """For the supervisor who has taken the caller over; None for anybody else."""
        return self._supervising.microphone(user)

    # --- the life of the call ---

    async def run(self) -> None:
        """The whole call."""
        log.info("call_started", call_id=self.call_id)
        self.floor.begin()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                scribe = group.create_task(self._scribe.run(), name="scribe")
                opening = group.create_task(self._guard(self._open()), name="open")
                await self.floor.over.wait()
                await self._close_engines()
                await self._settle(opening)
                for task in (scribe, opening, self._answerer, *self._beside):
                    if task:
                        task.cancel()
        finally:
            self.floor.end("lost")  # if it was cancelled, nobody has said so yet
            self.floor.timers.close()
            self._line.close()
            self.floor.mouth.taps.clear()
            if self._recording:
                self._recording.drop()
            self._supervising.close()
            await self._close_engines()
        self._parts.telemetry.ended(self.call_id, self.floor.ending or "lost")
        log.info("call_ended", call_id=self.call_id, ending=self.floor.ending)

    async def _guard(self, work: Coroutine[None, None, None]) -> None:
        """A fault of ours ends the call in order: what happened is written, and the line is closed."""
        try:
            await work
        except Exception as problem:
            log.exception("call_fault", call_id=self.call_id, problem=type(problem).__name__)
            self.floor.end("lost")

    async def _settle(self, opening: asyncio.Task[None]) -> None:
        """Let what was asked for be done, and write what is left and how it ended, in the time that is given for it."""
        ending = self.floor.ending or "lost"
        self._supervising.close()
        try:
            async with asyncio.timeout(self._parts.patience.finish):
                await asyncio.wait({opening})  # it may be in the middle of making the call ours
                if self._recording:
                    await self._recording.close()
                if ending != "fenced" and self._term:
                    await self._rest()
                    await self._supervising.rest()
                    if ending in ("hangup", "handoff", "move"):
                        data = {"command_id": None, "kind": f"stream_{ending}", "actor": "session"}
                        self._scribe.note(EventType.COMMAND, data | {"ok": True, "detail": ""}, change={"next": ending})
                    await self._scribe.flush()
                self._scribe.seal()
                self._line.close()
                state = self.floor.answering.state if self.floor.answering else None
                self.floor.bill()
                await finish(
                    self._parts, self.call_id, ending, self._term, state, self.floor.tokens, cost=self.floor.cost
                )
        except (TimeoutError, StoreUnavailable, Fenced, UnknownCall) as problem:
            log.error("session_saved", call_id=self.call_id, ok=False, problem=type(problem).__name__)
        else:
            log.info("session_saved", call_id=self.call_id, ok=True)

    async def _rest(self) -> None:
        """Tools are not cancelled by a hang-up: what the caller had asked for is done, and then written."""
        if not self.floor.answering or not self._answerer:
            return
        try:
            async with asyncio.timeout(self._parts.patience.deeds):
                await self.floor.answering.rest()
        except TimeoutError:
            self.floor.fault("tools", "session", "timeout", "the call ended before they did")
        self._answerer.cancel()
        await asyncio.wait({self._answerer})

    async def _open(self) -> None:
        """Greet first: the caller is listening. The rest goes on beside it."""
        assert self._group
        floor, started = self.floor, self._started
        self._open_engine(floor.mouth)
        self._open_engine(floor.ear)
        if self._parts.opener and not started.resumed:
            floor.mouth.opener = self._parts.opener
            self._group.create_task(self._guard(self._say_something()), name="opener")
        customer = await self._look_up()
        hello = Started(
            self._parts.local_now(),
            started.caller_phone,
            customer,
            variables=started.variables,
            direction=started.direction,
        )
        manager = self._parts.choose(self._started.flow, hello)
        floor.ear.configure(manager.listening)
        if self._recording:
            self._recording.keep() if manager.recorded else self._recording.drop()
        before = await kept(self._parts, self.call_id, floor.fault) if started.resumed else None
        state = before.state if before else None
        floor.hello = hello
        approvals = self._supervising.approvals
        approvals.needed = manager.approval
        floor.answering = Answering(self._parts, floor, self._scribe, manager, state or manager.begin(), approvals)
        if before:
            floor.take_over(before)
        floor.answering.bind(
            org=started.org, call_id=self.call_id, caller_phone=started.caller_phone, customer=customer
        )
        log.info("manager_initialized", call_id=self.call_id, call_type=manager.name)
        self._parts.telemetry.began(self.call_id, manager.name, started.direction)
        self._answerer = self._group.create_task(self._guard(floor.answering.run()), name="answering")
        if floor.turns.phase is machine.Phase.CONNECTING:  # else an engine is gone for good, and we are leaving
            turn = floor.turns.turn
            floor.mouth.begin(turn)
            floor.tell(machine.Opened())
            # To a conversation that is under way a second `Started` means: taken over, go on; or back from a person.
            cut_off = state is not None and not hello.returning(state)
            floor.answering.tell(turn, hello, self._parts.cut_off if cut_off else "")
        if started.direction == "outbound":
            self._beside.append(self._group.create_task(self._guard(self._watch()), name="who answered"))
        try:
            await self._own(manager)
        except (Fenced, StoreUnavailable, UnknownCall) as problem:
            log.error("manager_init_failed", call_id=self.call_id, problem=type(problem).__name__)
            floor.end("lost")

    async def _say_something(self) -> None:
        """A call whose greeting is not known yet (a caller to be looked up) begins with what is at hand."""
        await asyncio.sleep(self._parts.patience.opener)
        if not self.floor.ending:
            self.floor.mouth.say_something()

    async def _look_up(self) -> Mapping[str, object] | None:
        """The caller's record; a slow or failing store means that nobody knows who they are: the general flow."""
        try:
            return await look_up(self._parts, self._started)
        except (TimeoutError, StoreUnavailable) as problem:
            self.floor.fault("lookup", "store", "timeout", type(problem).__name__)
            if self._started.direction == "inbound":
                self._started = replace(self._started, flow=self._started.flow or GENERAL_FLOW)
            return None

    async def _watch(self) -> None:
        """A machine that answers gets a message, a fax nothing."""
        match await who_answered(self._parts, self.call_id):
            case "voicemail":
                self.floor.tell(machine.Recording())
            case "fax":
                self.floor.end("hangup")

    async def _own(self, manager: Conversing) -> None:
        """From here on the media of this call is ours, and only ours."""
        head = await self._parts.journal.own(self.call_id, self._parts.instance)
        self._term = head.owner_term
        self._scribe.lead(
            EventType.CALL_STATUS,
            {"status": Status.IN_PROGRESS.value, "call_end_time": None, "reason": None},
            change={"stream_sid": self._started.stream_sid, "flow": manager.name, "next": None},
        )
        self._scribe.start(self._term)
        if self._group:
            self._beside += [
                self._group.create_task(self._guard(self._supervising.run(head)), name="commands"),
                self._group.create_task(self._guard(limit(self._parts, self.floor, head.started_at)), name="limit"),
            ]

    # --- engines ---

    def _open_engine(self, engine: Ear | Mouth) -> None:
        if self.floor.ending or not self._group:
            return
        task = self._group.create_task(self._guard(engine.open()))
        self._engine_tasks.add(task)
        task.add_done_callback(self._engine_tasks.discard)

    async def _close_engines(self) -> None:
        """Those that are opening first, or they would be open afterwards."""
        opening = list(self._engine_tasks)
        for task in opening:
            task.cancel()
        if opening:
            await asyncio.wait(opening)
        await asyncio.gather(self.floor.ear.aclose(), self.floor.mouth.aclose())
