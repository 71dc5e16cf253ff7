"""What the echoes that come after a `clear` say about where it caught the caller. Pure: times are ms on the session's
clock, positions ms of the generation that ended.

A `clear` is on its way for as long as sound is, and so the position is known beforehand if the line is as it was. If it
stands still meanwhile the caller hears more, or had already heard less. Afterwards it is known: marks that are played
until the `clear` arrives come back at their own times, all others at once when it does, and last the *probe*, a mark
that is sent right behind it. An echo of a mark that was dropped is no proof of hearing, but its time is that of the
`clear`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

BURST_MS = 60.0
"""Echoes that come within this of the `clear`'s may be its own: they were sent at once, and jitter stretched them."""
BARELY_MS = 120.0
"""Sound that was sent so shortly before its turn may have come too late for it."""
SPREADS = 1.5
"""Jitter stretches a burst by as many standard deviations of an echo's delay."""
SOONER_MS = 50.0
"""Than the soonest of many echoes: that is no jitter."""
OUT_MS = 45.0
"""How much later or sooner than the first sound a `clear` gets there, as usual (one standard deviation)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Behind so much sound; `lead_ms` is how long before its turn that sound was sent."""

    name: str
    number: int
    at_ms: float
    lead_ms: float


@dataclass(slots=True)
class Clearing:
    """One `clear`, sent at `sent_at`, and what was known then: playing began at `origin`; an echo takes `usual_ms`
    give or take `slack_ms` (None: none has come yet), `least_ms` at least (of `many` or of few), with a standard
    deviation of `spread_ms`; all up to `heard_ms` of `length_ms` was heard; `marks` were outstanding. `position` is the
    best estimate so far."""

    sent_at: float
    origin: float
    position: float
    heard_ms: float
    length_ms: float
    marks: Sequence[Mark]
    usual_ms: float | None
    least_ms: float
    slack_ms: float
    spread_ms: float
    many: bool
    settled: bool = False
    _came: list[tuple[Mark, float]] = field(default_factory=list)

    def echoed(self, now: float, name: str) -> bool:
        """A mark of before the `clear` came back; True if the position was settled by it."""
        mark = next((mark for mark in self.marks if mark.name == name), None)
        if mark is None or self.settled:
            return False
        self._came.append((mark, now))
        # Sooner than it can have been played: it is the `clear` that sends it. One that was due before the `clear` went
        # out was under way before it: it would be sooner still as an answer to that.
        due = self.origin + mark.at_ms
        return due > self.sent_at and now - due < self.least_ms - BURST_MS and self.arrived(now)

    def arrived(self, now: float) -> bool:
        """The `clear` itself has come back; True if the position was settled by it."""
        if self.settled:
            return False
        self.settled = True
        self._settle(now, now - self.sent_at if self.usual_ms is None else self.usual_ms)
        return True

    def so_far(self, now: float) -> float:
        """The position as far as it can be told before the `clear` has come back. Where that is overdue the line stands
        still, one way or the other: on the way out more is heard, on the way back it is not. The middle of both is
        never far off. Up to its last echo the way back was open."""
        if self.settled or self.usual_ms is None or now - self.sent_at <= self.usual_ms + self.slack_ms:
            return self.position
        back = max((when for _, when in self._came), default=self.sent_at)
        out_late = max(0.0, back - self.sent_at - self.usual_ms)
        position = self.position + out_late + (now - self.sent_at - self.usual_ms - out_late) / 2
        due = now - self.origin - self.usual_ms - self.slack_ms
        came = [mark for mark, _ in self._came]
        missed = next((mark.at_ms for mark in self.marks if mark not in came and mark.at_ms < due), self.length_ms)
        return max(self.heard_ms, min(position, max(missed, self.position)), *(mark.at_ms for mark in came))

    def _settle(self, now: float, usual: float) -> None:
        burst = max(BURST_MS, SPREADS * self.spread_ms)
        before = [(mark, when) for mark, when in self._came if when <= now - burst]
        behind = [mark for mark, when in self._came if when > now - burst]
        position, late = self.sent_at - self.origin, now - self.sent_at - usual
        heard, alive = self.heard_ms, False
        if before:
            mark, when = before[-1]
            heard, alive = max(heard, mark.at_ms), when > self.sent_at
            lag = when - self.origin - mark.at_ms - usual
            if lag > self.slack_ms and any(one.lead_ms < BARELY_MS for one in self.marks if one.at_ms <= mark.at_ms):
                position -= lag
        # Due, and come only with the `clear`: the way back stood still, or the sound had come too late to be played.
        overdue = [mark for mark in behind if self.origin + mark.at_ms + usual + self.slack_ms < now - burst]
        if overdue and overdue[0].lead_ms < BARELY_MS:
            position = min(position, (position + overdue[0].at_ms) / 2)  # either: the middle is never far off
        elif late < -self.slack_ms or (self.many and now - self.sent_at < self.least_ms - SOONER_MS):
            position += late
        elif late > self.slack_ms and not overdue:
            position += late if alive else late / 2
            position = min([position, *(mark.at_ms for mark in behind)])
        elif abs(late) <= self.slack_ms:
            position += late * self._believed
        self.position = max(heard, min(position, self.length_ms))

    @property
    def _believed(self) -> float:
        """The share of a small lateness that is the way out's, and so moves the position; the rest is the way back's,
        which delays a mark's echo as much as the `clear`'s."""
        return OUT_MS**2 / (OUT_MS**2 + self.spread_ms**2)
