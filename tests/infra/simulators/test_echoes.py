from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from infra.simulators.config import Faults
from infra.simulators.echoes import Echoes
from infra.simulators.playout import Mark


def marks(count: int) -> tuple[Mark, ...]:
    return tuple(Mark(f"m{n}", 0, 0, "played") for n in range(count))


def test_at_once_and_in_order() -> None:
    echoes = Echoes(Faults())
    echoes.settle(marks(3), 500)
    assert echoes.next_us() == 500
    assert [echo.mark.name for echo in echoes.due(500)] == ["m0", "m1", "m2"]
    assert echoes.due(500) == []
    assert echoes.echoed_us == {0: 500, 1: 500, 2: 500}


def test_a_dropped_mark_is_never_sent() -> None:
    echoes = Echoes(Faults())
    echoes.settle((Mark("gone", 0, 0, "dropped"),), 0)
    assert echoes.due(10**9) == []
    assert [mark.name for mark in echoes.settled] == ["gone"]


@given(st.floats(0, 500), st.floats(0, 500), st.integers(0, 20), st.integers(0, 9))
def test_held_back_as_long_as_asked_and_none_lost(delay: float, jitter: float, count: int, seed: int) -> None:
    echoes = Echoes(Faults(mark_delay_ms=delay, mark_jitter_ms=jitter, seed=seed))
    echoes.settle(marks(count), 0)
    assert echoes.due(round(delay * 1000) - 1) == []
    sent: list[str] = []
    while (due_us := echoes.next_us()) is not None:
        assert due_us <= round((delay + jitter) * 1000) + 1
        sent += [echo.mark.name for echo in echoes.due(due_us)]
    assert sorted(sent) == sorted(mark.name for mark in marks(count))
