"""What a piece of news does to a call: nothing, a plan for the journal, or its completion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from realtime.call import Status
from realtime.plan import Plan


@dataclass(frozen=True, slots=True)
class Completion:
    """The call is over: `call_status` and `call_completed` in one commit. `ts` is when we were told. Without
    `call_data`, the record is made from the call's own journal."""

    status: Status
    ts: str
    ended_at: str
    call_data: Mapping[str, Any] | None = None
    change: Mapping[str, Any] = field(default_factory=dict)


Outcome = Plan | Completion | None


class Unusable(Exception):
    """The news is of a known kind but cannot be understood, or of an unknown kind: it is kept aside."""
