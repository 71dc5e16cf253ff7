"""What came of a call of our own, in the shape in which ElevenLabs tells it of theirs. Pure.

`{call_successful: success|failure|unknown, transcript_summary, call_summary_title, data_collection_results: {name:
{data_collection_id, value, rationale}}, evaluation_criteria_results: {}, source, fault}`; `source` says who found it
out (`openai`, `scripted`), `fault` why the first choice did not (null: it did).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from realtime.call import Call, Status
from realtime.events import Event, EventType

Success = Literal["success", "failure", "unknown"]
KEY = "analysis_ready"
"""The idempotency key: a call is analysed once, whoever does it."""
MAX_SUMMARY, MAX_TITLE, MAX_VALUE, MOST_VALUES = 2_000, 120, 500, 40
_NOBODY = {
    Status.BUSY: "The line was busy.",
    Status.NO_ANSWER: "Nobody answered.",
    Status.CANCELED: "The call was canceled before anybody answered.",
    Status.FAILED: "The call failed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What somebody has found out about a call."""

    summary: str
    title: str
    success: Success
    extracted: Mapping[str, Any] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    """For a value, where it comes from."""


class Analyser(Protocol):
    """Finds out what came of a call from its journal."""

    @property
    def name(self) -> str:
        """For `source`."""

    async def analyse(self, call: Call, events: Sequence[Event]) -> Findings:
        """Has a deadline of its own. Raises AnalysisFailed."""

    async def aclose(self) -> None:
        """Safe to call twice."""


class AnalysisFailed(Exception):
    """It could not be found out; the text says why and holds nothing of the call."""


class Scripted:
    """Satisfies `Analyser` without anybody's help: from the states and tools in the journal."""

    name = "scripted"

    async def analyse(self, call: Call, events: Sequence[Event]) -> Findings:
        """See `Analyser`."""
        return scripted(call, events)

    async def aclose(self) -> None:
        """Nothing is open."""


def wants(call: Call) -> bool:
    """True for a call of our own that is over and was not analysed."""
    return not call.hosted and call.status.terminal and call.analysis is None


def shaped(found: Findings, *, source: str, fault: str | None = None) -> dict[str, Any]:
    """As it is kept: bounded, plain JSON."""
    values = list(found.extracted.items())[:MOST_VALUES]
    return {
        "call_successful": found.success,
        "transcript_summary": found.summary[:MAX_SUMMARY],
        "call_summary_title": found.title[:MAX_TITLE],
        "data_collection_results": {
            name[:MAX_TITLE]: {
                "data_collection_id": name[:MAX_TITLE],
                "value": value[:MAX_VALUE] if isinstance(value, str) else value,
                "rationale": found.why.get(name, "")[:MAX_VALUE],
            }
            for name, value in values
        },
        "evaluation_criteria_results": {},
        "source": source,
        "fault": fault,
    }


def scripted(call: Call, events: Sequence[Event]) -> Findings:
    """What the journal says by itself: the slots that were filled, the tools that did something, how it ended."""
    turns = sum(event.type is EventType.FINAL_TRANSCRIPT for event in events)
    tools = [event.data for event in events if event.type is EventType.TOOL_CALL]
    done = list(dict.fromkeys(str(one.get("tool")) for one in tools if one.get("ok")))
    failed = list(dict.fromkeys(str(one.get("tool")) for one in tools if not one.get("ok")))
    state = dict(call.conversation_state or {})
    escalated = state.get("escalation_reason") or _escalation(events)
    slots = {name: value for name, value in dict(state.get("slots") or {}).items() if value is not None}
    if not turns:
        summary = _NOBODY.get(call.status, "Nothing was said.")
        return Findings(summary=summary, title=summary.rstrip("."), success="failure", extracted=slots)
    about = str(state.get("intent") or state.get("flow") or call.flow or "a question").replace("_", " ")
    sentences = [f"The caller spoke {turns} time{'s' if turns > 1 else ''} about {about}."]
    if done:
        sentences.append(f"Done: {_listed(done)}.")
    if failed:
        sentences.append(f"Not done: {_listed(failed)}.")
    if escalated:
        sentences.append(f"It was handed to a person ({str(escalated).replace('_', ' ')}).")
    success: Success = "unknown"
    if call.status is not Status.COMPLETED or (failed and not done):
        success = "failure"
    elif done or escalated:
        success = "success"
    why = dict.fromkeys(slots, "filled by the conversation")
    return Findings(
        summary=" ".join(sentences), title=about[:1].upper() + about[1:], success=success, extracted=slots, why=why
    )


def _escalation(events: Sequence[Event]) -> Any:
    return next((event.data.get("reason") for event in events if event.type is EventType.ESCALATION), None)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)
