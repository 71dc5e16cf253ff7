"""Two hubs on one store: what is said where the call is, is shown where it is watched."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from realtime.call import Call
from realtime.events import LiveEvent, LiveType
from realtime.hub import Hub
from realtime.journal import Journal
from realtime.live_lane import LiveLane, Pace
from realtime.stores.embedded import EmbeddedStore
from tests.realtime.hub_parts import TS, running

pytestmark = pytest.mark.anyio
QUICK = Pace(write=0.01, idle=0.02, look=0.02, beat=0.05)


async def test_a_partial_crosses_over(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        hubs = []
        for _ in range(2):
            store = EmbeddedStore(tmp_path / "callboard.db")
            stack.push_async_callback(store.aclose)
            journal = Journal(store)
            hub = await stack.enter_async_context(running(Hub(journal, store.feed(), linger=0.0)))
            lane = LiveLane(store, hub.show, hub.watched, pace=QUICK)
            hub.on_live.append(lane.offer)
            task = asyncio.create_task(lane.run())
            stack.push_async_callback(asyncio.wait, {task})
            stack.callback(task.cancel)
            hubs.append(hub)
            await journal.open(Call(call_id="CA1"))
        owner, other = hubs
        watching = other.subscribe("*", org="default", replay=False)
        await watching.heads()
        async with asyncio.timeout(20):
            for n in range(1_000):
                owner.live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": f"word {n}"}, TS)
                try:
                    item = await asyncio.wait_for(anext(watching), 0.05)
                except TimeoutError:
                    continue
                break
        assert isinstance(item, LiveEvent)
        assert item.data["text"].startswith("word ")
        assert item.n == 1
