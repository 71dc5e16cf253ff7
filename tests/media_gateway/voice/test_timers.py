"""Timers that are armed again and again leave the loop's own alone, and still run out when they are due."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.voice.quiet import Quiet
from media_gateway.voice.timers import Timers
from tests.media_gateway.voice.virtual import run

NAMES = ("a", "b")
ACTS = st.lists(
    st.tuples(st.sampled_from(["arm", "arm", "disarm", "wait"]), st.sampled_from(NAMES), st.integers(1, 40)),
    max_size=40,
)


@given(ACTS)
def test_each_runs_out_once_and_when_it_is_due(acts: list[tuple[str, str, int]]) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        due: dict[str, float] = {}
        fired: list[tuple[str, float]] = []
        wanted: list[tuple[str, float]] = []
        timers = Timers(lambda name: fired.append((name, round(loop.time(), 6))))

        def passed(now: float) -> None:
            over = [name for name, at in due.items() if at <= now + 1e-9]
            wanted.extend((name, round(due.pop(name), 6)) for name in over)

        for kind, name, ms in acts:
            if kind == "arm":
                timers.arm(name, ms)
                due[name] = loop.time() + ms / 1000
            elif kind == "disarm":
                timers.disarm(name)
                due.pop(name, None)
            else:
                await asyncio.sleep(ms / 1000)
                await asyncio.sleep(0)
                passed(loop.time())
            assert {name for name in NAMES if timers.armed(name)} == set(due)
        await asyncio.sleep(0.1)
        passed(loop.time())
        assert sorted(fired) == sorted(wanted)
        timers.arm("a", 5)
        timers.disarm("b")
        timers.close()
        await asyncio.sleep(0.1)
        assert len(fired) == len(wanted)

    run(play())


def test_arming_again_costs_the_loop_no_timer() -> None:
    async def play() -> None:
        timers = Timers(lambda _: None)
        timers.arm("a", 100)
        first = timers._handles["a"]
        for _ in range(50):
            await asyncio.sleep(0.001)
            timers.arm("a", 100)
        timers.disarm("a")
        timers.arm("a", 100)
        assert timers._handles["a"] is first
        timers.arm("a", 1)
        assert timers._handles["a"] is not first
        timers.close()

    run(play())


def test_a_deadline_begins_anew_with_every_word() -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with Quiet(1.0) as quiet:
                for _ in range(10):
                    await asyncio.sleep(0.9)
                    quiet.heard()
                await asyncio.sleep(60)
        except TimeoutError:
            assert round(loop.time() - began, 3) == 10.0
        else:
            raise AssertionError("nothing was heard for a minute")
        async with Quiet(0.01):
            pass
        await asyncio.sleep(1)

    run(play())


def test_a_cancellation_from_elsewhere_stays_one() -> None:
    async def play() -> None:
        async def waits() -> None:
            async with Quiet(5.0):
                await asyncio.sleep(60)

        task = asyncio.create_task(waits())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    run(play())
