"""A call in progress: the thin shell around the turn machine and the playout ledger.

The socket calls `on_*` on the event loop; each is one step of a machine whose commands are carried out at once. What
takes time (thinking, tools, the journal) runs in the call's own TaskGroup and dies with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

import structlog

from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    HeardDigits,
    HeardText,
    Input,
    Quiet,
    Started,
    VoicemailReached,
)
from media_gateway.voice import turns as machine
from media_gateway.voice.answering import Answering, remembered
from media_gateway.voice.ear import Ear
from media_gateway.voice.ending import finish, said
from media_gateway.voice.mouth import TIMERS, Listener, Mouth, Tap
from media_gateway.voice.parts import GENERAL_FLOW, Conversing, Parts
from media_gateway.voice.playout import Heard
from media_gateway.voice.ports import (
    EarsFailed,
    Final,
    Line,
    Message,
    Partial,
    SpeechEnded,
    SpeechStarted,
    StartedStream,
    Usage,
)
from media_gateway.voice.ports import Heard as HeardSound
from media_gateway.voice.scribe import Scribe
from media_gateway.voice.timers import Timers
from media_gateway.voice.verdict import who_answered
from realtime.call import Status
from realtime.clock import iso
from realtime.events import EventType, LiveType
from realtime.journal import Fenced, UnknownCall
from realtime.stores.port import StoreUnavailable

log = structlog.get_logger()

Ending = Literal["caller", "hangup", "handoff", "lost", "move", "fenced"]
"""Why the stream ended: the caller hung up, we did, a human takes over, the socket broke, this instance is going
away, another instance has taken the call."""


class CallSession:
    """One call on one media stream; satisfies `ports.Session`."""

    def __init__(self, parts: Parts, started: StartedStream, line: Line) -> None:
        self.call_id = started.call_id
        self.turns = machine.Turns()
        self._parts = parts
        self._started = started
        self._line = line
        self._timers = Timers(self._timer_fired)
        self._scribe = Scribe(
            parts.journal,
            started.call_id,
            clock=parts.clock,
            wrote=lambda call: parts.audience.notice(call.to_dict()),
            fenced=lambda: self._end("fenced"),
        )
        listener = Listener(
            began=lambda: self._tell(machine.AudioBegan()),
            ran_dry=lambda: self._tell(machine.RanDry()),
            played_out=self._played_out,
            fault=partial(self._fault, "speaking"),
            lost=lambda for_good: self._engine_lost(self.mouth, for_good),
        )
        self.mouth = Mouth(parts, line, self._timers, listener)
        self.ear = Ear(
            parts,
            heard=self._heard,
            fault=partial(self._fault, "hearing"),
            lost=lambda for_good: self._engine_lost(self.ear, for_good),
        )
        self._answering: Answering | None = None
        self._group: asyncio.TaskGroup | None = None
        self._engine_tasks: set[asyncio.Task[None]] = set()
        self._ending: Ending | None = None
        self._over = asyncio.Event()
        self._term = 0
        self._history: list[Message] = []
        self._tokens = self._shown = self._idles = 0
        self._answerer: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._endpointing_ms = 0

    # --- what the socket says ---

    def on_media(self, mulaw: bytes) -> None:
        """A frame of the caller's sound goes straight to the recogniser."""
        self.ear.feed(mulaw)
        for tap in self.mouth.taps:
            tap(0, mulaw)

    def on_mark(self, name: str) -> None:
        """An echo of a mark."""
        self.mouth.echoed(name)

    def on_digit(self, digit: str) -> None:
        """A key was pressed. Where keys are no answer it is written down, and that is all."""
        if self._ending:
            return
        self._scribe.note(EventType.DTMF, {"turn": self.turns.turn, "digit": digit})
        if self.ear.profile.dtmf:
            self._tell(machine.Key(digit))

    def on_text(self, text: str) -> None:
        """The caller typed."""
        self._tell(machine.Utterance(text, typed=True))

    def on_stop(self) -> None:
        """Twilio said that the stream is over: the caller hung up."""
        self._end("caller")

    def on_lost(self) -> None:
        """The socket broke."""
        self._end("lost")

    def move(self) -> None:
        """This instance is going away."""
        self._end("move")

    def add_tap(self, tap: Tap) -> Callable[[], None]:
        """Listen in; empty sound on side 1 means: drop what you have not played."""
        taps = self.mouth.taps
        taps.append(tap)
        return lambda: taps.remove(tap) if tap in taps else None

    # --- the life of the call ---

    async def run(self) -> None:
        """The whole call."""
        log.info("call_started", call_id=self.call_id)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                scribe = group.create_task(self._scribe.run(), name="scribe")
                opening = group.create_task(self._guard(self._open()), name="open")
                await self._over.wait()
                await self._close_engines()
                await self._settle(opening)
                for task in (scribe, opening, self._answerer, self._watcher):
                    if task:
                        task.cancel()
        finally:
            self._end("lost")  # if it was cancelled, nobody has said so yet
            self._timers.close()
            self._line.close()
            self.mouth.taps.clear()
            await self._close_engines()
        log.info("call_ended", call_id=self.call_id, ending=self._ending)

    async def _guard(self, work: Coroutine[None, None, None]) -> None:
        """A fault of ours ends the call in order: what happened is written, and the line is closed."""
        try:
            await work
        except Exception as problem:
            log.exception("call_fault", call_id=self.call_id, problem=type(problem).__name__)
            self._end("lost")

    async def _settle(self, opening: asyncio.Task[None]) -> None:
        """Let what was asked for be done, and write what is left and how it ended, in the time that is given for it."""
        ending = self._ending or "lost"
        try:
            async with asyncio.timeout(self._parts.patience.finish):
                await asyncio.wait({opening})  # it may be in the middle of making the call ours
                if ending != "fenced" and self._term:
                    await self._rest()
                    if ending in ("hangup", "handoff", "move"):
                        data = {"command_id": None, "kind": f"stream_{ending}", "actor": "session", "outcome": "done"}
                        self._scribe.note(EventType.COMMAND, data, change={"next": ending})
                    await self._scribe.flush()
                self._scribe.seal()
                self._line.close()
                state = self._answering.state if self._answering else None
                await finish(self._parts, self.call_id, ending, self._term, state, self._tokens)
        except (TimeoutError, StoreUnavailable, Fenced, UnknownCall) as problem:
            log.error("session_saved", call_id=self.call_id, ok=False, problem=type(problem).__name__)
        else:
            log.info("session_saved", call_id=self.call_id, ok=True)

    async def _rest(self) -> None:
        """Tools are not cancelled by a hang-up: what the caller had asked for is done, and then written."""
        if not self._answering or not self._answerer:
            return
        try:
            async with asyncio.timeout(self._parts.patience.deeds):
                await self._answering.rest()
        except TimeoutError:
            self._fault("tools", "session", "timeout", "the call ended before they did")
        self._answerer.cancel()
        await asyncio.wait({self._answerer})

    def _end(self, ending: Ending) -> None:
        if self._ending:
            return
        self._ending = ending
        self.mouth.muted = True
        self._tell(machine.Stopped())
        self._over.set()

    async def _open(self) -> None:
        """Greet first: the caller is listening. The rest goes on beside it."""
        assert self._group
        customer = await self._look_up()
        hello = Started(
            self._parts.local_now(),
            self._started.caller_phone,
            customer,
            variables=self._started.variables,
            direction=self._started.direction,
        )
        manager = self._parts.choose(self._started.flow, hello)
        self.ear.configure(manager.listening)
        kept = await self._kept() if self._started.resumed else None
        self._answering = Answering(self._parts, self, self._scribe, manager, kept or manager.begin())
        self._answering.history += self._history
        self._answering.bind(
            org=self._started.org,
            call_id=self.call_id,
            caller_phone=self._started.caller_phone,
            customer=customer,
        )
        log.info("manager_initialized", call_id=self.call_id, call_type=manager.name)
        self._answerer = self._group.create_task(self._guard(self._answering.run()), name="answering")
        turn = self.turns.turn
        self.mouth.begin(turn)
        self._tell(machine.Opened())
        # To a conversation that is under way a second `Started` means: taken over, go on; or back from a person.
        cut_off = kept is not None and not hello.returning(kept)
        self._answering.tell(turn, hello, self._parts.cut_off if cut_off else "")
        self._open_engine(self.mouth)
        self._open_engine(self.ear)
        if self._started.direction == "outbound":
            self._watcher = self._group.create_task(self._guard(self._watch()), name="who answered")
        try:
            await self._own(manager)
        except (Fenced, StoreUnavailable, UnknownCall) as problem:
            log.error("manager_init_failed", call_id=self.call_id, problem=type(problem).__name__)
            self._end("lost")

    async def _watch(self) -> None:
        """A machine that answers gets a message, a fax nothing."""
        match await who_answered(self._parts, self.call_id):
            case "voicemail":
                self._tell(machine.Recording())
            case "fax":
                self._end("hangup")

    async def _kept(self) -> ConversationState | None:
        """The conversation as another instance left it; its turns, tokens and what was said in it go on from there."""
        try:
            head = await self._parts.journal.find(self.call_id)
            events = await said(self._parts.journal, self.call_id)
        except StoreUnavailable as problem:
            self._fault("journal", "store", "timeout", type(problem).__name__)
            return None
        self._history = remembered(events)
        self._tokens = head.total_tokens if head else 0
        turn = 1 + max((event.data.get("turn") or 0 for event in events), default=-1)
        self.turns = replace(self.turns, turn=turn)
        return ConversationState.from_dict(head.conversation_state) if head and head.conversation_state else None

    async def _look_up(self) -> Mapping[str, object] | None:
        """The caller's record; a slow or failing store means that nobody knows who they are: the general flow."""
        if not self._parts.lookup or not self._started.caller_phone:
            return None
        try:
            async with asyncio.timeout(self._parts.patience.lookup):
                return await self._parts.lookup(self._started.org, self._started.caller_phone)
        except (TimeoutError, StoreUnavailable) as problem:
            self._fault("lookup", "store", "timeout", type(problem).__name__)
            if self._started.direction == "inbound":
                self._started = replace(self._started, flow=self._started.flow or GENERAL_FLOW)
            return None

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

    # --- engines ---

    def _open_engine(self, engine: Ear | Mouth) -> None:
        if self._ending or not self._group:
            return
        task = self._group.create_task(self._guard(engine.open()))
        self._engine_tasks.add(task)
        task.add_done_callback(self._engine_tasks.discard)

    def _engine_lost(self, engine: Ear | Mouth, for_good: bool) -> None:
        if for_good:
            self._tell(machine.GaveUp())
        else:
            self._open_engine(engine)

    async def _close_engines(self) -> None:
        """Those that are opening first, or they would be open afterwards."""
        opening = list(self._engine_tasks)
        for task in opening:
            task.cancel()
        if opening:
            await asyncio.wait(opening)
        await asyncio.gather(self.ear.aclose(), self.mouth.aclose())

    def _fault(self, stage: str, provider: str, kind: str, detail: str) -> None:
        log.warning("provider_fault", call_id=self.call_id, stage=stage, kind=kind)
        data = {"stage": stage, "provider": provider, "kind": kind, "detail": detail}
        self._scribe.note(EventType.PROVIDER_FAULT, data)

    def _leave(self, turn: int) -> None:
        """The call cannot go on: apologise with the sound that is at hand, and hand the caller to a human."""
        self.mouth.begin(turn)
        self.mouth.say_prerendered(self._parts.apology)
        self.mouth.answered(Directive(say=self._parts.apology, after="handoff", interruptible=False))

    def _heard(self, event: HeardSound) -> None:
        """The recogniser's callback."""
        match event:
            case SpeechStarted():
                self._tell(machine.Sound(True))
            case SpeechEnded():
                self._tell(machine.Sound(False))
            case Partial(text):
                self._tell(machine.Words(text))
                self._show(LiveType.PARTIAL_TRANSCRIPT, {"turn": self.turns.turn + 1, "text": text})
            case Final(text, _, understood, speech_end_ms):
                self._endpointing_ms = speech_end_ms or 0
                self._tell(machine.Utterance(text, understood))
                self._endpointing_ms = 0
            case EarsFailed():
                pass  # the ear has dealt with it

    # --- the turn machine's commands ---

    def _tell(self, event: machine.TurnEvent) -> None:
        self.turns, commands = machine.step(self.turns, event)
        for command in commands:
            self._do(command)

    def _do(self, command: machine.TurnCommand) -> None:
        match command:
            case machine.Arm(name, ms):
                self._timers.arm(name, ms)
            case machine.Disarm(name):
                self._timers.disarm(name)
            case machine.Hold():
                self.mouth.hold()
            case machine.Resume(words):
                self._interrupted(words, None, confirmed=False)
                self.mouth.resume()
            case machine.Ignored(words):
                self._interrupted(words, None, confirmed=False)
            case machine.Cut(turn, words, caller):
                self._cut(turn, words, caller)
            case machine.Say(what, _):
                self._stand_in(what)
            case machine.Commit(turn, text, understood):
                self._commit(turn, text, understood)
            case machine.Leave(turn):
                self._leave(turn)
            case machine.CommitKeys(turn, digits):
                self._answer(turn, HeardDigits(digits, self._parts.local_now()), digits)
            case machine.LeaveMessage(turn):
                self._answer(turn, VoicemailReached(self._parts.local_now()))
            case machine.Idle(turn):
                self._idles += 1
                self._scribe.note(EventType.IDLE, {"turn": turn, "count": self._idles})
                self._answer(turn, Quiet(self._parts.local_now()))

    def _timer_fired(self, name: str) -> None:
        if name in TIMERS:
            self.mouth.timer_fired(name)
        else:
            self._tell(machine.TimerFired(name))

    def _commit(self, turn: int, text: str, understood: bool) -> None:
        data = {"turn": turn, "speaker": "user", "text": text, "confidence": None, "understood": understood}
        self._scribe.note(EventType.FINAL_TRANSCRIPT, data)
        self._answer(turn, HeardText(text, self._parts.local_now(), understood), text)

    def _answer(self, turn: int, event: Input, text: str = "") -> None:
        """`text` is the caller's turn as a model is shown it."""
        assert self._answering  # no turn is committed before the call was opened
        if text:
            self._answering.history.append(Message("user", text))
        self.mouth.begin(turn, self._endpointing_ms)
        self._endpointing_ms = self._shown = 0
        self._answering.tell(turn, event)

    def _cut(self, turn: int, words: str, caller: bool) -> None:
        """The caller has the floor, or the call is over."""
        if self._answering:
            self._answering.cut()
        heard = self.mouth.cut()
        if caller and (words or heard.full_text):
            self._interrupted(words, heard, confirmed=True)
        self._book(turn, heard)

    def _interrupted(self, words: str, heard: Heard | None, *, confirmed: bool) -> None:
        heard_text = heard.text if heard else None
        data = {"turn": self.turns.turn, "confirmed": confirmed, "words": words, "heard_text": heard_text}
        self._scribe.note(EventType.INTERRUPTION, data)

    def _stand_in(self, what: str) -> None:
        """Nothing has been heard for too long: say something that is at hand."""
        if what == "filler":
            self.mouth.say_prerendered(self._parts.filler, answer=False)
            return
        self._fault("answering", "turn", "timeout", "nothing to say in time")
        self.mouth.say_prerendered(self._parts.apology, answer=False)

    # --- Answering's stage ---

    def current(self, turn: int) -> bool:
        """Does this turn still have the floor?"""
        return turn == self.turns.turn and self._ending is None

    def directed(self, turn: int, directive: Directive) -> None:
        """The manager has decided."""
        self.ear.configure(directive.listening)
        self._tell(machine.Interruptible(directive.interruptible))

    def thought(self, turn: int, text: str) -> None:
        """More text of the answer."""
        if not self.current(turn):
            return
        self.mouth.meter.reached("text", self.mouth.now())
        self._show(LiveType.AI_RESPONSE_CHUNK, {"turn": turn, "offset": self._shown, "text": text})
        self._shown += len(text)

    def say(self, turn: int, clause: str) -> None:
        """Speak this clause."""
        if self.current(turn):
            self.mouth.say(clause)

    def used(self, turn: int, usage: Usage) -> None:
        """Tokens were used, whether or not the answer was wanted in the end."""
        self._tokens += usage.prompt + usage.completion
        if self.current(turn):
            self.mouth.meter.used(usage.prompt, usage.completion, usage.cached)

    def answered(self, turn: int, directive: Directive) -> None:
        """All of the answer has been given to the voice."""
        if self.current(turn):
            self.mouth.answered(directive)

    # --- the mouth's listener ---

    def _played_out(self, turn: int, heard: Heard, directive: Directive) -> None:
        self._book(turn, heard)
        if directive.after == "listen":
            self._tell(machine.PlayedOut())
        else:
            self._end(directive.after)

    def _book(self, turn: int, heard: Heard) -> None:
        """What was heard goes into the history, the journal, and the turn's figures."""
        data = {
            "turn": turn,
            "speaker": "assistant",
            "text": heard.text,
            "full_text": heard.full_text,
            "interrupted": not heard.whole,
            "heard_ms": heard.ms,
        }
        if heard.full_text:
            self._scribe.note(EventType.AI_RESPONSE_COMPLETE, data)
        if self._answering and heard.text:
            self._answering.history.append(Message("assistant", heard.text))
        if turn == self.mouth.meter.turn and (heard.full_text or self.mouth.meter.total_tokens):
            change = {"total_tokens": self._tokens}
            self._scribe.note(EventType.TURN_METRICS, self.mouth.meter.data(), change=change)

    def _show(self, type_: LiveType, data: Mapping[str, object]) -> None:
        self._parts.audience.live(self.call_id, type_, data, iso(self._parts.clock()))
