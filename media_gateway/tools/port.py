"""What a tool is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from media_gateway.tools.services import Services
from realtime.stores.port import DocumentStore, Write


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """Who the tool acts for. Customer and callee come from here, never from the model's arguments. `now` is the
    shop's local time, timezone-aware. `services` is what there is outside the store."""

    org: str
    call_id: str
    caller_phone: str | None
    customer: Mapping[str, Any] | None
    now: datetime
    store: DocumentStore
    services: Services = field(default=Services())


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What came of it. `data` is small enough to speak; when `ok` is False it has `reason` (a word) and `message` (a
    sentence that can be said aloud). `writes` are the effect: the caller commits them in one commit with the journal's
    `tool_call` event, and on Conflict runs the tool again, which then sees the state as it is."""

    ok: bool
    data: Mapping[str, Any]
    writes: tuple[Write, ...] = field(default=())
