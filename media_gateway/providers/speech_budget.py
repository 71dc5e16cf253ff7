"""What a vendor lets one connection do in a while. Pure: times are seconds on any monotonic clock."""

from __future__ import annotations

from collections import deque


class Budget:
    """At most `most` in any window of `seconds`; a little is left unused, since the vendor's clock is not ours."""

    def __init__(self, most: int, seconds: float, *, margin_s: float = 0.5) -> None:
        self._most = most
        self._window = seconds + margin_s
        self._spent: deque[tuple[float, int]] = deque()
        """(when it counts no more, how much)."""
        self._sum = 0

    def left(self, now: float) -> int:
        """What may be spent now."""
        while self._spent and self._spent[0][0] <= now:
            self._sum -= self._spent.popleft()[1]
        return self._most - self._sum

    def take(self, now: float, amount: int = 1) -> bool:
        """Spend it, if it may be."""
        if amount > self.left(now):
            return False
        self._spent.append((now + self._window, amount))
        self._sum += amount
        return True

    def free_at(self, now: float, amount: int = 1) -> float:
        """When that much may be spent if nothing else is; never (infinity) if it is more than the whole."""
        missing = amount - self.left(now)
        if missing <= 0:
            return now
        for until, spent in self._spent:
            missing -= spent
            if missing <= 0:
                return until
        return float("inf")
