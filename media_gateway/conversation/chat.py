"""A flow in text: `python3 run.py chat` steps it with lines of the caller. Pure but for the tools it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from media_gateway.conversation.flow import Flow
from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    HeardDigits,
    HeardText,
    Input,
    Quiet,
    Started,
    ToolCall,
    ToolReturned,
)

ToolRunner = Callable[[str, Mapping[str, Any], datetime], tuple[bool, Mapping[str, Any]]]
MOST_TOOLS = 8


class Chat:
    """One conversation. `run_tool(name, arguments, now)` returns (ok, data). An empty line is silence; a line of keys
    ("#1") is pressed keys."""

    def __init__(self, flow: Flow, run_tool: ToolRunner) -> None:
        self._manager = Manager(flow)
        self._zone = flow.zone
        self._direction = flow.spec.direction
        self._run_tool = run_tool
        self.state: ConversationState = self._manager.start()

    def open(
        self,
        now: datetime,
        caller_phone: str | None = None,
        customer: Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The call is answered; `variables` are what a call that we place is about."""
        started = Started(
            now=self._iso(now),
            caller_phone=caller_phone,
            customer=customer,
            variables=variables or {},
            direction=self._direction,
        )
        return self._take(started, now)

    def say(self, text: str, now: datetime) -> dict[str, Any]:
        """One line of the caller."""
        line = text.strip()
        event: Input = HeardText(line, self._iso(now))
        if not line:
            event = Quiet(self._iso(now))
        elif line.startswith("#") and line[1:].isdigit():
            event = HeardDigits(line[1:], self._iso(now))
        return self._take(event, now)

    def _iso(self, now: datetime) -> str:
        return now.astimezone(self._zone).isoformat()

    def _take(self, event: Input, now: datetime) -> dict[str, Any]:
        """Step, run the tools that are asked for, step with their results, until it is the caller's turn."""
        said: list[str] = []
        why: list[str] = []
        ran: list[dict[str, Any]] = []
        directive = self._step(event, said, why)
        waiting: list[ToolCall] = list(directive.tools)
        while waiting and len(ran) < MOST_TOOLS:
            call = waiting.pop(0)
            ok, data = self._run_tool(call.name, call.arguments, now)
            ran.append({"name": call.name, "arguments": dict(call.arguments), "ok": ok, "result": dict(data)})
            returned = ToolReturned(call.name, call.arguments, ok, data, self._iso(now))
            waiting += self._step(returned, said, why).tools
        state = self.state
        return {
            "say": " ".join(said),
            "state": state.state.value,
            "intent": state.intent,
            "slots": dict(state.slots),
            "tools": ran,
            "escalation": state.escalation_reason,
            "ended": state.ended,
            "why": "; ".join(why),
        }

    def _step(self, event: Input, said: list[str], why: list[str]) -> Directive:
        step = self._manager.step(self.state, event)
        self.state = step.state
        if step.directive.say:
            said.append(step.directive.say)
        why.append(step.directive.why)
        return step.directive
