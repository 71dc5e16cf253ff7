"""F3, F5, F10, F20 on the real Firestore emulator behind a proxy: the path to the store breaks, the store itself dies
or falls silent, and what it holds is bad. Calls talk on meanwhile, and their webhooks are taken."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import Put
from tests.emulators import Mortal, firestore_command
from tests.faults.caller import Caller, calling, webhook
from tests.faults.fleet import Follower, Gateway, Writer, following, gateways
from tests.faults.proxy import Proxy
from tests.faults.soak import soak

pytestmark = [pytest.mark.anyio, pytest.mark.emulator, pytest.mark.timeout(240)]
SPIN = 0.25
"""Of a core, beyond what the same time costs when all is well: less than anything that tries again without a pause."""


@dataclass
class Cloud:
    """A gateway process whose way to Firestore can be broken, and a writer whose own cannot."""

    proxy: Proxy
    writer: Writer
    gateway: Gateway

    @property
    def address(self) -> str:
        return self.gateway.address


@asynccontextmanager
async def clouded(folder: Path, emulator: str) -> AsyncIterator[Cloud]:
    project = f"demo-{uuid4().hex[:8]}"
    async with Proxy(emulator) as proxy:
        more = {
            "CALLBOARD_STORE": "firestore",
            "GOOGLE_CLOUD_PROJECT": project,
            "CALLBOARD_ROLE": "all",
            "PUBLIC_BASE_URL": "http://{address}",
            "FIRESTORE_EMULATOR_HOST": proxy.address,
        }
        async with gateways(folder, 1, "tests.faults.echoing", **more) as (gateway,):
            store = FirestoreStore(project, emulator_host=emulator)
            try:
                yield Cloud(proxy, Writer(store), gateway)
            finally:
                await store.aclose()


@pytest.fixture(scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory, firestore_emulator: str) -> AsyncIterator[Cloud]:
    async with clouded(tmp_path_factory.mktemp("cloud"), firestore_emulator) as here:
        yield here


def told(follower: Follower, *, degraded: bool) -> bool:
    return any(state.degraded is degraded and state.phase == "live" for state in follower.states[1:])


async def test_f3_f5_resets_and_a_poisoned_event(cloud: Cloud) -> None:
    here = cloud
    async with following(here.address, calls=("CA3",), everything=True) as follower:
        await here.writer.open("CA3")
        for _ in range(5):
            await here.writer.say("CA3", 3)
            here.proxy.reset()
            await here.writer.say("CA3", 3)
        await follower.has(here.writer, "CA3")
        # A line that nobody can read, in the middle of a commit that is longer than the head's tail.
        call = await here.writer.journal.find("CA3")
        assert call is not None
        bad = f"calls/CA3/events/{call.seq + 3:08d}"
        here.proxy.refuse()
        await here.writer.say("CA3", 20)
        await here.writer.store.commit([Put(bad, {"seq": call.seq + 3, "poison": True})])
        here.proxy.mend()
        await here.writer.say("CA3", 1)
        await follower.until(lambda: len(follower.of("CA3")) == call.seq + 21)
        wanted = [
            line if line[2] != call.seq + 3 else ("CA3", call.epoch, call.seq + 3, "invalid")
            for line in [("CA3", call.epoch, seq, kind) for _, _, seq, kind in await here.writer.log("CA3")]
        ]
        assert follower.of("CA3") == wanted
        await follower.until(lambda: not follower.states[-1].degraded)


async def _outage(here: Cloud, seconds: float) -> None:
    """The store cannot be reached for so long, while events go on (another instance writes them), a call talks, and
    Twilio tells of it."""
    async with following(here.address, calls=("CA1",), everything=True) as follower:
        await here.writer.open("CA1")
        async with calling(here.address, "CA10") as caller:
            await caller.heard(100)
            before, late = here.gateway.cpu_s, caller.late
            await caller.heard(100)
            quiet = here.gateway.cpu_s - before  # of two seconds
            here.proxy.refuse()
            loop = asyncio.get_running_loop()
            began, before = loop.time(), here.gateway.cpu_s
            answer = await webhook(
                here.address, "/api/v1/voice/status", {"CallSid": "CA10", "CallStatus": "in-progress"}
            )
            assert answer.status_code == 204, "the bus holds it"
            while loop.time() < began + seconds:
                await here.writer.say("CA1", 2)
                await asyncio.sleep(seconds / 20)
            await follower.until(lambda: told(follower, degraded=True))
            took, used = loop.time() - began, here.gateway.cpu_s - before
            await here.writer.open("CA2")
            here.proxy.mend()
            await here.writer.say("CA2", 1)
            await follower.has(here.writer, "CA1", "CA2")
            await follower.until(lambda: not follower.states[-1].degraded)
            assert used < took * (quiet / 2.0 + SPIN), "it tries again with pauses"
            _not_late(caller, late)


def _not_late(caller: Caller, before: int) -> None:
    """An outage is no fault of the audio path: a frame in fifty may be late on a machine that is busy elsewhere."""
    assert caller.late - before <= 5 + len(caller.sent) // 50, (caller.late, before, len(caller.sent))


async def test_f10_the_store_is_away_for_a_while(cloud: Cloud) -> None:
    await _outage(cloud, 2)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seconds", [30, 150])
async def test_f10_the_store_is_away_for_long(tmp_path: Path, firestore_emulator: str, seconds: int) -> None:
    async with clouded(tmp_path, firestore_emulator) as here:
        await _outage(here, seconds)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_f3_a_line_that_is_half_open(tmp_path: Path, firestore_emulator: str) -> None:
    async with (
        clouded(tmp_path, firestore_emulator) as here,
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


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kept", [True, False])
async def test_f3_the_store_itself_falls_silent_or_dies(tmp_path: Path, kept: bool) -> None:
    """Silent, it comes back with all that it knew; killed, with nothing. The call that talks meanwhile is heard."""
    emulator = await asyncio.to_thread(Mortal, tmp_path, firestore_command())
    try:
        async with (
            clouded(tmp_path, emulator.address) as here,
            following(here.address, everything=True) as follower,
        ):
            await here.writer.open("CA1")
            await here.writer.say("CA1", 3)
            await follower.has(here.writer, "CA1")
            async with calling(here.address, "CA10") as caller:
                await caller.heard(100)
                late = caller.late
                emulator.signal(signal.SIGSTOP if kept else signal.SIGKILL)
                before = here.gateway.cpu_s
                await caller.heard(500)
                assert here.gateway.cpu_s - before < 10 * (SPIN + 0.25)
                if kept:
                    emulator.signal(signal.SIGCONT)
                else:
                    await asyncio.to_thread(emulator.start)
                    await here.writer.open("CA1")  # a journal of the same name, and another one
                await here.writer.say("CA1", 3)
                await here.writer.open("CA2")
                await here.writer.say("CA2", 3)
                await caller.heard(100)
                _not_late(caller, late)
                await follower.has(here.writer, "CA2")
                log = await here.writer.log("CA1")
                if kept:
                    await follower.has(here.writer, "CA1")
                else:
                    await follower.until(lambda: follower.of("CA1")[-1:] == log[-1:] or follower.snapshots)
                    of_new = [line for line in follower.of("CA1") if line[1] == log[0][1]]
                    assert of_new == log[len(log) - len(of_new) :], "never a hole in what it is told"
                await follower.until(lambda: not follower.states[-1].degraded)
    finally:
        await asyncio.to_thread(emulator.close)


async def test_f20_nothing_grows_while_calls_and_dashboards_come_and_go(cloud: Cloud) -> None:
    await soak(cloud, 2, mib=8)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seconds", [60, int(os.environ.get("CALLBOARD_TEST_SOAK_S", "1200"))])
async def test_f20_nothing_grows_for_long(tmp_path: Path, firestore_emulator: str, seconds: int) -> None:
    async with clouded(tmp_path, firestore_emulator) as here:
        await soak(here, seconds, mib=16)
