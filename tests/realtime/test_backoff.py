"""Waits grow, are capped, and are spread."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realtime.backoff import delay


@given(st.integers(-5, 10_000), st.floats(0, 1, exclude_max=True))
def test_between_half_and_the_whole_and_never_over_the_cap(attempt: int, rand: float) -> None:
    waited = delay(attempt, base=0.1, cap=30.0, rand=lambda: rand)
    whole = min(30.0, 0.1 * 2 ** (max(attempt, 1) - 1)) if attempt < 100 else 30.0
    assert whole / 2 <= waited <= whole
