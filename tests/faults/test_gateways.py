"""F1, F2, F12, F19: gateways that die, leave or cut in the middle of a burst. Nothing lost or twice, all in order."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from media_gateway.auth import Principal, Tokens
from media_gateway.dashboard.v1.model import Limits
from tests.faults.fleet import Follower, Gateway, Writer, beside, following, gateways
from tests.faults.inside import inside
from tests.faults.proxy import Proxy
from tests.media_gateway.harness import KEY, closed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]


@dataclass
class Fleet:
    """Gateways that serve dashboards, and a writer beside them. Those that still live are `living`."""

    writer: Writer
    living: list[Gateway]

    async def goes(self, gateway: Gateway, how: signal.Signals, fronts: Mapping[str, Proxy]) -> None:
        """This one goes, and who comes to its door is led to another one."""
        self.living.remove(gateway)
        fronts[gateway.address].targets[:] = [self.living[0].address]
        await gateway.stop(how)


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    async with beside(folder) as writer, gateways(folder, 3) as all_of_them:
        yield Fleet(writer, list(all_of_them))


async def crowd(stack: AsyncExitStack, fronts: Mapping[str, Proxy], calls: list[str], count: int) -> list[Follower]:
    """On each gateway as many; half of them watch all, half one call and all."""
    doors = list(fronts.values())
    return [
        await stack.enter_async_context(
            following(
                doors[n % len(doors)].address,
                calls=() if n % 2 else (calls[n % 4],),
                everything=True,
                user=f"user{n}",
            )
        )
        for n in range(count)
    ]


async def test_f12_a_client_is_cut_again_and_again_and_lands_on_another_gateway_each_time(fleet: Fleet) -> None:
    async with (
        Proxy(*(gateway.address for gateway in fleet.living)) as proxy,
        following(proxy.address, calls=("CA12a",), everything=True) as follower,
    ):
        await fleet.writer.open("CA12a")
        await fleet.writer.open("CA12b")
        burst = asyncio.create_task(fleet.writer.burst(["CA12a", "CA12b"], seconds=2.5, rate=80))
        for cuts in range(50):
            await asyncio.sleep(0.05)
            await again(proxy, cuts)
            proxy.reset()
        await burst
        await follower.has(fleet.writer, "CA12a", "CA12b")
        await again(proxy, 50)  # after the last cut, too, though it may have had everything before that


async def again(proxy: Proxy, cuts: int) -> None:
    """The client has come back as often as it was cut, however long a busy machine takes for that."""
    async with asyncio.timeout(30):
        while proxy.opened <= cuts:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_f1_f2_a_gateway_goes_in_the_middle_of_a_burst(fleet: Fleet, how: signal.Signals) -> None:
    calls = [f"CA{how.name}{n}" for n in range(4)]
    async with AsyncExitStack() as stack:
        leaving, staying = fleet.living[:2]
        fronts = {one.address: await stack.enter_async_context(Proxy(one.address)) for one in (leaving, staying)}
        followers = await crowd(stack, fronts, calls, 8)
        lines = [await line(leaving, n) for n in range(5)]
        for call_id in calls:
            await fleet.writer.open(call_id)
        burst = asyncio.create_task(fleet.writer.burst(calls, seconds=1.5, rate=200))
        await asyncio.sleep(0.7)
        if how is signal.SIGTERM:  # everybody hears that it goes before it is gone
            leaving.process.send_signal(how)
            assert await asyncio.gather(*(closed(ws) for ws in lines)) == [1001] * 5
        await fleet.goes(leaving, how, fronts)
        await burst
        for follower in followers:
            await follower.has(fleet.writer, *calls)
        was_there = [len([s for s in one.states if s.phase == "live"]) > 1 for one in followers]
        assert was_there == [True, False] * 4
        if how is signal.SIGTERM:
            assert {state.code for one in followers[::2] for state in one.states if state.code} == {1001}


async def line(gateway: Gateway, number: int) -> ClientConnection:
    """A dashboard's bare socket that is connected."""
    ws = await connect(f"ws://{gateway.address}/ws/v1", subprotocols=[Subprotocol("callboard.v1")], proxy=None)
    ticket = Tokens([("k1", KEY)]).ticket(Principal(f"bare{number}", "default", "viewer"))
    await ws.send(json.dumps({"id": 1, "type": "connect", "token": ticket}))
    await ws.recv()
    return ws


async def test_f19_planned_closes_are_invisible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_gateway.dashboard.v1.socket.Limits", lambda: Limits(age_s=0.4, jitter_s=0.2))
    monkeypatch.setattr("media_gateway.dashboard.v1.socket.TICK_S", 0.05)
    async with inside(tmp_path) as here, following(here.address, calls=("CA1",), everything=True) as follower:
        await here.writer.open("CA1")
        for _ in range(4):  # cut in the middle of a burst, so often
            cuts = len(follower.states)
            await here.writer.say("CA1", 2)
            await follower.until(lambda cuts=cuts: len(follower.states) > cuts)  # type: ignore[misc]
            await here.writer.say("CA1", 2)
        await here.writer.complete("CA1")
        await follower.has(here.writer, "CA1")
        assert 4501 in {state.code for state in follower.states}
