"""From a caller's turn to words and deeds: the conversation manager decides, the mind words it, tools act.

One worker a call, one input after the other, so that the manager's state has one writer. A turn that was cut falls
silent (its thinking is cancelled, nothing of it is said) but its tools go on and the manager learns their results.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    Input,
    State,
    Step,
    ToolCall,
    ToolReturned,
)
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.voice.clauses import Clauser
from media_gateway.voice.parts import Conversing, Parts
from media_gateway.voice.ports import Message, ProviderFault, TextDelta, Thought, ToolRequest, Usage
from media_gateway.voice.scribe import Scribe
from realtime.events import EventType
from realtime.journal import Fenced
from realtime.stores.port import Conflict, StoreUnavailable

log = structlog.get_logger()

MAX_ROUNDS = 6
"""Tool results may ask for more tools; a model in a circle is stopped here."""
SORRY = "I am sorry, that did not work just now."
MAX_TRIES = 3
"""How often an effect that lost its race is decided anew."""


class Stage(Protocol):
    """Where the answer is heard (the session)."""

    def current(self, turn: int) -> bool:
        """Does this turn still have the floor?"""

    def directed(self, turn: int, directive: Directive) -> None:
        """The manager has decided; the words follow."""

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
        self, parts: Parts, stage: Stage, scribe: Scribe, manager: Conversing, state: ConversationState
    ) -> None:
        self.state = state
        self.history: list[Message] = []
        self._parts = parts
        self._stage = stage
        self._scribe = scribe
        self._manager = manager
        self._inputs: asyncio.Queue[tuple[int, Input, str]] = asyncio.Queue(maxsize=64)
        self._thinking: asyncio.Task[list[ToolRequest]] | None = None
        self._context: dict[str, Any] = {}

    def bind(self, **context: Any) -> None:
        """Who tools act for: org, call_id, caller_phone, customer."""
        self._context = context

    def tell(self, turn: int, event: Input, prefix: str = "") -> None:
        """Answer this as turn `turn`; `prefix` is said first. Sixty-four unanswered turns are a fault, not a caller."""
        with suppress(asyncio.QueueFull):
            self._inputs.put_nowait((turn, event, prefix))

    def cut(self) -> None:
        """Stop thinking about the turn that was; tools go on."""
        if self._thinking:
            self._thinking.cancel()

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            turn, event, prefix = await self._inputs.get()
            await self._answer(turn, event, prefix)

    async def _answer(self, turn: int, event: Input, prefix: str) -> None:
        events: Sequence[Input] = [event]
        directive = Directive()
        for _ in range(MAX_ROUNDS):
            directive = self._step_all(turn, events, prefix)
            prefix = ""
            requests = await self._word(turn, directive)
            if not requests:
                break
            events = await asyncio.gather(*(self._act(turn, request) for request in requests))
            self._remember(requests, events)
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
            self._scribe.note(
                EventType.PROVIDER_FAULT,
                {"stage": "manager", "provider": before.flow, "kind": "broken", "detail": type(problem).__name__},
            )
            return Step(before, Directive(say=self._parts.apology, why="manager_error"))
        self.state = step.state
        self._write_state(turn, before, step, event)
        return step

    def _write_state(self, turn: int, before: ConversationState, step: Step, event: Input) -> None:
        after = step.state
        data = {
            "turn": turn,
            "state": after.state.value,
            "intent": after.intent,
            "slots": dict(after.slots),
            "why": step.directive.why,
            "input": {"kind": type(event).__name__, **asdict(event)},
        }
        self._scribe.note(EventType.STATE_CHANGED, data, change={"conversation_state": after.to_dict()})
        log.info("state", call_id=self._context.get("call_id"), state=after.state.value, intent=after.intent)
        if after.state is State.ESCALATION and before.state is not State.ESCALATION:
            self._scribe.note(EventType.ESCALATION, {"turn": turn, "reason": after.escalation_reason})
            log.info("escalation", call_id=self._context.get("call_id"), reason=after.escalation_reason)

    # --- the mind ---

    async def _word(self, turn: int, directive: Directive) -> list[ToolRequest]:
        """Put the directive into words and speak them. Returns the tools to run: the manager's, and the model's own."""
        script = [ToolRequest(f"script{n}", call.name, call.arguments) for n, call in enumerate(directive.tools)]
        if not self._stage.current(turn) or not (directive.say or script):
            return script
        thought = Thought(
            turn=turn,
            system=directive.system,
            history=tuple(self.history),
            tools=self._parts.tools.schemas(directive.allowed_tools),
            script=directive.say,
            script_tools=script,
        )
        self._thinking = asyncio.create_task(self._stream(thought), name=f"think {turn}")
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
        return _merged(script, [request for request in chosen if request.name in directive.allowed_tools])

    async def _stream(self, thought: Thought) -> list[ToolRequest]:
        """Stream the mind's answer into the voice. A mind that fails before its first word is stood in for by the
        script; one that fails later leaves what it said."""
        clauser, requests, text = Clauser(), list[ToolRequest](), ""
        try:
            async with aclosing(self._parts.engines.mind.think(thought)) as items:  # type: ignore[type-var]
                while True:
                    async with asyncio.timeout(self._parts.patience.first_word):
                        item = await anext(items, None)
                    if item is None:
                        break
                    match item:
                        case TextDelta(piece):
                            text += piece
                            self._stage.thought(thought.turn, piece)
                            for clause in clauser.feed(piece):
                                self._stage.say(thought.turn, clause)
                        case ToolRequest():
                            requests.append(item)
                        case Usage():
                            self._stage.used(thought.turn, item)
        except (ProviderFault, TimeoutError) as problem:
            self._fault(problem)
            if not text:
                self._stage.thought(thought.turn, thought.script)
                for clause in clauser.feed(thought.script):
                    self._stage.say(thought.turn, clause)
        for clause in clauser.flush():
            self._stage.say(thought.turn, clause)
        return requests

    def _fault(self, problem: ProviderFault | TimeoutError) -> None:
        kind = problem.kind if isinstance(problem, ProviderFault) else "timeout"
        name = self._parts.engines.mind.name
        log.warning("provider_fault", call_id=self._context.get("call_id"), stage="thinking", kind=kind)
        self._scribe.note(
            EventType.PROVIDER_FAULT, {"stage": "thinking", "provider": name, "kind": kind, "detail": str(problem)}
        )

    # --- tools ---

    async def _act(self, turn: int, request: ToolRequest) -> ToolReturned:
        """Run a tool; its effect and its line in the journal are one commit."""
        started = self._parts.monotonic()
        for _ in range(MAX_TRIES):
            now = self._parts.local_now()
            context = ToolContext(**self._context, now=datetime.fromisoformat(now), store=self._parts.store)
            result = await self._parts.tools.run(request.name, request.arguments, context)
            data = {
                "turn": turn,
                "tool": request.name,
                "arguments": dict(request.arguments),
                "result": dict(result.data),
                "ok": result.ok,
                "ms": round((self._parts.monotonic() - started) * 1000),
            }
            try:
                await self._scribe.commit(EventType.TOOL_CALL, data, result.writes)
                break
            except Conflict:
                # Somebody else changed what the tool had read: decide anew on what is there now.
                result = ToolResult(ok=False, data={"reason": "conflict", "message": SORRY})
            except (StoreUnavailable, Fenced):
                # Whether the effect happened is not known; it is looked up by the next try, never blindly repeated.
                result = ToolResult(ok=False, data={"reason": "unavailable", "message": SORRY})
                break
        else:
            self._scribe.note(EventType.TOOL_CALL, {**data, "result": dict(result.data), "ok": False})
        return ToolReturned(request.name, request.arguments, result.ok, result.data, self._parts.local_now())

    def _remember(self, requests: Sequence[ToolRequest], returned: Sequence[Input]) -> None:
        """Every tool call in the history has its answer, in the order a model expects."""
        self.history.append(Message("assistant", "", tool_calls=tuple(requests)))
        for request, answer in zip(requests, returned, strict=True):
            assert isinstance(answer, ToolReturned)
            self.history.append(Message("tool", json.dumps(dict(answer.data)), tool_call_id=request.call_id))


def _merged(script: Sequence[ToolRequest], chosen: Sequence[ToolRequest]) -> list[ToolRequest]:
    """Both lists, each deed once: the same tool with the same arguments is the same deed, whoever asked."""

    def deed(request: ToolRequest) -> tuple[str, str]:
        arguments: Mapping[str, Any] = request.arguments
        return request.name, json.dumps(dict(arguments), sort_keys=True, default=str)

    return list({deed(request): request for request in [*chosen, *script]}.values())
