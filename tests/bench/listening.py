"""What the Firestore listener costs: CPU per event with few and many live calls, and while Firestore is away.

The server is scripted and runs in a process of its own; so the figures are the listener's and the hub's alone.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc.aio

from realtime.call import Call
from realtime.events import Event, EventType
from realtime.hub import Hub
from realtime.listener import FirestoreHeadFeed
from realtime.stores.port import FeedState
from tests.realtime.hub_parts import Memory, running
from tests.realtime.listen_server import Change, ListenServer, document, serving, target

EVENTS = 2000
TS = "2026-11-20T10:00:00.000Z"


def _head(call_id: str, seq: int) -> Call:
    tail = [
        Event(call_id, "e1", n, EventType.IDLE, TS, {"text": "x" * 100}).to_dict()
        for n in range(max(1, seq - 7), seq + 1)
    ]
    return replace(Call(call_id=call_id, epoch="e1"), seq=seq, tail=tuple(tail))


async def _serve(calls: int, pipe: Any) -> None:
    script = [target(Change.ADD), *[document(_head(f"CA{n}", 1)) for n in range(calls)], target(Change.CURRENT, b"t")]
    go = asyncio.Event()

    class Paced(ListenServer):
        async def listen(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            await anext(aiter(requests))
            for line in script:
                yield line
            await go.wait()
            for n in range(EVENTS):
                yield document(_head(f"CA{n % calls}", 2 + n // calls))
                if n % 20 == 19:
                    await asyncio.sleep(0.01)
            await asyncio.Event().wait()

    async with serving([], kind=Paced) as server:
        pipe.send(server.address)
        await asyncio.to_thread(pipe.recv)
        go.set()
        await asyncio.to_thread(pipe.recv)


def _server(calls: int, pipe: Any) -> None:
    asyncio.run(_serve(calls, pipe))


async def _with(calls: int) -> float:
    """CPU microseconds for each event, with this many live calls."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_server, args=(calls, theirs), daemon=True)
    process.start()
    address = await asyncio.to_thread(ours.recv)

    async def dial() -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(address)

    feed = FirestoreHeadFeed("demo", dial=dial, idle_seconds=None)
    hub = Hub(Memory(), feed, linger=0.0, sweep=3600.0)
    async with running(hub):
        watching = hub.subscribe("*", org="default", replay=False)
        await watching.heads()
        while hub.state is not FeedState.LIVE or len(hub._rooms) < calls:
            await asyncio.sleep(0.05)
        for _ in range(calls):
            await anext(watching)
        began = time.process_time()
        ours.send("go")
        for _ in range(EVENTS):
            await anext(watching)
        used = time.process_time() - began
    ours.send("end")
    process.join(10)
    return used / EVENTS * 1e6


async def per_event() -> dict[str, Any]:
    """`flat`: the cost with 1,000 live calls over that with one (about 1 is wanted)."""
    cost = {calls: round(await _with(calls), 1) for calls in (1, 200, 1000)}
    return {"us_per_event": cost, "flat": round(cost[1000] / cost[1], 2)}


async def outage(seconds: float = 30.0) -> dict[str, Any]:
    """Share of a core while nobody answers (under 0.02 is wanted)."""
    feed = FirestoreHeadFeed("demo", emulator_host="127.0.0.1:9")
    hub = Hub(Memory(), feed, linger=0.0)
    async with running(hub):
        hub.subscribe("*", org="default", replay=False)
        began = time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - began
    return {"seconds": seconds, "cpu_share": round(used / seconds, 4), "opens": feed.opens}
