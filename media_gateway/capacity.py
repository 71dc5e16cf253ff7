"""How many calls a process carries: the one number that admission and the deploy are derived from.

`python -m tests.bench.voice` measures the knee: the most calls on one core with which the delay that the gateway adds
stays under 50 ms (99 of 100 turns) and no caller hears a gap (docs/benchmarks.md).
"""

from __future__ import annotations

KNEE = 150
"""Calls on one core of the bench's machine: of 50, 100, 150 and 200 the most that kept to it. Cores differ: of another
machine it was 90."""
CALLS = KNEE * 2 // 3
"""What is admitted by default: a core in the cloud is one thread of a core, and the vendors' connections are encrypted
there, which the bench's are not. There the core was half busy."""


def share(of: float) -> int:
    """A part of that, for a smaller instance or one that has other things to do."""
    return int(CALLS * of)
