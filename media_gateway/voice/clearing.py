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
    give or take `slack_ms` (None: none has come yet), and `least_ms` at least; all up to `heard_ms` of `length_ms` was
    heard; `marks` were outstanding. `position` is the best estimate so far."""

    sent_at: float
    origin: float
    position: float
    heard_ms: float
    length_ms: float
    marks: Sequence[Mark]
    usual_ms: float | None
    least_ms: float
    slack_ms: float
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

    def _settle(self, now: float, usual: float) -> None:
        before = [(mark, when) for mark, when in self._came if when <= now - BURST_MS]
        behind = [mark for mark, when in self._came if when > now - BURST_MS]
        position, late = self.sent_at - self.origin, now - self.sent_at - usual
        heard, alive = self.heard_ms, False
        if before:
            mark, when = before[-1]
            heard, alive = max(heard, mark.at_ms), when > self.sent_at
            lag = when - self.origin - mark.at_ms - usual
            if lag > self.slack_ms and any(one.lead_ms < BARELY_MS for one in self.marks if one.at_ms <= mark.at_ms):
                position -= lag
        # Due, and come only with the `clear`: the way back stood still, or the sound had come too late to be played.
        overdue = [mark for mark in behind if self.origin + mark.at_ms + usual + self.slack_ms < now - BURST_MS]
        if overdue and overdue[0].lead_ms < BARELY_MS:
            position = min(position, (position + overdue[0].at_ms) / 2)  # either: the middle is never far off
        elif late < -self.slack_ms:
            position += late
        elif late > self.slack_ms and not overdue:
            position += late if alive else late / 2
            position = min([position, *(mark.at_ms for mark in behind)])
        elif abs(late) <= self.slack_ms:
            position += late / 2  # half of it is jitter
        self.position = max(heard, min(position, self.length_ms))
