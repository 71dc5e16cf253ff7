"""Showing a call to those who watch is not part of the call: what fails there is logged, and the call goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from media_gateway.voice.parts import Audience
from realtime.events import LiveType

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Contained:
    """An `Audience` that never raises."""

    audience: Audience

    def notice(self, head: Mapping[str, Any]) -> None:
        """A head changed."""
        try:
            self.audience.notice(head)
        except Exception:
            _log.exception("broadcast_failed", call_id=head.get("call_id"))

    def live(self, call_id: str, type_: LiveType, data: Mapping[str, Any], ts: str) -> None:
        """Something happens that is shown and not kept."""
        try:
            self.audience.live(call_id, type_, data, ts)
        except Exception:
            _log.exception("broadcast_failed", call_id=call_id, event_type=type_.value)
