"""From the journal's events to the lines of `callboard.v1`: each is made once and shared by everybody who gets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from media_gateway.dashboard.encoders import Ids, whole_record
from media_gateway.dashboard.v1.frames import Line, line
from realtime.events import Event, EventType, LiveEvent

KEPT = 4096
"""Lines of events that are kept for those who come a little later."""
_NAMES = {EventType.TURN_METRICS: "metrics_updated"}


class Encoder:
    """One for all connections of an instance."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._events: dict[tuple[str, str, int], Line] = {}
        self._last: Event | None = None
        self._last_line = Line(b"")
        self._moment: LiveEvent | None = None
        self._moment_line = Line(b"")

    def event(self, event: Event) -> Line:
        """A durable event; the same one is asked for by everybody in a row."""
        if event is not self._last:
            self._last, self._last_line = event, self._kept_line(event)
        return self._last_line

    def _kept_line(self, event: Event) -> Line:
        key = (event.call_id, event.epoch, event.seq)
        kept = self._events.get(key)
        if kept is None:
            kept = line(event_frame(event))
            if len(self._events) >= self._kept:
                del self._events[next(iter(self._events))]  # the oldest
            self._events[key] = kept
        return kept

    def live(self, moment: LiveEvent) -> Line:
        """A moment of the live lane; the same one is asked for by everybody in a row."""
        if moment is not self._moment:
            self._moment, self._moment_line = moment, line(live_frame(moment))
        return self._moment_line

    def gap(self, call_id: str, live_epoch: str, first: int, last: int) -> Line:
        """Moments that are not sent."""
        gap = {"type": "gap", "call_id": call_id, "lane": "live", "live_epoch": live_epoch}
        return line({**gap, "from": first, "to": last})


def event_frame(event: Event) -> dict[str, Any]:
    """`call_completed` brings the whole record, parsed."""
    data: Mapping[str, Any] = event.data
    if event.type is EventType.CALL_COMPLETED:
        data = {"call_data": whole_record(data.get("call_data") or {}, Ids(None, None))}
    return {
        "type": "event",
        "call_id": event.call_id,
        "epoch": event.epoch,
        "seq": event.seq,
        "event": _NAMES.get(event.type, event.type.value),
        "ts": event.ts,
        "data": data,
    }


def live_frame(moment: LiveEvent) -> dict[str, Any]:
    """`n` grows by one per call and `live_epoch`."""
    return {
        "type": "live",
        "call_id": moment.call_id,
        "live_epoch": moment.live_epoch,
        "n": moment.n,
        "event": moment.type.value,
        "ts": moment.ts,
        "data": moment.data,
    }
