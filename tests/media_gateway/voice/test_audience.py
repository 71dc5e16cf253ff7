"""A broken audience is logged and never heard of by the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structlog.testing import capture_logs

from media_gateway.voice.audience import Contained
from realtime.events import LiveType


class Broken:
    def notice(self, head: Mapping[str, Any]) -> None:
        raise RuntimeError(str(head))

    def live(self, call_id: str, type_: LiveType, data: Mapping[str, Any], ts: str) -> None:
        raise RuntimeError(call_id)


def test_what_fails_in_the_audience_stays_there() -> None:
    with capture_logs() as logs:
        Contained(Broken()).notice({"call_id": "CA1"})
        Contained(Broken()).live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"text": "secret words"}, "")
    assert [(line["event"], line["call_id"]) for line in logs] == [("broadcast_failed", "CA1")] * 2
    assert "secret words" not in str(logs)
