"""What waits to be sent to one client, bounded: moments of the live lane are dropped first, and every hole is told.

Pure. Events are shared by everybody who gets them; their line is made once (`encoder`). What is replayed from the
journal does not count against the bound: the client asked for it, and it is in memory once for all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from media_gateway.dashboard.v1.encoder import Encoder
from media_gateway.dashboard.v1.frames import Line
from realtime.events import Event, LiveEvent

MAX_BYTES = 1024 * 1024
MAX_FRAMES = 2000


@dataclass(slots=True)
class _Gap:
    """Moments `first` to `last` of a call that this client does not get."""

    call_id: str
    live_epoch: str
    first: int
    last: int


_Item = Line | Event | LiveEvent | _Gap
_Entry = tuple[int, _Item, Line | None]
"""Whose it is (0: the connection's), what, and the line that counts against the bound (None: it does not)."""


class Outbox:
    """One client's. `controls`: how many answers wait, for whoever asks without reading."""

    __slots__ = ("_counted", "_max_bytes", "_max_frames", "bytes", "controls", "encoder", "queue")

    def __init__(self, encoder: Encoder, *, max_bytes: int = MAX_BYTES, max_frames: int = MAX_FRAMES) -> None:
        self.encoder = encoder
        self._max_bytes, self._max_frames = max_bytes, max_frames
        self.queue: deque[_Entry] = deque()
        self._counted = 0
        self.bytes = 0
        self.controls = 0

    def __len__(self) -> int:
        return len(self.queue)

    def control(self, frame: Line) -> None:
        """An answer, a ping, a snapshot."""
        self.controls += 1
        self.queue.append((0, frame, None))

    def event(self, owner: int, event: Event, *, counts: bool) -> bool:
        """False if the client is too slow: durable events alone are more than may wait."""
        return self._put((owner, event, self.encoder.event(event) if counts else None))

    def live(self, owner: int, moment: LiveEvent) -> None:
        """Never refused: older moments give way, and this one too if durable events fill the box."""
        self._put((owner, moment, self.encoder.live(moment)))

    def pop(self) -> Line | None:
        """The next line, oldest first."""
        if not self.queue:
            return None
        _, item, line = self.queue.popleft()
        if line is not None:
            self.bytes -= len(line)
            self._counted -= 1
            return line
        if isinstance(item, Event):
            return self.encoder.event(item)
        if isinstance(item, _Gap):
            return self.encoder.gap(item.call_id, item.live_epoch, item.first, item.last)
        assert isinstance(item, Line), "moments have their line with them"
        self.controls -= 1
        return item

    def forget(self, owner: int) -> None:
        """A subscription is over at the client's wish: what waits for it goes."""
        kept = [entry for entry in self.queue if entry[0] != owner]
        self._replace(deque(kept))

    def _put(self, entry: _Entry) -> bool:
        self.queue.append(entry)
        if entry[2] is not None:
            self.bytes += len(entry[2])
            self._counted += 1
            if self.bytes > self._max_bytes or self._counted > self._max_frames:
                self._shed()
                return self.bytes <= self._max_bytes and self._counted <= self._max_frames
        return True

    def _shed(self) -> None:
        """Drop moments, the oldest first, until half of the box is free or none is left; one gap a call tells so."""
        bytes_over, frames_over = self.bytes - self._max_bytes // 2, self._counted - self._max_frames // 2
        gaps: dict[tuple[int, str], _Gap] = {}
        kept: deque[_Entry] = deque()
        for entry in self.queue:
            owner, item, line = entry
            if isinstance(item, _Gap):
                _widen(gaps, owner, item)
            elif isinstance(item, LiveEvent) and (bytes_over > 0 or frames_over > 0):
                bytes_over, frames_over = bytes_over - (len(line) if line else 0), frames_over - 1
                _widen(gaps, owner, _Gap(item.call_id, item.live_epoch, item.n, item.n))
            else:
                kept.append(entry)
        kept.extendleft((owner, gap, None) for (owner, _), gap in gaps.items())
        self._replace(kept)

    def _replace(self, queue: deque[_Entry]) -> None:
        self.queue = queue
        self.bytes = sum(len(line) for _, _, line in queue if line is not None)
        self._counted = sum(line is not None for _, _, line in queue)
        self.controls = sum(isinstance(item, Line) for _, item, _ in queue)


def _widen(gaps: dict[tuple[int, str], _Gap], owner: int, more: _Gap) -> None:
    known = gaps.get((owner, more.call_id))
    if known is None or known.live_epoch != more.live_epoch:
        gaps[owner, more.call_id] = more
    else:
        known.first, known.last = min(known.first, more.first), max(known.last, more.last)
