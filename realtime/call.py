"""What a call is: the head document `calls/{call_id}` and the machine of its status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal, Self

Next = Literal["hangup", "handoff", "move"]
"""What follows when we close the media stream on purpose; journalled before the close."""


class Status(StrEnum):
    """Where a call stands. `processing` is a hosted call that has ended and whose record is awaited."""

    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in_progress"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """True once nothing can change it any more."""
        return _RANK[self] == _TERMINAL


_TERMINAL = 4
_RANK: Mapping[Status, int] = {
    Status.INITIATED: 0,
    Status.RINGING: 1,
    Status.IN_PROGRESS: 2,
    Status.PROCESSING: 3,
    Status.COMPLETED: _TERMINAL,
    Status.FAILED: _TERMINAL,
    Status.BUSY: _TERMINAL,
    Status.NO_ANSWER: _TERMINAL,
    Status.CANCELED: _TERMINAL,
}


def advance(now: Status, news: Status) -> Status:
    """The status after `news` has come in, in whatever order news comes.

    Steps may be skipped, a status never goes back, and a terminal one never changes.
    """
    return news if _RANK[news] > _RANK[now] else now


class PoisonedHead(ValueError):
    """The document of a call is none that can be read; the text says which part. Nobody has mended it by trying
    again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The head of a call: small, always current, one document. The journal is the truth; this is a view of it.

    All times are ISO 8601 UTC text (`realtime.clock.iso`). `seq` is the number of the newest event in the journal
    (0 = none yet), `tail` the newest events in wire form (at most 8 and 16 KiB, oldest first).
    """

    call_id: str
    org: str = "default"
    conversation_id: str | None = None
    call_sid: str | None = None
    direction: Literal["inbound", "outbound"] = "inbound"
    hosted: bool = False
    """True when a vendor's agent holds the conversation: completed by its webhook, not by our media stream."""
    caller_phone: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    flow: str | None = None
    status: Status = Status.INITIATED
    answered_by: str | None = None
    stream_sid: str | None = None
    started_at: str = ""
    last_updated: str = ""
    ended_at: str | None = None
    epoch: str = ""
    seq: int = 0
    owner: str | None = None
    owner_term: int = 0
    active: bool = True
    tail: tuple[Mapping[str, Any], ...] = ()
    next: Next | None = None
    commands: Mapping[str, str] = field(default_factory=dict)
    """Commands of supervisors that are not done: "" waits, else who has taken it (`realtime.commands`)."""
    supervisor: Mapping[str, Any] | None = None
    """Who has this call to themselves: `{user, since, until, by}`; `by` is how they took the caller over, if they
    did."""
    conversation_state: Mapping[str, Any] | None = None
    total_tokens: int = 0
    cost: Mapping[str, float] | None = None
    """US dollars so far at list prices: `{llm, tts, stt, telephone, usd}`; an estimate of the vendors' part."""
    conversation_summary: Mapping[str, Any] | None = None
    analysis: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    expire_at: str | None = None

    @property
    def aliases(self) -> frozenset[str]:
        """Every id this call can be found by."""
        return frozenset(key for key in (self.call_id, self.call_sid, self.conversation_id) if key)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as the stores keep it. Not copied: like the call itself, they are not to be changed."""
        data = {name: getattr(self, name) for name in _FIELDS}
        data["status"] = self.status.value
        data["tail"] = list(self.tail)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys (written by a newer revision) are ignored. Raises PoisonedHead."""
        values = {key: value for key, value in data.items() if key in _FIELDS}
        try:
            values["status"] = Status(values["status"])
            values["tail"] = tuple(values.get("tail") or ())
            call = cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise PoisonedHead(f"a call's document cannot be read: {type(error).__name__}") from error
        for name, kind in _KINDS:
            if not isinstance(getattr(call, name), kind):
                raise PoisonedHead(f"a call's document cannot be read: {name}")
        if not all(isinstance(event, Mapping) for event in call.tail):
            raise PoisonedHead("a call's document cannot be read: tail")
        return call


_FIELDS = tuple(f.name for f in fields(Call))
_KINDS = (("call_id", str), ("org", str), ("epoch", str), ("seq", int), ("owner_term", int), ("commands", Mapping))
