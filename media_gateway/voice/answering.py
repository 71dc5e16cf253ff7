"""From a caller's turn to words and deeds: the conversation manager decides, the mind words it, tools act.

One worker a call, one input after the other, so that the manager's state has one writer. A turn that was cut falls
silent (its thinking is cancelled, nothing of it is said) but its tools go on and the manager learns their results.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import structlog

from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    Guided,
    HeardText,
    Input,
    Quiet,
    Started,
    State,
    Step,
    ToolCall,
    ToolReturned,
    VoicemailReached,
)
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.voice import speculation
from media_gateway.voice.approvals import REFUSAL, Approvals
from media_gateway.voice.parts import Conversing, Parts
from media_gateway.voice.ports import Message, Thought, ToolRequest, Usage
from media_gateway.voice.scribe import Scribe
from media_gateway.voice.wording import NOBODY, Guess, Worded, Wording, beyond
from realtime.events import Event, EventType
from realtime.journal import Fenced, UnknownCall
from realtime.stores.port import Conflict, StoreUnavailable

log = structlog.get_logger()

MAX_ROUNDS = 6
"""Tool results may ask for more tools; a model in a circle is stopped here."""
RECALLED = 60
"""Lines of the history that the mind is shown; what a call must not forget is in the manager's state."""
WAITING = 64
"""Turns that may wait for their answer; more are a fault, not a caller."""
SORRY = "I am sorry, that did not work just now."
MOST_FAILURES = 2
"""Of the manager, in a row."""
MAX_TRIES = 3
"""How often an effect that lost its race is decided anew."""


@dataclass(slots=True)
class _Told:
    """`after` is the line of the history behind which the deeds of this turn belong: a turn that was cut goes on
    acting while the history goes on growing."""

    turn: int
    event: Input
    prefix: str
    after: Message | None


@dataclass(frozen=True, slots=True)
class _How:
    """Say the script as it stands; say it at least if the mind says nothing."""

    verbatim: bool = False
    insist: bool = False


class Stage(Protocol):
    """Where the answer is heard (the session)."""

    def current(self, turn: int) -> bool:
        """Does this turn still have the floor?"""

    def directed(self, turn: int, directive: Directive) -> None:
        """The manager has decided; the words follow."""

    def working(self, turn: int, on: bool) -> None:
        """Tools run for this turn, or have ended."""

    def thought(self, turn: int, text: str) -> None:
        """More text of the answer (shown as it comes)."""

    def say(self, turn: int, clause: str) -> None:
        """Speak this clause."""

    def used(self, turn: int, usage: Usage) -> None:
        """Tokens were used."""

    def answered(self, turn: int, directive: Directive) -> None:
        """All of the answer has been given to the voice."""


class Answering:
    """The worker."""

    def __init__(
        self,
        parts: Parts,
        stage: Stage,
        scribe: Scribe,
        manager: Conversing,
        state: ConversationState,
        approvals: Approvals | None = None,
    ) -> None:
        self.state = state
        self.history: list[Message] = []
        self._parts = parts
        self._stage = stage
        self._scribe = scribe
        self._manager = manager
        self._approvals = approvals
        self._inputs: asyncio.Queue[_Told] = asyncio.Queue(maxsize=WAITING)
        self._busy = False
        self._failures = 0
        self._wording = Wording(
            parts.engines.mind, parts.patience.first_word, stage, lambda *told: self._broken("thinking", *told)
        )
        self._speculation = speculation.Speculation()
        self._guess: Guess | None = None
        self._foreseen: tuple[ConversationState, Input, Step] | None = None
        """The manager's answer to what was probably the turn, asked for the guess."""
        self._adopted: Guess | None = None
        self._dropping: set[asyncio.Task[None]] = set()
        self._context: dict[str, Any] = {}
        self._listening = manager.listening
        self._scripted = 0

    def bind(self, **context: Any) -> None:
        """Who tools act for: org, call_id, caller_phone, customer."""
        self._context = context

    def tell(self, turn: int, event: Input, prefix: str = "") -> None:
        """Answer this as turn `turn`; `prefix` is said first."""
        self._speculate(speculation.Committed(event.text) if isinstance(event, HeardText) else speculation.Moved())
        try:
            self._inputs.put_nowait(_Told(turn, event, prefix, self.history[-1] if self.history else None))
        except asyncio.QueueFull:
            self._broken("answering", "busy", f"{WAITING} turns wait for their answer")

    def guide(self, turn: int, text: str) -> None:
        """A supervisor's advice for the turns that come. It is never said."""
        self._step(turn, Guided(text, self._parts.local_now()))

    def cut(self) -> None:
        """Stop thinking about the turn that was; tools go on."""
        self._wording.cut()
        self._speculate(speculation.Moved())

    async def run(self) -> None:
        """Answer until cancelled. A fault of ours costs its turn, never the call."""
        try:
            while True:
                await self._next()
        finally:
            self._drop()
            if self._dropping:
                await asyncio.wait(self._dropping)

    async def _next(self) -> None:
        told = await self._inputs.get()
        self._busy = True
        try:
            await self._answer(told)
        except Exception as problem:
            self._broken("answering", "broken", type(problem).__name__)
            self._stage.say(told.turn, self._parts.apology)
            self._stage.answered(told.turn, Directive(say=self._parts.apology, listening=self._listening))
        finally:
            self._busy = False
            if self._adopted:  # there was no use for it after all
                self._drop()
            self._inputs.task_done()

    async def rest(self) -> None:
        """Wait until all that was told has been dealt with."""
        await self._inputs.join()

    async def _answer(self, told: _Told) -> None:
        turn, how = told.turn, _How(verbatim=isinstance(told.event, Started | VoicemailReached | Quiet))
        directive = self._step_all(turn, [told.event], told.prefix)
        for _ in range(MAX_ROUNDS):
            requests, returned, worded = await self._round(turn, directive, how)
            self._remember(told, requests, returned, worded.refused)
            if returned:
                directive = self._step_all(turn, returned, "")
                how = _How()
            elif worded.refused and not worded.spoke and not how.insist:
                # It wanted what it may not and said nothing: once more, with that answer. Then the script speaks.
                directive, how = replace(directive, tools=()), _How(insist=True)
            else:
                break
        else:
            self._broken("tools", "broken", f"{MAX_ROUNDS} rounds of tools in one turn")
            await self._word(turn, replace(directive, allowed_tools=()), (), _How(insist=True))
        if self._stage.current(turn):
            self._stage.answered(turn, directive)

    async def _round(
        self, turn: int, directive: Directive, how: _How
    ) -> tuple[list[ToolRequest], list[ToolReturned], Worded]:
        """Words and deeds side by side: what the manager wants done does not wait for the words about it. Gives the
        tools that ran and what they returned."""
        script = [self._request(call) for call in directive.tools]
        acting = [asyncio.create_task(self._act(turn, request), name=request.name) for request in script]
        try:
            worded = await self._word(turn, directive, script, how)
            for one in worded.refused:
                self._broken("thinking", "broken", f"asked for {one.name}: {one.problem}")
            chosen = beyond(script, worded.requests)
            requests = [*script, *chosen]
            if requests:
                self._stage.working(turn, True)
            returned = await asyncio.gather(*acting, *(self._act(turn, request) for request in chosen))
            if requests:
                self._stage.working(turn, False)
        finally:
            for task in acting:
                task.cancel()
        return requests, returned, worded

    def _vetted(self, directive: Directive, request: ToolRequest) -> ToolRequest:
        """What a model asks for, as it may be done. Where the caller has heard and confirmed with what, that is what
        counts."""
        if request.name not in directive.allowed_tools:
            return replace(request, problem="not possible at this point of the conversation")
        arguments = directive.bound.get(request.name, request.arguments)
        return replace(request, arguments=arguments, problem=self._parts.tools.problem(request.name, arguments))

    # --- the manager ---

    def _step_all(self, turn: int, events: Sequence[Input], prefix: str) -> Directive:
        """Tell the manager everything that came; say all that it says."""
        said = [prefix] if prefix else []
        tools: list[ToolCall] = []
        directive = Directive()
        for event in events:
            directive = self._step(turn, event).directive
            self._listening = directive.listening
            tools += directive.tools
            said += [directive.say] if directive.say else []
        directive = replace(directive, say=" ".join(said), tools=tuple(tools))
        if self._stage.current(turn):
            self._stage.directed(turn, directive)
        return directive

    def _step(self, turn: int, event: Input) -> Step:
        """One step of the manager. Its failure costs this turn its state update, never the call."""
        before = self.state
        foreseen, self._foreseen = self._foreseen, None
        try:
            if foreseen and foreseen[0] is before and foreseen[1] == event:
                step = foreseen[2]  # the manager is pure: it would say the same again
            else:
                step = self._manager.step(before, event)
        except Exception as problem:
            log.error("manager_error", call_id=self._context.get("call_id"), problem=type(problem).__name__)
            self._note_fault("manager", before.flow, "broken", type(problem).__name__)
            sorry = Directive(say=self._parts.apology, listening=self._listening, why="manager_error")
            self._failures += 1
            if self._failures >= MOST_FAILURES:  # nobody is left who knows what to say: a person
                sorry = replace(sorry, after="handoff", interruptible=False)
            return Step(before, sorry)
        self._failures = 0
        self.state = step.state
        self._write_state(turn, before, step, event)
        return step

    def _write_state(self, turn: int, before: ConversationState, step: Step, event: Input) -> None:
        after = step.state
        # One input may lead through several states ("intent_detection > slot_collection"): the way there counts too.
        path = after.memory.get("path") or [[after.state.value, after.intent]]
        data = {
            "turn": turn,
            "state": after.state.value,
            "intent": after.intent,
            "slots": dict(after.slots),
            "path": path,
            "tools": [asdict(call) for call in step.directive.tools],
            "why": step.directive.why,
            "input": {"kind": type(event).__name__, **asdict(event)},
        }
        self._scribe.note(EventType.STATE_CHANGED, data, change={"conversation_state": after.to_dict()})
        for state, intent in path:
            log.info("state", call_id=self._context.get("call_id"), state=state, intent=intent)
        if after.state is State.ESCALATION and before.state is not State.ESCALATION:
            self._scribe.note(EventType.ESCALATION, {"turn": turn, "reason": after.escalation_reason})
            log.info("escalation", call_id=self._context.get("call_id"), reason=after.escalation_reason)

    # --- the mind ---

    async def _word(self, turn: int, directive: Directive, script: Sequence[ToolRequest], how: _How) -> Worded:
        """Put the directive into words and speak them. What it brings back are the model's own wishes."""
        if not self._stage.current(turn) or not directive.say:
            return Worded()
        # What must be heard whole is said as it was written, and so is what is at hand as sound.
        if how.verbatim or not directive.interruptible:
            return self._wording.verbatim(turn, directive.say)
        thought = self._thought(turn, directive, script, self.history)
        guess, self._adopted = self._adopted, None
        if guess and (guess.failed or not guess.fits(thought)):
            await self._forget(guess)
            guess = None
        return await self._wording.word(thought, partial(self._vetted, directive), guess=guess, insist=how.insist)

    def _thought(
        self, turn: int, directive: Directive, script: Sequence[ToolRequest], history: Sequence[Message]
    ) -> Thought:
        return Thought(
            turn=turn,
            system=directive.system,
            history=recent(history),
            tools=self._parts.tools.schemas(directive.allowed_tools),
            script=directive.say,
            script_tools=script,
        )

    def _request(self, call: ToolCall) -> ToolRequest:
        self._scripted += 1
        return ToolRequest(f"script_{self._scripted}", call.name, call.arguments)

    # --- thinking ahead ---

    def guess(self, text: str) -> None:
        """The caller's turn is probably over: begin to think about it, for nobody to hear and without effects."""
        if not self._busy and self._inputs.empty():
            self._speculate(speculation.Eager(text))

    def resumed(self) -> None:
        """The caller goes on speaking."""
        self._speculate(speculation.Resumed())

    def _speculate(self, event: speculation.Event) -> None:
        self._speculation, commands = speculation.step(self._speculation, event)
        for command in commands:
            match command:
                case speculation.Begin(number, text):
                    self._begin(number, text)
                case speculation.Adopt():
                    self._adopted, self._guess = self._guess, None
                case speculation.Drop():
                    self._drop()

    def _begin(self, number: int, text: str) -> None:
        """The manager is asked too, and not told: it is pure."""
        event = HeardText(text, self._parts.local_now())
        try:
            step = self._manager.step(self.state, event)
        except Exception:
            directive = Directive()  # the turn itself will say what is wrong
        else:
            directive, self._foreseen = step.directive, (self.state, event, step)
        if not directive.say or not directive.interruptible:
            self._speculate(speculation.Lost(number))
            return
        script = [ToolRequest("", call.name, call.arguments) for call in directive.tools]
        history = [*self.history, Message("user", text)]
        self._guess = self._wording.guess(self._thought(NOBODY, directive, script, history))

    def _drop(self) -> None:
        """Whoever is adopted and was not used is dropped too."""
        for guess in (self._guess, self._adopted):
            if guess:
                dropping = asyncio.create_task(self._forget(guess), name="drop a guess")
                self._dropping.add(dropping)
                dropping.add_done_callback(self._dropping.discard)
        self._guess = self._adopted = None

    async def _forget(self, guess: Guess) -> None:
        await guess.drop()
        for usage in guess.spent():
            self._stage.used(NOBODY, usage)

    def _broken(self, stage: str, kind: str, detail: str) -> None:
        log.warning("provider_fault", call_id=self._context.get("call_id"), stage=stage, kind=kind)
        self._note_fault(stage, self._parts.engines.mind.name, kind, detail)

    def _note_fault(self, stage: str, provider: str, kind: str, detail: str) -> None:
        data = {"stage": stage, "provider": provider, "kind": kind, "detail": detail}
        self._scribe.note(EventType.PROVIDER_FAULT, data)

    # --- tools ---

    async def _act(self, turn: int, request: ToolRequest) -> ToolReturned:
        """Run a tool; its effect and its line in the journal are one commit."""
        started = self._parts.monotonic()
        if self._approvals and not await self._approvals.granted(request):
            result = ToolResult(ok=False, data=REFUSAL)
            self._scribe.note(EventType.TOOL_CALL, self._line(turn, request, result, started))
            return ToolReturned(request.name, request.arguments, False, result.data, self._parts.local_now())
        result = _refused("conflict")
        for _ in range(MAX_TRIES):
            result = await self._run(request)
            try:
                async with asyncio.timeout(self._parts.patience.effect):
                    data = self._line(turn, request, result, started)
                    await self._scribe.commit(EventType.TOOL_CALL, data, result.writes)
                break
            except Conflict:
                # Somebody else changed what the tool had read: decide anew on what is there now.
                result = _refused("conflict")
            except (StoreUnavailable, Fenced, UnknownCall, TimeoutError):
                # Whether the effect happened is not known; it is looked up by the next try, never blindly repeated.
                result = _refused("unavailable")
                break
        else:
            self._scribe.note(EventType.TOOL_CALL, self._line(turn, request, result, started))
        return ToolReturned(request.name, request.arguments, result.ok, result.data, self._parts.local_now())

    async def _run(self, request: ToolRequest) -> ToolResult:
        now = datetime.fromisoformat(self._parts.local_now())
        context = ToolContext(**self._context, now=now, store=self._parts.store)
        try:
            return await self._parts.tools.run(request.name, request.arguments, context)
        except Exception as problem:
            # The tools of the same round, and the call, go on.
            self._broken("tools", "broken", f"{request.name}: {type(problem).__name__}")
            return _refused("broken")

    def _line(self, turn: int, request: ToolRequest, result: ToolResult, started: float) -> dict[str, Any]:
        return {
            "turn": turn,
            "tool": request.name,
            "arguments": dict(request.arguments),
            "result": dict(result.data),
            "ok": result.ok,
            "ms": round((self._parts.monotonic() - started) * 1000),
        }

    def _remember(
        self,
        told: _Told,
        requests: Sequence[ToolRequest],
        returned: Sequence[ToolReturned],
        refused: Sequence[ToolRequest],
    ) -> None:
        """Every tool call in the history has its answer, in the order a model expects, behind what it answers."""
        answers = [dict(answer.data) for answer in returned]
        answers += [{"ok": False, "reason": "refused", "message": request.problem} for request in refused]
        if not answers:
            return
        asked = (*requests, *refused)
        lines = [Message("assistant", "", tool_calls=asked)]
        for request, answer in zip(asked, answers, strict=True):
            lines.append(Message("tool", json.dumps(answer, default=str), tool_call_id=request.call_id))
        at = next((n for n, line in enumerate(self.history, start=1) if line is told.after), 0)
        self.history[at:at] = lines
        told.after = lines[-1]


def recent(history: Sequence[Message], most: int = RECALLED) -> tuple[Message, ...]:
    """The last lines, at most `most`. A tool's answer whose call would be cut off is left out too: models refuse it."""
    start = max(0, len(history) - most)
    while start < len(history) and history[start].role == "tool":
        start += 1
    return tuple(history[start:])


def remembered(events: Sequence[Event]) -> list[Message]:
    """The history of a call as its journal tells it, for an instance that takes the call over. A tool that ran for a
    turn stands before what was said in that turn."""
    history: list[Message] = []
    for event in events:
        data = event.data
        if event.type is EventType.FINAL_TRANSCRIPT and data.get("text"):
            history.append(Message("assistant" if data.get("speaker") == "supervisor" else "user", data["text"]))
        elif event.type is EventType.AI_RESPONSE_COMPLETE and data.get("text"):
            history.append(Message("assistant", data["text"]))
        elif event.type is EventType.TOOL_CALL:
            request = ToolRequest(f"kept_{event.seq}", data["tool"], data["arguments"])
            history.append(Message("assistant", "", tool_calls=(request,)))
            history.append(Message("tool", json.dumps(data["result"]), tool_call_id=request.call_id))
    return history


def _refused(reason: str) -> ToolResult:
    return ToolResult(ok=False, data={"reason": reason, "message": SORRY})
