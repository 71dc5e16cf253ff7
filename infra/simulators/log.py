"""What one call leaves behind while it runs: the timeline, the violations, and the call's own clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from infra.simulators.clock import Clock
from infra.simulators.recorder import Violation
from infra.simulators.report import Entry, Observer


class CallLog:
    """Times are microseconds or milliseconds since the log was made, which is when the call began."""

    def __init__(self, clock: Clock, observer: Observer | None = None) -> None:
        self.clock = clock
        self._observer = observer
        self._zero = clock.now()
        self.timeline: list[Entry] = []
        self.violations: list[Violation] = []

    def now_us(self) -> int:
        return round((self.clock.now() - self._zero) * 1e6)

    def now_ms(self) -> float:
        return self.now_us() / 1000

    def when(self, us: int) -> float:
        """The clock's time of this moment of the call."""
        return self._zero + us / 1e6

    def note(self, what: str, **detail: Any) -> None:
        """A line of the timeline."""
        entry = Entry(self.now_ms(), what, detail)
        self.timeline.append(entry)
        if self._observer is not None:
            self._observer(entry)

    def violation(self, violation: Violation) -> None:
        """Something that Twilio would not take."""
        placed = replace(violation, at_ms=self.now_ms())
        self.violations.append(placed)
        self.note("violation", code=placed.code, fault=placed.what)
