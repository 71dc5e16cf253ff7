"""F1, F2, F12, F19: gateways that die, leave or cut in the middle of a burst. Nothing lost or twice, all in order."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from media_gateway.auth import Principal, Tokens
from media_gateway.dashboard.v1.model import Limits
from tests.faults.fleet import Follower, beside, following, gateways
from tests.faults.proxy import Proxy
from tests.media_gateway.harness import KEY, closed

pytestmark = pytest.mark.anyio
CALLS = ["CA1", "CA2", "CA3", "CA4"]


async def crowd(stack: AsyncExitStack, address: str, count: int) -> list[Follower]:
    """Half of them watch all, half one call and all."""
    return [
        await stack.enter_async_context(
            following(address, calls=() if n % 2 else (CALLS[n % 4],), everything=True, user=f"user{n}")
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_f1_f2_a_gateway_goes_in_the_middle_of_a_burst(tmp_path: Path, how: signal.Signals) -> None:
    async with (
        beside(tmp_path) as writer,
        gateways(tmp_path, 2) as (first, second),
        Proxy(first.address, second.address) as proxy,
        AsyncExitStack() as stack,
    ):
        followers = await crowd(stack, proxy.address, 8)
        for call_id in CALLS:
            await writer.open(call_id)
        burst = asyncio.create_task(writer.burst(CALLS, seconds=1.5, rate=200))
        await asyncio.sleep(0.7)
        await first.stop(how)
        await burst
        for follower in followers:
            await follower.has(writer, *CALLS)
        gone = [follower for follower in followers if len([s for s in follower.states if s.phase == "live"]) > 1]
        assert gone, "somebody must have been on the gateway that went"
        if how is signal.SIGTERM:
            assert {state.code for follower in gone for state in follower.states if state.code} == {1001}


async def test_f2_everybody_hears_that_it_goes_before_it_is_gone(tmp_path: Path) -> None:
    async with gateways(tmp_path, 1) as (gateway,):
        tokens = Tokens([("k1", KEY)])
        lines = []
        for n in range(5):
            ws = await connect(f"ws://{gateway.address}/ws/v1", subprotocols=[Subprotocol("callboard.v1")], proxy=None)
            hello = {"id": 1, "type": "connect", "token": tokens.ticket(Principal(f"u{n}", "default", "viewer"))}
            await ws.send(json.dumps(hello))
            await ws.recv()
            lines.append(ws)
        gateway.process.send_signal(signal.SIGTERM)
        assert await asyncio.gather(*(closed(ws) for ws in lines)) == [1001] * 5
        await gateway.stop(signal.SIGTERM)


async def test_f12_a_client_is_cut_again_and_again_and_lands_on_another_gateway_each_time(tmp_path: Path) -> None:
    async with (
        beside(tmp_path) as writer,
        gateways(tmp_path, 2) as (first, second),
        Proxy(first.address, second.address) as proxy,
        following(proxy.address, calls=("CA1",), everything=True) as follower,
    ):
        await writer.open("CA1")
        await writer.open("CA2")
        burst = asyncio.create_task(writer.burst(["CA1", "CA2"], seconds=2.5, rate=80))
        for _ in range(50):
            await asyncio.sleep(0.05)
            proxy.reset()
        await burst
        await follower.has(writer, "CA1", "CA2")
        assert proxy.opened > 50


async def test_f19_planned_closes_are_invisible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_gateway.dashboard.v1.socket.Limits", lambda: Limits(age_s=0.4, jitter_s=0.2))
    monkeypatch.setattr("media_gateway.dashboard.v1.socket.TICK_S", 0.05)
    from tests.faults.inside import inside

    async with inside(tmp_path) as here, following(here.address, calls=("CA1",), everything=True) as follower:
        await here.writer.open("CA1")
        await here.writer.burst(["CA1"], seconds=2, rate=50)
        await follower.has(here.writer, "CA1")
        assert 4501 in {state.code for state in follower.states}
