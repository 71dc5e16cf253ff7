"""The numbers that `metrics_updated` carries, folded from a call's `turn_metrics`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from realtime.events import Event, EventType


@dataclass(frozen=True, slots=True)
class CallMetrics:
    """Turn latencies (ms) and tokens of one call so far."""

    latencies: tuple[float, ...] = ()
    tokens: int = 0
    seq: int = 0

    def after(self, event: Event) -> CallMetrics:
        """With this event counted; one that was counted before changes nothing."""
        if event.seq <= self.seq:
            return self
        if event.type is not EventType.TURN_METRICS:
            return CallMetrics(self.latencies, self.tokens, event.seq)
        latency = response_ms(event.data)
        latencies = self.latencies if latency is None else (*self.latencies, latency)
        used = event.data.get("tokens") or {}
        tokens = self.tokens + sum(int(used.get(kind) or 0) for kind in ("prompt", "completion"))
        return CallMetrics(latencies, tokens, event.seq)

    def to_dict(self, total_conversations: int) -> dict[str, Any]:
        """As clients get it; times in ms, null before the first turn."""
        last = self.latencies[-1] if self.latencies else None
        average = round(sum(self.latencies) / len(self.latencies), 1) if self.latencies else None
        return {
            "last_response_time": last,
            "total_conversations": total_conversations,
            "average_latency": average,
            "turn_latencies": list(self.latencies),
            "total_tokens": self.tokens,
        }


def of_events(events: Iterable[Event]) -> CallMetrics:
    """The metrics of a journal."""
    metrics = CallMetrics()
    for event in events:
        metrics = metrics.after(event)
    return metrics


def response_ms(turn_metrics: Mapping[str, Any]) -> float | None:
    """How long the caller waited for the answer of a turn, all its stages; None if nothing was measured."""
    total = turn_metrics.get("total_ms")
    if isinstance(total, (int, float)):
        return float(total)
    stages = (turn_metrics.get("stages") or {}).values()
    measured = [float(ms) for ms in stages if isinstance(ms, (int, float))]
    return sum(measured) if measured else None
