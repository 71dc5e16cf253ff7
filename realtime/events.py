"""What happens in a call: the durable events of the journal and the live ones that are only shown.

Shapes of `data` (absent values are null, times ISO 8601 UTC, durations ms):

call_status            {status, call_end_time, reason}
final_transcript       {turn, speaker: "user" or "supervisor" (who has taken over), text, confidence}
ai_response_complete   {turn, speaker: "assistant", text, full_text, interrupted, heard_ms}; `text` is what was heard
tool_call              {turn, tool, arguments, result, ok, ms}
state_changed          {turn, state, intent, slots, why, path, input}; `input` is what the conversation manager was
                       told, `path` the (state, intent) pairs that it led through
escalation             {turn, reason}
handoff                {outcome, to, attempt, mode}; `to` is the person's number (null: there is nobody to ring),
                       `outcome` is dialled, then one of no_answer, busy, machine, refused, caller_hung_up, failed, or
                       accepted and later ended; or unavailable alone
dtmf                   {turn, digit}
idle                   {turn, count}
interruption           {turn, confirmed, words, heard_text}
provider_fault         {stage, provider, kind, detail}
command                {command_id, kind, actor, ok, detail}: what became of what a supervisor (or we) wanted; of
                       kind `approval` {tool, arguments, until} too, and ok null: a supervisor is asked
turn_metrics           {turn, stages: {name: ms}, total_ms, tokens: {prompt, completion, cached}, cost: {usd, ...}}
call_completed         {call_data} or, when large, {ref}: a pointer that readers resolve (`Journal.call_data`)
analysis_ready         {analysis}
invalid                {}: a line that this revision cannot read

partial_transcript     {turn, text}: the whole text so far               (live)
ai_response_chunk      {turn, offset, text}: `offset` in characters      (live)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import msgspec


class EventType(StrEnum):
    """The durable types."""

    CALL_STATUS = "call_status"
    FINAL_TRANSCRIPT = "final_transcript"
    AI_RESPONSE_COMPLETE = "ai_response_complete"
    TOOL_CALL = "tool_call"
    STATE_CHANGED = "state_changed"
    ESCALATION = "escalation"
    HANDOFF = "handoff"
    DTMF = "dtmf"
    IDLE = "idle"
    INTERRUPTION = "interruption"
    PROVIDER_FAULT = "provider_fault"
    COMMAND = "command"
    TURN_METRICS = "turn_metrics"
    CALL_COMPLETED = "call_completed"
    ANALYSIS_READY = "analysis_ready"
    INVALID = "invalid"
    """Never written: stands for a line of the journal that cannot be read, so that its place is not a hole."""


class LiveType(StrEnum):
    """What is shown while it happens and kept nowhere; the durable event that follows carries the whole text."""

    PARTIAL_TRANSCRIPT = "partial_transcript"
    AI_RESPONSE_CHUNK = "ai_response_chunk"


class Draft(msgspec.Struct, frozen=True):
    """An event that wants to be appended. `idem` is its idempotency key, unique within the call: the same key
    again is a no-op. `ts` is when it happened."""

    type: EventType
    data: Mapping[str, Any]
    idem: str
    ts: str


class Event(msgspec.Struct, frozen=True):
    """A line of the journal `calls/{call_id}/events/{seq:08d}`: `seq` 1, 2, 3 ... without holes."""

    call_id: str
    epoch: str
    seq: int
    type: EventType
    ts: str
    data: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The wire form: what the log, the tail and the dashboards carry."""
        return {
            "call_id": self.call_id,
            "epoch": self.epoch,
            "seq": self.seq,
            "type": self.type.value,
            "ts": self.ts,
            "data": dict(self.data),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, ValueError on a poison document."""
        return cls(data["call_id"], data["epoch"], data["seq"], EventType(data["type"]), data["ts"], data["data"])


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """A moment of the live lane. `n` grows by one per call and `live_epoch`; a new epoch starts at 1."""

    call_id: str
    n: int
    type: LiveType
    ts: str
    data: Mapping[str, Any] = field(default_factory=dict)
    live_epoch: str = ""
