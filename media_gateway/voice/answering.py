"""From a caller's turn to words and deeds: the conversation manager decides, the mind words it, tools act.

One worker a call, one input after the other, so that the manager's state has one writer. A turn that was cut falls
silent (its thinking is cancelled, nothing of it is said) but its tools go on and the manager learns their results.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    Guided,
    Input,
    State,
    Step,
    ToolCall,
    ToolReturned,
)
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.voice.approvals import REFUSAL, Approvals
from media_gateway.voice.clauses import Clauser
from media_gateway.voice.parts import Conversing, Parts
from media_gateway.voice.ports import Message, TextDelta, Thought, ToolRequest, Usage
from media_gateway.voice.scribe import Scribe
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
        self._thinking: asyncio.Task[list[ToolRequest]] | None = None
        self._context: dict[str, Any] = {}
        self._listening = manager.listening
        self._scripted = 0

    def bind(self, **context: Any) -> None:
        """Who tools act for: org, call_id, caller_phone, customer."""
        self._context = context

    def tell(self, turn: int, event: Input, prefix: str = "") -> None:
        """Answer this as turn `turn`; `prefix` is said first."""
        try:
            self._inputs.put_nowait(_Told(turn, event, prefix, self.history[-1] if self.history else None))
        except asyncio.QueueFull:
            self._broken("answering", "busy", f"{WAITING} turns wait for their answer")

    def guide(self, turn: int, text: str) -> None:
        """A supervisor's advice for the turns that come. It is never said."""
        self._step(turn, Guided(text, self._parts.local_now()))

    def cut(self) -> None:
        """Stop thinking about the turn that was; tools go on."""
        if self._thinking:
            self._thinking.cancel()

    async def run(self) -> None:
        """Answer until cancelled. A fault of ours costs its turn, never the call."""
        while True:
            told = await self._inputs.get()
            try:
                await self._answer(told)
            except Exception as problem:
                self._broken("answering", "broken", type(problem).__name__)
                self._stage.say(told.turn, self._parts.apology)
                self._stage.answered(told.turn, Directive(say=self._parts.apology, listening=self._listening))
            finally:
                self._inputs.task_done()

    async def rest(self) -> None:
        """Wait until all that was told has been dealt with."""
        await self._inputs.join()

    async def _answer(self, told: _Told) -> None:
        turn = told.turn
        directive = self._step_all(turn, [told.event], told.prefix)
        for _ in range(MAX_ROUNDS):
            requests = await self._word(turn, directive)
            if not requests:
                break
            self._stage.working(turn, True)
            returned = await asyncio.gather(*(self._act(turn, request) for request in requests))
            self._stage.working(turn, False)
            self._remember(told, requests, returned)
            directive = self._step_all(turn, returned, "")
        else:
            self._broken("tools", "broken", f"{MAX_ROUNDS} rounds of tools in one turn")
            await self._word(turn, replace(directive, tools=(), allowed_tools=()))
        if self._stage.current(turn):
            self._stage.answered(turn, directive)

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
        try:
            step = self._manager.step(before, event)
        except Exception as problem:
            log.error("manager_error", call_id=self._context.get("call_id"), problem=type(problem).__name__)
            self._note_fault("manager", before.flow, "broken", type(problem).__name__)
            sorry = Directive(say=self._parts.apology, listening=self._listening, why="manager_error")
            return Step(before, sorry)
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

    async def _word(self, turn: int, directive: Directive) -> list[ToolRequest]:
        """Put the directive into words and speak them. Returns the tools to run: the manager's, and the model's own."""
        script = [self._request(call) for call in directive.tools]
        if not self._stage.current(turn) or not (directive.say or script):
            return script
        thought = Thought(
            turn=turn,
            system=directive.system,
            history=recent(self.history),
            tools=self._parts.tools.schemas(directive.allowed_tools),
            script=directive.say,
            script_tools=script,
        )
        self._thinking = asyncio.create_task(self._stream(thought, directive.allowed_tools), name=f"think {turn}")
        try:
            chosen = await self._thinking
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                self._thinking.cancel()
                raise
            return script
        finally:
            self._thinking = None
        return _merged(script, chosen)

    def _request(self, call: ToolCall) -> ToolRequest:
        self._scripted += 1
        return ToolRequest(f"script_{self._scripted}", call.name, call.arguments)

    async def _stream(self, thought: Thought, allowed: Sequence[str]) -> list[ToolRequest]:
        """Stream the mind's answer into the voice. A mind that fails, or ends, before its first word is stood in for by
        the script; one that fails later leaves what it said. Returns the tools that it asked for and may."""
        clauser, requests, text = Clauser(), list[ToolRequest](), ""
        try:
            async with aclosing(self._parts.engines.mind.think(thought)) as items:  # type: ignore[type-var]
                while True:
                    async with asyncio.timeout(self._parts.patience.first_word):
                        item = await anext(items, None)
                    match item:
                        case None:
                            break
                        case TextDelta(piece):
                            text += piece
                            self._words(thought.turn, clauser, piece)
                        case ToolRequest(name=name) if name in allowed:
                            requests.append(item)
                        case Usage():
                            self._stage.used(thought.turn, item)
            if thought.script and not (text.strip() or requests or thought.script_tools):
                self._broken("thinking", "broken", "an empty answer")
        except Exception as problem:
            kind = "timeout" if isinstance(problem, TimeoutError) else getattr(problem, "kind", "broken")
            self._broken("thinking", kind, str(problem) or type(problem).__name__)
            requests = [] if not text.strip() else requests
        if not text.strip() and not requests:
            self._words(thought.turn, clauser, thought.script)
        for clause in clauser.flush():
            self._stage.say(thought.turn, clause)
        return requests

    def _words(self, turn: int, clauser: Clauser, piece: str) -> None:
        if piece:
            self._stage.thought(turn, piece)
        for clause in clauser.feed(piece):
            self._stage.say(turn, clause)

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

    def _remember(self, told: _Told, requests: Sequence[ToolRequest], returned: Sequence[ToolReturned]) -> None:
        """Every tool call in the history has its answer, in the order a model expects, behind what it answers."""
        lines = [Message("assistant", "", tool_calls=tuple(requests))]
        for request, answer in zip(requests, returned, strict=True):
            lines.append(Message("tool", json.dumps(dict(answer.data), default=str), tool_call_id=request.call_id))
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


def _merged(script: Sequence[ToolRequest], chosen: Sequence[ToolRequest]) -> list[ToolRequest]:
    """Both lists, each deed once: the same tool with the same arguments is the same deed, whoever asked."""

    def deed(request: ToolRequest) -> tuple[str, str]:
        arguments: Mapping[str, Any] = request.arguments
        return request.name, json.dumps(dict(arguments), sort_keys=True, default=str)

    return list({deed(request): request for request in [*chosen, *script]}.values())
