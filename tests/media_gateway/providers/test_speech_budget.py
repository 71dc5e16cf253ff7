"""A vendor's limit, under any spending."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.providers.speech_budget import Budget

SPENDING = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 30)), max_size=80)


@given(SPENDING, st.integers(1, 40))
def test_no_window_holds_more_than_it_may(spending: list[tuple[float, int]], most: int) -> None:
    budget, now, spent = Budget(most, 60.0), 0.0, list[tuple[float, int]]()
    for wait, amount in spending:
        now += wait
        if budget.take(now, amount):
            spent.append((now, amount))
        else:
            free = budget.free_at(now, amount)
            assert free > now
            if amount <= most:
                assert deepcopy(budget).left(free) >= amount
            else:
                assert free == float("inf")
        assert 0 <= budget.left(now) <= most
    for at, _ in spent:
        assert sum(amount for when, amount in spent if at - 60.0 <= when <= at) <= most


def test_what_may_be_spent_may_be_spent_now() -> None:
    budget = Budget(2, 10.0, margin_s=0.0)
    assert budget.free_at(5.0, 2) == 5.0
    assert budget.take(5.0)
    assert budget.take(6.0)
    assert not budget.take(14.9)
    assert budget.free_at(14.9) == 15.0
    assert budget.take(15.0)
