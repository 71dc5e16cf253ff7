"""How long to wait before the next try: exponential, capped, with full-range jitter so that a crowd spreads out."""

from __future__ import annotations

import random
from collections.abc import Callable

Random = Callable[[], float]
"""A number in [0, 1). Passed in where a test must own it."""


def delay(attempt: int, *, base: float, cap: float, rand: Random = random.random) -> float:
    """Seconds to wait after the `attempt`-th failure (1 = the first): between a half and the whole of
    `base * 2 ** (attempt - 1)`, never over `cap`."""
    whole = min(cap, base * 2.0 ** min(max(attempt, 1) - 1, 30))
    return whole * (0.5 + rand() / 2)
