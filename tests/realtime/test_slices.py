"""Work for many in slices: all of it, in order, and the loop is free in between."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from realtime.slices import Slices

pytestmark = pytest.mark.anyio


async def test_a_little_is_done_at_once_and_much_in_slices_with_turns_for_others() -> None:
    slices, done, others = Slices(10), list[tuple[str, int]](), list[int]()
    slices.run(range(3), lambda n: done.append(("a", n)))
    assert len(done) == 3
    slices.run(range(100), lambda n: done.append(("b", n)))
    slices.run(range(2), lambda n: done.append(("c", n)))
    assert len(done) == 3
    while len(done) < 105:
        others.append(len(done))
        await asyncio.sleep(0)
    assert done[3:] == [("b", n) for n in range(100)] + [("c", 0), ("c", 1)]
    assert max(after - before for before, after in itertools.pairwise(others)) <= 10


async def test_what_is_asked_for_meanwhile_comes_after_what_waits() -> None:
    slices, done = Slices(4), list[str]()

    def fan_out(name: str) -> None:
        slices.run(range(6), lambda n: done.append(f"{name}{n}"))

    slices.run(["a"] * 1, fan_out)
    slices.run(["b"] * 1, fan_out)
    while len(done) < 12:
        await asyncio.sleep(0)
    assert done == [f"{name}{n}" for name in "ab" for n in range(6)]
