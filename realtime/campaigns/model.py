"""A campaign: one flow, many people to call. `campaigns/{id}` and `campaigns/{id}/rows/{n:05d}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

State = Literal["running", "paused", "stopped", "done"]
RowState = Literal["waiting", "placing", "placed", "done", "refused", "stopped"]
"""waiting: its turn has not come. placing: Twilio is being asked (and looked up, if that broke off). placed: the call
runs. done: it is over, `result` is its status. refused: it may not or could not be called, `result` says why. stopped:
the campaign was stopped before its turn."""
OPEN: frozenset[RowState] = frozenset({"waiting", "placing", "placed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """`per_minute` calls are begun at most, `at_once` run at most; each only from `opens` to `closes` (HH:MM) on the
    callee's own clock. `reason` is why it is paused when nobody asked for it. `owner` runs it until `leased_until`."""

    campaign_id: str
    org: str
    name: str
    flow: str
    rows: int
    created_at: str
    created_by: str
    state: State = "running"
    per_minute: int = 6
    at_once: int = 5
    opens: str = "09:00"
    closes: str = "20:00"
    reason: str = ""
    owner: str | None = None
    leased_until: str | None = None
    expire_at: str | None = None

    @property
    def path(self) -> str:
        """Where it is kept."""
        return f"campaigns/{self.campaign_id}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored. Raises KeyError, TypeError on a poison document."""
        return cls(**{one.name: data[one.name] for one in fields(cls) if one.name in data})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One person to call. `line` is the line of the table it came from."""

    n: int
    line: int
    to: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    state: RowState = "waiting"
    call_id: str | None = None
    result: str = ""
    detail: str = ""
    begun_at: str | None = None
    expire_at: str | None = None

    def path(self, campaign_id: str) -> str:
        """Where it is kept."""
        return f"campaigns/{campaign_id}/rows/{self.n:05d}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored. Raises KeyError, TypeError on a poison document."""
        return cls(**{one.name: data[one.name] for one in fields(cls) if one.name in data})
