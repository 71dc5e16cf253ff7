"""Many calls that end at every moment leave nothing: no task, no thread, no descriptor, no engine, no memory."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import tracemalloc
from pathlib import Path

import pytest

from media_gateway.voice.ports import Partial
from tests.media_gateway.voice.virtual import VirtualLoop, run
from tests.media_gateway.voice.world import World

ENDINGS = ("on_stop", "on_stop", "on_lost", "move", "hangup", "transfer")
KEPT_BYTES = 2_000
"""A call may leave this much, in the middle of many: caches fill."""


def something_happens(world: World, rng: random.Random) -> None:
    match rng.choice(["speech", "speech", "key", "typed", "partial", "line", "sound"]):
        case "speech":
            world.speak(rng.choice(["hello there", "please book it", "bye now", "long", "human please"]))
        case "key":
            world.session.on_digit("1")
        case "typed":
            world.session.on_text("typed words")
        case "partial" if world.virtual_ears.opened:
            world.virtual_ears.opened[-1].tell(Partial("wait a moment"))
        case "line":
            world.session.floor.announce("A line.")
        case "sound":
            world.session.on_media(b"\xff" * 160)


async def a_call(seed: int) -> None:
    """One that ends at a random moment, whatever goes on."""
    rng = random.Random(seed)
    world = World()
    if rng.random() < 0.3:
        world.troubles[rng.choice(["ears", "mind", "voice"])].set(rng.choice(["refused", "hung", "cut"]), 1)
    await world.ring()
    world.begin()
    running = world.running
    for _ in range(rng.randint(0, 5)):
        await asyncio.sleep(rng.choice([0.0, 0.05, 0.5, 2.0, 6.0]))
        if world.over:
            break
        something_happens(world, rng)
    ending = rng.choice(ENDINGS)
    if ending in ("hangup", "transfer"):
        world.session.floor.announce("Goodbye.", now=True, after="hangup" if ending == "hangup" else "handoff")
        await asyncio.sleep(rng.choice([0.0, 0.1, 30.0]))
        world.session.on_stop()
    else:
        getattr(world.session, ending)()
    await asyncio.wait_for(running, 120)
    assert all(ears.closed for ears in world.virtual_ears.opened)
    assert all(voice.closed for voice in world.virtual_voice.opened)
    assert world.line.closed
    assert not world.session.floor.timers._handles


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


def rounds(calls: int, at_once: int) -> None:
    """Twice as many calls as `calls`: the second half must leave no more than the first had found."""

    async def half(seeds: range) -> None:
        before = asyncio.all_tasks()
        for start in range(seeds.start, seeds.stop, at_once):
            await asyncio.gather(*(a_call(seed) for seed in range(start, min(start + at_once, seeds.stop))))
        await asyncio.sleep(0.1)
        assert asyncio.all_tasks() <= before, "tasks are left"

    run(half(range(calls)), limit=10_000_000.0)
    gc.collect()
    threads, files = threading.active_count(), descriptors()
    tracemalloc.start()
    try:
        run(half(range(calls, calls + min(calls, 20))), limit=10_000_000.0)
        gc.collect()
        first, _ = tracemalloc.get_traced_memory()
        run(half(range(2 * calls, 3 * calls)), limit=10_000_000.0)
        gc.collect()
        last, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert threading.active_count() <= threads
    assert descriptors() <= files
    assert last - first <= KEPT_BYTES * calls, f"{(last - first) / calls:.0f} bytes are left of each call"
    assert sum(isinstance(one, VirtualLoop) for one in gc.get_objects()) == 0, "a call holds on to its loop"


@pytest.mark.parametrize("at_once", [1, 10])
def test_a_few_calls(at_once: int) -> None:
    rounds(20, at_once)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("calls", "at_once"), [(500, 1), (300, 100)])
def test_many_calls(calls: int, at_once: int) -> None:
    rounds(calls, at_once)
