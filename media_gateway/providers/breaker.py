"""Leave a provider alone that keeps failing: while it rests, calls go on at once with what stands in for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FAULTS = 3
REST_S = 10.0


@dataclass(slots=True)
class Breaker:
    """After `faults` in a row it rests for `rest_s`; then one attempt may try it, and the others wait for what comes of
    that. `now` is in seconds on any monotonic clock."""

    faults: int = FAULTS
    rest_s: float = REST_S
    _count: int = 0
    _until: float = 0.0

    def allows(self, now: float) -> bool:
        """May it be asked? Who is told so after a rest is the one that tries."""
        if self._count < self.faults:
            return True
        if now < self._until:
            return False
        self._until = now + self.rest_s
        return True

    def worked(self) -> None:
        """It is well."""
        self._count = 0

    def failed(self, now: float) -> None:
        """One more."""
        self._count += 1
        self._until = now + self.rest_s
