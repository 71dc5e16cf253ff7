"""What is measured of calls, for whoever collects it. The default collects nothing; `providers.otel` is the other one.
Told at the end of a turn or of a call, never while sound waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Telemetry(Protocol):
    """Calls return at once and never raise."""

    def began(self, call_id: str, flow: str, direction: str) -> None:
        """A call is served here from now on."""

    def turn(self, call_id: str, metrics: Mapping[str, Any]) -> None:
        """A turn is over: the data of its `turn_metrics`."""

    def fault(self, call_id: str, stage: str, provider: str, kind: str) -> None:
        """A provider did not do its part."""

    def ended(self, call_id: str, ending: str) -> None:
        """The call is served here no longer."""


class Nobody:
    """Nothing is collected."""

    def began(self, call_id: str, flow: str, direction: str) -> None:
        """Nothing."""

    def turn(self, call_id: str, metrics: Mapping[str, Any]) -> None:
        """Nothing."""

    def fault(self, call_id: str, stage: str, provider: str, kind: str) -> None:
        """Nothing."""

    def ended(self, call_id: str, ending: str) -> None:
        """Nothing."""
