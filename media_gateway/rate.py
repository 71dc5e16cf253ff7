"""How much of something is let through: a token bucket. Pure; the caller brings the time."""

from __future__ import annotations


class Bucket:
    """`rate` a second on the long run, `burst` at once after a pause."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._left = burst
        self._at: float | None = None

    def take(self, now: float, cost: float = 1.0) -> bool:
        """True if there was enough left (then it is taken). `now` in seconds of any clock that does not go back."""
        if self._at is not None:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < cost:
            return False
        self._left -= cost
        return True
