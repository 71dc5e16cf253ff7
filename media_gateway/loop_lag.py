"""How late the event loop wakes: the one number that says whether this process still keeps up with the sound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

EVERY_S = 0.05
SAMPLES = 200
"""Ten seconds."""


class LoopLag:
    """`run` measures until cancelled."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=SAMPLES)

    def add(self, ms: float) -> None:
        """The loop woke this much too late."""
        self._late.append(max(0.0, ms))

    def ms(self, share: float = 0.9) -> float:
        """What this share of the last ten seconds' samples did not exceed; 0 before the first."""
        ordered = sorted(self._late)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    async def run(self, clock: Callable[[], float] | None = None) -> None:
        """Until cancelled."""
        now = clock or asyncio.get_running_loop().time
        while True:
            before = now()
            await asyncio.sleep(EVERY_S)
            self.add((now() - before - EVERY_S) * 1000)
