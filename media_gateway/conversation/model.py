"""What the conversation manager keeps, is told, and answers. Everything here survives `to_dict` and JSON, because the
journal replays a conversation from it and another instance takes a call over with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

import msgspec
from msgspec.structs import asdict


class State(StrEnum):
    """Where a conversation stands."""

    GREETING = "greeting"
    INTENT_DETECTION = "intent_detection"
    SLOT_COLLECTION = "slot_collection"
    CONFIRMATION = "confirmation"
    EXECUTION = "execution"
    CLOSING = "closing"
    ESCALATION = "escalation"


class EscalationReason(StrEnum):
    """Why a person is fetched."""

    MANAGER_REQUEST = "manager_request"
    ANGER = "anger"
    COMPLAINT = "complaint"
    EMERGENCY = "emergency"
    POLICY = "policy"
    """The shop leaves this to people, or the caller could not be verified."""
    REPEATED_MISUNDERSTANDING = "repeated_misunderstanding"
    TOOL_FAILED = "tool_failed"
    AFTER_HOURS = "after_hours"
    """The flow's file sends every call to people while the shop is closed."""
    HUMAN_SWITCH = "human_switch"
    """The flow's file sends every call to people now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningProfile:
    """How to listen in a state. `patience_ms`: silence after words that ends the turn; `dtmf`: are keys an answer;
    `phrases`: what this flow's callers are likely to say (for engines that take a vocabulary); `keyterms`: single
    words (for engines that take hints)."""

    name: str = "free"
    patience_ms: int = 600
    dtmf: bool = True
    keyterms: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


class ConversationState(msgspec.Struct, frozen=True, kw_only=True):
    """All that the manager knows (a struct, for it is replaced a dozen times in a turn). `asked` names the slot or
    question that the last directive put; `misses` counts turns in a row that were not understood; `pending` are tool
    calls whose results are awaited; `memory` is the flow's own (offered slots, results)."""

    flow: str
    state: State = State.GREETING
    intent: str | None = None
    slots: Mapping[str, str] = {}
    asked: str | None = None
    turn_count: int = 0
    misses: int = 0
    idle_count: int = 0
    pending: tuple[str, ...] = ()
    customer: Mapping[str, Any] | None = None
    memory: Mapping[str, Any] = {}
    escalation_reason: str | None = None
    ended: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        data = asdict(self)
        data["state"] = self.state.value
        data["pending"] = list(self.pending)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        values = dict(data)
        values["state"] = State(values["state"])
        values["pending"] = tuple(values.get("pending") or ())
        return cls(**values)


# --- what the manager is told --------------------------------------------------------------------------------------
# `now` is always the shop's local time, ISO 8601 with its offset: the manager has no clock.


@dataclass(frozen=True, slots=True)
class Started:
    """The call is connected. `customer` is the caller's record if their number is known (a hint, not a proof).
    `variables` came with the call: what a call that we place is about (`appointment`, `items`, `first_name`, ...);
    `handoff` and `handoff_attempt` among them say that it is back from a person, and how that went
    (`media_gateway.telephony.handoff`)."""

    now: str
    caller_phone: str | None = None
    customer: Mapping[str, Any] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    direction: Literal["inbound", "outbound"] = "inbound"

    def returning(self, state: ConversationState) -> bool:
        """Is the caller back from a person, and the conversation has not been told yet?"""
        attempt, told = self.variables.get("handoff_attempt"), state.memory.get("handoff_attempt")
        return isinstance(attempt, int) and attempt > (told if isinstance(told, int) else 0)


@dataclass(frozen=True, slots=True)
class HeardText:
    """The caller finished a turn. `understood` is False when the recogniser doubts its own words."""

    text: str
    now: str
    understood: bool = True


@dataclass(frozen=True, slots=True)
class HeardDigits:
    """The caller pressed keys."""

    digits: str
    now: str


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool that the directive asked for (or the model chose) has answered. `data` is what it returned; with `ok`
    False, `data["message"]` can be said aloud and `data["reason"]` says which refusal it is."""

    name: str
    arguments: Mapping[str, Any]
    ok: bool
    data: Mapping[str, Any]
    now: str


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nobody spoke for the idle time."""

    now: str


@dataclass(frozen=True, slots=True)
class VoicemailReached:
    """An answering machine took our call, and it records now."""

    now: str


@dataclass(frozen=True, slots=True)
class Guided:
    """A supervisor's advice for the turns that come. It is never said, and answers nothing."""

    text: str
    now: str


Input = Started | HeardText | HeardDigits | ToolReturned | Quiet | VoicemailReached | Guided


# --- what the manager answers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool to run now."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """What to do next. `say` is the scripted line (a language model may put it in its own words); `tools` run at once,
    and their results come back as `ToolReturned`; `after` applies when the line has been heard. `system` is the prompt
    of the turn and `allowed_tools` what a model may ask for; for those in `bound` the arguments are these, whatever a
    model says. `why` names the rule that matched."""

    say: str = ""
    tools: tuple[ToolCall, ...] = ()
    after: Literal["listen", "hangup", "handoff"] = "listen"
    interruptible: bool = True
    listening: ListeningProfile = field(default_factory=ListeningProfile)
    system: str = ""
    allowed_tools: tuple[str, ...] = ()
    bound: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the machine."""

    state: ConversationState
    directive: Directive
