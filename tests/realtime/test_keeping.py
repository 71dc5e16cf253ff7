"""A background job that fails goes on, and takes nothing with it."""

from __future__ import annotations

import asyncio

import pytest

from realtime.keeping import CAP_S, Keeper

pytestmark = pytest.mark.anyio


class Sleeps:
    """Takes no time, and is cancelled after so many."""

    def __init__(self, most: int) -> None:
        self.slept: list[float] = []
        self._most = most

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self._most:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


async def test_it_is_begun_again_later_and_later() -> None:
    sleeps = Sleeps(12)
    keeper = Keeper(sleep=sleeps, rand=lambda: 0.5)

    async def broken() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_raise())

    with pytest.raises(asyncio.CancelledError):
        await keeper.keep("broken", broken)
    assert keeper.faults == {"broken": 12}
    assert sleeps.slept[:3] == [0.75, 1.5, 3.0]
    assert max(sleeps.slept) <= CAP_S


async def _raise() -> None:
    raise KeyError("poison")


async def test_it_ends_when_its_work_is_done_or_it_is_cancelled() -> None:
    keeper = Keeper()
    await keeper.keep("done", lambda: asyncio.sleep(0))
    task = asyncio.create_task(keeper.keep("runs", lambda: asyncio.sleep(3600)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not keeper.faults


async def test_one_of_several_works_keeps_none_of_the_others_from_its_turn() -> None:
    keeper = Keeper(sleep=Sleeps(4), rand=lambda: 0.0)
    done: list[int] = []

    async def good() -> None:
        done.append(1)

    with pytest.raises(asyncio.CancelledError):
        await keeper.each("some", 30, _raise, good)
    assert (len(done), keeper.faults) == (3, {"some": 3})
