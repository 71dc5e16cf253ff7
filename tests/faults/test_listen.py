"""F4: a Firestore that resumes, resets, removes, filters, merges, repeats, reorders, falls silent and breaks off, from
its stream to the subscription: every event once, in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from realtime.call import Call
from realtime.events import Event, EventType
from realtime.hub import Hub
from realtime.listener import FirestoreHeadFeed
from tests.realtime.hub_parts import Memory, running
from tests.realtime.listen_server import ABORT, SILENCE, Change, count, document, left, serving, target

pytestmark = pytest.mark.anyio
LIVE = [target(Change.ADD), target(Change.CURRENT, b"t1")]


async def test_f4_the_stream_does_everything_that_streams_do(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Memory(tail=2)
    journal.open(Call(call_id="CA1"))
    journal.open(Call(call_id="CA2"))
    heads: list[Call] = [journal.add("CA1", *[EventType.IDLE] * 3) for _ in range(20)]  # 60 events, 20 heads
    other = journal.add("CA2", EventType.IDLE)
    poison = {"call_id": "CA1", "status": 7}
    scripts: list[list[Any]] = [
        [*LIVE, document(heads[0]), document(heads[1]), ABORT],
        # Resumed: only what changed; merged (2 to 4 are not told), repeated, out of order, and a poisoned document.
        [*LIVE, document(heads[5]), document(heads[3]), document(heads[5]), document(poison), ABORT],
        # The server's count differs from ours: everything is asked for again.
        [*LIVE, document(heads[6]), target(Change.NO_CHANGE, b"t2"), count(7), SILENCE],
        [*LIVE, document(heads[7]), target(Change.RESET), document(heads[8]), document(other), ABORT],
        [target(Change.ADD), target(Change.REMOVE, code=14)],
        [target(Change.ADD), target(Change.REMOVE, code=7)],
        # One of ours leaves the result set and comes back.
        [*LIVE, document(heads[9]), left("CA2"), document(heads[11]), document(heads[10]), document(other), SILENCE],
        [*LIVE, document(heads[12]), *[target(Change.NO_CHANGE, b"t3")] * 3, SILENCE],
        [*LIVE, *[document(head) for head in reversed(heads[13:])], SILENCE],
    ]
    async with serving(*scripts) as server:
        feed = FirestoreHeadFeed("demo", dial=server.dial, idle_seconds=0.3, connect_seconds=10, backoff=(0.001, 0.002))
        # What the store has is not to help: only the stream tells, and the journal fills the holes.
        monkeypatch.setattr(journal, "active", _nothing)
        hub = Hub(journal, feed, linger=0.0, sweep=3600.0)
        async with running(hub):
            one = hub.subscribe("CA1", org="default")
            everything = hub.subscribe("*", org="default")
            got = await _read(one, 60)
            assert [event.seq for event in got] == list(range(1, 61))
            all_ = await _read(everything, 61)
            assert [event.seq for event in all_ if event.call_id == "CA1"] == list(range(1, 61))
            assert [event.seq for event in all_ if event.call_id == "CA2"] == [1]
    assert hub.poisoned + feed.poisoned >= 1
    assert server.tokens[:3] == [b"", b"t1", b"t1"]
    assert server.tokens[3] == b"", "after a filter that differs nothing is resumed"
    assert len(set(server.peers)) == len(server.peers), "a connection of its own for each stream"


async def _nothing(**_: Any) -> list[Call]:
    return []


async def _read(subscription: Any, number: int) -> list[Event]:
    events: list[Event] = []
    async with asyncio.timeout(60):
        while len(events) < number:
            item = await anext(subscription)
            if isinstance(item, Event):
                events.append(item)
    return events


async def test_f4_a_head_that_says_less_than_is_known_takes_nothing_back() -> None:
    journal = Memory(tail=0)
    journal.open(Call(call_id="CA1"))
    first = journal.add("CA1", EventType.IDLE)
    last = journal.add("CA1", *[EventType.IDLE] * 4)
    script = [*LIVE, document(last), document(first), document(replace(first, seq=0)), document(last), SILENCE]
    async with serving(script) as server:
        feed = FirestoreHeadFeed("demo", dial=server.dial, idle_seconds=None, backoff=(0.001, 0.002))
        async with running(Hub(journal, feed, linger=0.0)) as hub:
            assert [event.seq for event in await _read(hub.subscribe("CA1", org="default"), 5)] == [1, 2, 3, 4, 5]
