"""A conversation once more, from its journal: the manager is a pure function of what it was told, and all that it was
told is in the journal (`state_changed.data.input`). The same flow must give the same states and the same tool calls; a
difference means that the flow's file (or the manager) has changed since."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import (
    ConversationState,
    Guided,
    HeardDigits,
    HeardText,
    Input,
    Quiet,
    Started,
    Step,
    ToolReturned,
    VoicemailReached,
)

_KINDS: Mapping[str, type[Input]] = {
    kind.__name__: kind for kind in (Started, HeardText, HeardDigits, ToolReturned, Quiet, VoicemailReached, Guided)
}
_COMPARED = ("state", "intent", "slots", "path", "tools")


class NotReplayable(ValueError):
    """The journal holds an input that this revision does not know; the text names it."""


@dataclass(frozen=True, slots=True)
class ReplayedStep:
    """One step: what the journal says of it and what came of it now (`state`, `intent`, `slots`, `path`,
    and the `tools` that the manager asked for)."""

    seq: int
    kind: str
    heard: str
    recorded: Mapping[str, Any]
    replayed: Mapping[str, Any]
    why: str

    @property
    def same(self) -> bool:
        return self.recorded == self.replayed


@dataclass(frozen=True, slots=True)
class ReplayedCall:
    """The whole conversation. Tool calls are (name, arguments as canonical JSON); those that a language model asked
    for by itself are inputs of the manager, and count on both sides."""

    steps: tuple[ReplayedStep, ...]
    tools_recorded: tuple[tuple[str, str], ...]
    tools_replayed: tuple[tuple[str, str], ...]
    final: ConversationState

    @property
    def same(self) -> bool:
        """Tools that run side by side may have ended in any order."""
        states = all(step.same for step in self.steps)
        return states and sorted(self.tools_recorded) == sorted(self.tools_replayed)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "same": self.same,
            "steps": [
                {
                    "seq": step.seq,
                    "input": step.kind,
                    "heard": step.heard,
                    "same": step.same,
                    "recorded": dict(step.recorded),
                    "replayed": dict(step.replayed),
                    "why": step.why,
                }
                for step in self.steps
            ],
            "tools": {"recorded": _plain(self.tools_recorded), "replayed": _plain(self.tools_replayed)},
        }


def replay(manager: Manager, events: Iterable[Mapping[str, Any]]) -> ReplayedCall:
    """`events` are the journal's lines in their wire form (`{seq, type, data}`), in order. Raises NotReplayable."""
    state = manager.start()
    steps: list[ReplayedStep] = []
    recorded: list[tuple[str, str]] = []
    asked: list[tuple[str, str]] = []
    awaited: list[tuple[str, str]] = []
    for event in events:
        data = event["data"]
        if event["type"] == "tool_call":
            recorded.append(_deed(data["tool"], data["arguments"]))
        if event["type"] != "state_changed":
            continue
        told = input_of(data["input"])
        if isinstance(told, ToolReturned):
            deed = _deed(told.name, told.arguments)
            if deed in awaited:
                awaited.remove(deed)
            else:
                asked.append(deed)  # a model's own wish
        step = manager.step(state, told)
        state = step.state
        deeds = [_deed(call.name, call.arguments) for call in step.directive.tools]
        asked += [deed for deed in deeds if deed not in awaited]  # asked for again while it runs: one deed
        awaited += [deed for deed in deeds if deed not in awaited]
        steps.append(_compared(event, told, step))
    return ReplayedCall(tuple(steps), tuple(recorded), tuple(asked), state)


def input_of(data: Mapping[str, Any]) -> Input:
    """The input as the manager was given it. Raises NotReplayable."""
    kind = _KINDS.get(str(data.get("kind")))
    if kind is None:
        raise NotReplayable(f"input {data.get('kind')!r} is not known to this revision")
    names = {one.name for one in fields(kind)}
    try:
        return kind(**{name: value for name, value in data.items() if name in names})
    except TypeError as error:
        raise NotReplayable(f"input {data.get('kind')!r}: {error}") from error


def unmatched(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """What callers said that fitted no rule of their flow, for tuning it."""
    missed: list[str] = []
    for event in events:
        data = event["data"]
        if event["type"] == "state_changed" and "nothing matched" in data.get("why", ""):
            text = data["input"].get("text")
            missed += [text] if text else []
    return missed


def _compared(event: Mapping[str, Any], told: Input, step: Step) -> ReplayedStep:
    state = step.state
    now = {
        "state": state.state.value,
        "intent": state.intent,
        "slots": dict(state.slots),
        "path": state.memory.get("path"),
        "tools": [asdict(call) for call in step.directive.tools],
    }
    then = {name: event["data"][name] for name in _COMPARED if name in event["data"]}
    match told:
        case HeardText(text=heard) | HeardDigits(digits=heard) | ToolReturned(name=heard):
            pass
        case _:
            heard = ""
    now = {name: value for name, value in now.items() if name in then}
    return ReplayedStep(event["seq"], type(told).__name__, heard, then, now, step.directive.why)


def _deed(name: str, arguments: Mapping[str, Any]) -> tuple[str, str]:
    return name, json.dumps(dict(arguments), sort_keys=True, default=str)


def _plain(deeds: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"name": name, "arguments": json.loads(arguments)} for name, arguments in deeds]
