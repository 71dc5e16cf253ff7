"""How far the peer has got in playing what was sent to it. Pure: times are ms on the session's clock.

The carrier plays from a buffer of its own. A position here is always *as of the moment when a `clear` that is sent now
takes effect*: what is sent now arrives as much later as the sound did, so the way there cancels out, and the time since
the first sound was sent says where the caller is. Echoes of marks do not move this clock by their own delay (they come
late by the way there and back, which is no news); they only correct it when their delay *changes*: the line paused or
ran dry, or it was believed to and did not.

An echo that is far overdue says that playing stands still (or that the echo was lost): then the position is at most the
mark it belongs to.
"""

from __future__ import annotations

import math
from collections import deque

from media_gateway.voice.clearing import BARELY_MS, BURST_MS, Clearing, Mark

BUFFER_MS = 50.0
"""How long a carrier buffers before it plays, where nothing was playing."""
ECHO_GRACE_MS = 1_500
"""A peer whose echo is later than this is taken to have lost it: nothing may hang on an echo."""
UNKNOWN_DELAY_MS = 600.0
"""How late an echo may be before any has come."""
SLACK_MS = 150.0
"""Later than the latest of the last echoes by this much is overdue."""
DRIFT_MS = 60.0
"""A change of the delay that is more than jitter."""
JITTER_MS, UNKNOWN_JITTER_MS, FEW = 90.0, 200.0, 4
"""An echo may be as late as this anyway; as this, until so many have come."""
GUESSES, GUESSED_SPREAD_MS = 2, 30.0
"""The spread of the delays, while few echoes have come."""
DOUBT_MS = (80.0, 250.0)
"""Bounds of what the position may be wrong by."""


class Playhead:
    """One call's; `renew` begins a new generation."""

    def __init__(self) -> None:
        self.queued_ms = 0.0
        self.acked_ms = 0.0
        self.heard_mark = 0
        """Number of the last mark whose echo proved that it was heard; the numbers go on over generations."""
        self.marks: deque[Mark] = deque()
        self._origin = 0.0
        self._sure = True
        self._usual: float | None = None
        self._delays: deque[float] = deque(maxlen=8)
        self._stretch: deque[float] = deque(maxlen=3)
        self._loses_ms = 0.0
        self._lead = float("inf")

    def renew(self, now: float) -> Clearing:
        """All that was queued is dropped: by a `clear` that is sent now."""
        clearing = Clearing(
            sent_at=now,
            origin=self._origin,
            position=self.position(now),
            heard_ms=self.acked_ms,
            length_ms=self.queued_ms,
            marks=tuple(self.marks),
            usual_ms=self._usual,
            least_ms=min(self._delays, default=BURST_MS),
            slack_ms=self._jitter,
            spread_ms=self._spread,
            many=len(self._delays) >= FEW,
        )
        self.queued_ms = self.acked_ms = 0.0
        self.marks.clear()
        self._stretch.clear()
        self._origin, self._sure = now, True
        self._lead = float("inf")
        return clearing

    def queue(self, now: float, ms: float) -> None:
        """So much more sound is sent. When nothing plays it begins to."""
        if self.queued_ms <= 0 or self.position(now) >= self.queued_ms:
            self._origin, self._sure = now + BUFFER_MS - self.queued_ms, True
            self._stretch.clear()
        self._lead = min(self._lead, self._origin + self.queued_ms - now)
        self.queued_ms += ms

    def mark(self, name: str, number: int) -> None:
        """A mark is sent behind all that is queued."""
        self.marks.append(Mark(name, number, self.queued_ms, self._lead))
        self._lead = float("inf")

    def echoed(self, now: float, name: str) -> bool:
        """A mark came back; False if it is not one that is outstanding."""
        if not any(mark.name == name for mark in self.marks):
            return False
        first = mark = self.marks.popleft()
        while mark.name != name:
            mark = self.marks.popleft()
        # A peer that loses echoes is one whose silence means less.
        self._loses_ms = max(self._loses_ms, mark.at_ms - first.at_ms)
        self.acked_ms, self.heard_mark = mark.at_ms, mark.number
        self._compare(now - self._origin - mark.at_ms, mark.lead_ms)
        return True

    def _compare(self, delay: float, lead: float) -> None:
        """What this echo's delay says about the clock."""
        if delay < 0:  # it began to play sooner than it was thought to
            self._origin += delay
            delay = 0.0
        usual = self._usual if self._usual is not None else delay
        if delay > self._latest + SLACK_MS + self._loses_ms and self._delays and lead < BARELY_MS:
            self._shift(delay - usual)  # it stood still: from here on it plays so much later
            return
        self._stretch.append(delay)
        least, most = min(self._stretch), max(self._stretch)
        if len(self._stretch) == self._stretch.maxlen and least > usual + DRIFT_MS:
            self._shift(least - usual)
        elif not self._sure and delay < min(self._delays, default=delay):
            self._shift(delay - usual)  # earlier than an echo can be: it had not stood still after all
        elif not self._sure and len(self._stretch) == self._stretch.maxlen and most < usual - DRIFT_MS:
            self._shift(most - usual)
        elif self._sure:
            self._delays.append(delay)
            self._usual = delay if self._usual is None else self._usual + (delay - self._usual) / 5

    def _shift(self, ms: float) -> None:
        self._origin += ms
        self._sure = False
        self._stretch.clear()

    @property
    def _latest(self) -> float:
        return max(self._delays, default=UNKNOWN_DELAY_MS)

    @property
    def _jitter(self) -> float:
        """By how much an echo may be late as usual."""
        if len(self._delays) < FEW:
            return UNKNOWN_JITTER_MS
        return max(JITTER_MS, max(self._delays) - min(self._delays))

    @property
    def _spread(self) -> float:
        """The standard deviation of an echo's delay, and of what is known of its usual one; a guess counts like two
        echoes."""
        count = len(self._delays)
        mean = sum(self._delays) / count if count else 0.0
        squares = GUESSES * GUESSED_SPREAD_MS**2 + sum((delay - mean) ** 2 for delay in self._delays)
        return math.sqrt(squares / (GUESSES + max(0, count - 1)) * (1 + 1 / max(1, count)))

    def position(self, now: float) -> float:
        """Ms of this generation that will have been played when a `clear` of now arrives."""
        elapsed = max(0.0, now - self._origin)
        while self.marks and elapsed - self.marks[0].at_ms > ECHO_GRACE_MS:
            mark = self.marks.popleft()
            self.acked_ms, self.heard_mark = mark.at_ms, mark.number
        limit = self.queued_ms
        first = self.marks[0] if self.marks else None
        if first and first.lead_ms < BARELY_MS and elapsed > first.at_ms + self._latest + SLACK_MS + self._loses_ms:
            limit = first.at_ms
        return max(self.acked_ms, min(elapsed, limit))

    @property
    def doubt_ms(self) -> float:
        """What a position may be wrong by; who goes on from it goes back by so much, rather than lose a word."""
        spread = self._latest - min(self._delays) if self._delays else DOUBT_MS[0]
        return min(max(spread, DOUBT_MS[0]), DOUBT_MS[1])
