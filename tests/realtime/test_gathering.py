"""The embedded store's writer: many callers share its transactions, and one alone is not kept waiting."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from realtime.stores.embedded_group import AGAIN, GATHER_S, WORTH, Gathering

WRITE_S = 0.0003


def played(arrivals: list[float]) -> list[tuple[float, int]]:
    """When each transaction began and how many commits it took, for commits that come at these times."""
    gathering, groups, now = Gathering(), list[tuple[float, int]](), 0.0
    waiting = sorted(arrivals)
    while waiting:
        now = max(now, waiting[0])
        pause = gathering.pause(now)
        assert 0.0 <= pause <= GATHER_S
        now += pause
        taken = [at for at in waiting if at <= now]
        if pause:
            gathering.found(len(taken))
        waiting = waiting[len(taken) :]
        groups.append((now, len(taken)))
        now += WRITE_S
        gathering.wrote(now)
    return groups


def test_who_writes_alone_one_thing_after_the_other_waits_once_in_a_while() -> None:
    gathering, now, waits = Gathering(), 0.0, 0
    for _ in range(1_000):
        if pause := gathering.pause(now):
            waits += 1
            gathering.found(1)
        now += pause + WRITE_S
        gathering.wrote(now)
        now += WRITE_S
    assert waits <= 2 + 1_000 // AGAIN


def test_many_callers_share_transactions() -> None:
    rng, at, arrivals = Random(5), 0.0, list[float]()
    for _ in range(2_000):
        at += rng.expovariate(200)
        arrivals.append(at)
    groups = played(arrivals)
    assert len(groups) < 2_000 / 2
    assert max(size for _, size in groups) < 12


def test_what_is_rare_never_waits() -> None:
    groups = played([n * 3 * GATHER_S for n in range(500)])
    assert groups == [(n * 3 * GATHER_S, 1) for n in range(500)]


def test_it_finds_out_again_when_one_caller_becomes_many() -> None:
    alone = [n * 2 * WRITE_S for n in range(300)]
    many = [1.0 + n * 0.002 for n in range(1_000)]
    groups = [size for at, size in played(alone + many) if at > 1.0]
    assert sum(groups[len(groups) // 2 :]) / len(groups[len(groups) // 2 :]) > WORTH


@given(st.lists(st.floats(0, 1), max_size=200))
def test_no_commit_is_late_by_more_than_the_pause(arrivals: list[float]) -> None:
    groups = played(arrivals)
    assert sum(size for _, size in groups) == len(arrivals)
    order = iter(sorted(arrivals))
    for began, size in groups:
        for at in [next(order) for _ in range(size)]:
            assert began - at <= GATHER_S + WRITE_S + 1e-9
