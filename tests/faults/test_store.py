"""F3, F5, F10 on the real Firestore emulator behind a proxy: the path to the store breaks, and what it holds is bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import Put
from tests.faults.fleet import Follower, Writer, following, gateways
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.emulator]


@dataclass
class Cloud:
    """A gateway process whose way to Firestore can be broken, and a writer whose own cannot."""

    proxy: Proxy
    writer: Writer
    address: str


@asynccontextmanager
async def cloud(folder: Path, emulator: str) -> AsyncIterator[Cloud]:
    project = f"demo-{uuid4().hex[:8]}"
    async with Proxy(emulator) as proxy:
        more = {"CALLBOARD_STORE": "firestore", "GOOGLE_CLOUD_PROJECT": project}
        async with gateways(folder, 1, FIRESTORE_EMULATOR_HOST=proxy.address, **more) as (gateway,):
            store = FirestoreStore(project, emulator_host=emulator)
            try:
                yield Cloud(proxy, Writer(store), gateway.address)
            finally:
                await store.aclose()


def told(follower: Follower, *, degraded: bool) -> bool:
    return any(state.degraded is degraded and state.phase == "live" for state in follower.states[1:])


async def test_f3_f5_resets_and_a_poisoned_event(tmp_path: Path, firestore_emulator: str) -> None:
    async with (
        cloud(tmp_path, firestore_emulator) as here,
        following(here.address, calls=("CA1",), everything=True) as follower,
    ):
        await here.writer.open("CA1")
        for _ in range(5):
            await here.writer.say("CA1", 3)
            here.proxy.reset()
            await here.writer.say("CA1", 3)
        await follower.has(here.writer, "CA1")
        # A line that nobody can read, in the middle of a commit that is longer than the head's tail.
        call = await here.writer.journal.find("CA1")
        assert call is not None
        bad = f"calls/CA1/events/{call.seq + 3:08d}"
        here.proxy.refuse()
        await here.writer.say("CA1", 20)
        await here.writer.store.commit([Put(bad, {"seq": call.seq + 3, "poison": True})])
        here.proxy.mend()
        await here.writer.say("CA1", 1)
        await follower.until(lambda: len(follower.of("CA1")) == call.seq + 21)
        wanted = [
            line if line[2] != call.seq + 3 else ("CA1", call.epoch, call.seq + 3, "invalid")
            for line in [("CA1", call.epoch, seq, kind) for _, _, seq, kind in await here.writer.log("CA1")]
        ]
        assert follower.of("CA1") == wanted


async def _outage(here: Cloud, follower: Follower, seconds: float) -> None:
    here.proxy.refuse()
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        await here.writer.say("CA1", 2)
        await asyncio.sleep(seconds / 20)
    await here.writer.open("CA2")
    here.proxy.mend()
    await here.writer.say("CA2", 1)
    await follower.has(here.writer, "CA1", "CA2")


async def test_f10_the_store_is_away_for_a_while(tmp_path: Path, firestore_emulator: str) -> None:
    async with (
        cloud(tmp_path, firestore_emulator) as here,
        following(here.address, calls=("CA1",), everything=True) as follower,
    ):
        await here.writer.open("CA1")
        await _outage(here, follower, 3)
        await follower.until(lambda: told(follower, degraded=True))
        await follower.until(lambda: not follower.states[-1].degraded)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seconds", [30, 150])
async def test_f10_the_store_is_away_for_long(tmp_path: Path, firestore_emulator: str, seconds: int) -> None:
    async with (
        cloud(tmp_path, firestore_emulator) as here,
        following(here.address, calls=("CA1",), everything=True) as follower,
    ):
        await here.writer.open("CA1")
        await _outage(here, follower, seconds)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_f3_a_line_that_is_half_open(tmp_path: Path, firestore_emulator: str) -> None:
    async with (
        cloud(tmp_path, firestore_emulator) as here,
        following(here.address, calls=("CA1",), everything=True) as follower,
    ):
        await here.writer.open("CA1")
        await here.writer.say("CA1", 3)
        await follower.has(here.writer, "CA1")
        here.proxy.swallow()
        await here.writer.say("CA1", 3)
        log = await here.writer.log("CA1")
        await follower.until(lambda: follower.of("CA1") == log, 45.0)
        await follower.until(lambda: not follower.states[-1].degraded)
