"""Which engines did their part in the calls of this instance, and which did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from media_gateway.last_seen import LastSeen
from media_gateway.voice.ports import Engines
from media_gateway.voice.telemetry import Telemetry


class SeenEngines:
    """Satisfies `voice.telemetry.Telemetry`, and tells `further` too. A turn whose sound was played shows that the
    engines work, except those that failed in this call: another one may have stood in."""

    def __init__(self, engines: Engines, seen: LastSeen, further: Telemetry) -> None:
        self._names = {engines.ears.name, engines.mind.name, engines.voice.name}
        self._seen, self._further = seen, further
        self._failed: dict[str, set[str]] = {}

    def began(self, call_id: str, flow: str, direction: str) -> None:
        """See the port."""
        self._failed[call_id] = set()
        self._further.began(call_id, flow, direction)

    def turn(self, call_id: str, metrics: Mapping[str, Any]) -> None:
        """See the port."""
        if "playing" in metrics["stages"]:
            for name in self._names - self._failed.get(call_id, set()):
                self._seen.ok(name)
        self._further.turn(call_id, metrics)

    def fault(self, call_id: str, stage: str, provider: str, kind: str) -> None:
        """See the port."""
        if call_id in self._failed:
            self._failed[call_id].add(provider)
        self._seen.wrong(provider, f"In a call it was {kind} ({stage}).")
        self._further.fault(call_id, stage, provider, kind)

    def ended(self, call_id: str, ending: str) -> None:
        """See the port."""
        self._failed.pop(call_id, None)
        self._further.ended(call_id, ending)
