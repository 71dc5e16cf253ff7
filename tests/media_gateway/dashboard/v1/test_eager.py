"""A coroutine that is begun at once: done, failed, or going on in a task as if it had been one from the start."""

from __future__ import annotations

import asyncio

import pytest

from media_gateway.dashboard.v1.eager import begun

pytestmark = pytest.mark.anyio


async def test_what_does_not_wait_is_done_at_once() -> None:
    done: list[int] = []

    async def quick() -> None:
        done.append(1)

    assert begun(quick()) is None
    assert done == [1]


async def test_what_fails_before_it_waits_fails_here() -> None:
    async def broken() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        begun(broken())


async def test_what_waits_goes_on_in_a_task_through_several_waits() -> None:
    gate, steps = asyncio.Event(), list[str]()

    async def slow() -> None:
        steps.append("begun")
        await gate.wait()
        steps.append("through")
        await asyncio.sleep(0)
        steps.append("done")

    rest = begun(slow())
    assert rest is not None
    task = asyncio.ensure_future(_wait(rest))
    await asyncio.sleep(0)
    assert steps == ["begun"]
    gate.set()
    await task
    assert steps == ["begun", "through", "done"]


async def test_a_cancelled_task_cancels_the_coroutine() -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    rest = begun(slow())
    assert rest is not None
    task = asyncio.ensure_future(_wait(rest))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert ended == ["cancelled"]


async def _wait(rest: object) -> None:
    await rest  # type: ignore[misc]
