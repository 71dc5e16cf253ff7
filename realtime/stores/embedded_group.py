"""How long the embedded store's writer waits for company. Pure.

A transaction costs as much as the commits in it, so when many callers write, one soon after the other, those of a few
ms go together; who writes alone is not kept waiting for nobody.
"""

from __future__ import annotations

GATHER_S = 0.01
"""The least time between two transactions, while waiting is worth it. A commit is late by no more than that."""
WORTH = 1.3
"""Commits that a wait finds on average, from which on it is worth it. Who writes alone, one thing after the other,
finds 1 however long it is."""
AGAIN = 64
"""Transactions after which it is tried again."""
_NEW = 0.1
"""Share of the newest wait in the average."""


class Gathering:
    """Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._found = WORTH
        self._wrote_at = float("-inf")
        self._skipped = 0

    def pause(self, now: float) -> float:
        """There is something to write: how long to wait before it is."""
        left = self._wrote_at + GATHER_S - now
        if left <= 0:
            return 0.0
        if self._found < WORTH and self._skipped < AGAIN:
            self._skipped += 1
            return 0.0
        return min(left, GATHER_S)

    def found(self, commits: int) -> None:
        """After a wait there were so many."""
        self._skipped = 0
        self._found += (commits - self._found) * _NEW

    def wrote(self, now: float) -> None:
        """A transaction was made."""
        self._wrote_at = now
