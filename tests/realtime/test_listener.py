"""The Firestore feed against a scripted server, which does what the emulator never does, and against the emulator."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from realtime.call import Call
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.listener import FirestoreHeadFeed
from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import FeedState, HeadFeed
from tests.faults.proxy import Proxy
from tests.realtime.listen_server import ABORT, SILENCE, Change, ListenServer, count, document, left, serving, target

pytestmark = pytest.mark.anyio
TS = "2026-11-20T10:00:00.000Z"


def call(call_id: str, seq: int = 0) -> Call:
    return Call(call_id=call_id, epoch="e1", seq=seq)


@dataclass
class Heard:
    """What a feed has told."""

    heads: list[tuple[str, int]] = field(default_factory=list)
    states: list[FeedState] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    raises: int = 0

    def on_head(self, head: Mapping[str, Any]) -> None:
        if self.raises:
            self.raises -= 1
            raise RuntimeError("the handler trips over it")
        self.heads.append((head["call_id"], head["seq"]))
        self.changed.set()

    def on_state(self, state: FeedState) -> None:
        self.states.append(state)
        self.changed.set()

    async def until(self, done: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def heard(feed: HeadFeed, **options: Any) -> AsyncIterator[Heard]:
    what = Heard(**options)
    task = asyncio.create_task(feed.run(what.on_head, what.on_state))
    try:
        yield what
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def feed_of(server: ListenServer, **options: Any) -> FirestoreHeadFeed:
    return FirestoreHeadFeed("demo", dial=server.dial, **{"backoff": (0.001, 0.01), **options})


async def test_a_broken_stream_is_opened_again_with_the_last_token() -> None:
    first = [document(call("CA1", 1)), target(Change.CURRENT, b"t1"), target(Change.NO_CHANGE, b"t2"), ABORT]
    second = [document(call("CA1", 2)), target(Change.CURRENT, b"t3"), SILENCE]
    async with serving(first, second) as server, heard(feed_of(server)) as what:
        await what.until(lambda: what.states[-1:] == [FeedState.LIVE] and len(what.heads) == 2)
    assert what.heads == [("CA1", 1), ("CA1", 2)]
    assert server.tokens == [b"", b"t2"]
    assert what.states == [FeedState.CONNECTING, FeedState.LIVE, FeedState.DEGRADED, FeedState.LIVE]
    assert len(set(server.peers)) == 2  # a connection of its own each


async def test_a_removed_target_starts_over_without_a_token() -> None:
    first = [target(Change.CURRENT, b"t1"), target(Change.REMOVE, code=14)]
    second = [document(call("CA1", 3)), target(Change.CURRENT, b"t2"), SILENCE]
    async with serving(first, second) as server, heard(feed_of(server)) as what:
        await what.until(lambda: bool(what.heads))
    assert server.tokens == [b"", b""]


async def test_a_reset_sends_everything_again_on_the_same_stream() -> None:
    script = [
        document(call("CA1", 1)),
        target(Change.CURRENT, b"t1"),
        target(Change.RESET),
        document(call("CA1", 1)),
        document(call("CA2", 1)),
        target(Change.CURRENT, b"t2"),
        count(2),
        document(call("CA1", 2)),
        SILENCE,
    ]
    async with serving(script) as server, heard(feed_of(server)) as what:
        await what.until(lambda: what.heads[-1:] == [("CA1", 2)])
    assert what.heads == [("CA1", 1), ("CA1", 1), ("CA2", 1), ("CA1", 2)]
    assert len(server.tokens) == 1


async def test_a_filter_that_differs_asks_for_everything_again() -> None:
    first = [document(call("CA1")), document(call("CA2")), target(Change.CURRENT, b"t1"), count(2), left("CA1"), ABORT]
    second = [count(2), SILENCE]  # we know of one
    third = [document(call("CA2")), document(call("CA3")), target(Change.CURRENT, b"t3"), count(2), SILENCE]
    async with serving(first, second, third) as server, heard(feed_of(server)) as what:
        await what.until(lambda: ("CA3", 0) in what.heads)
    assert server.tokens == [b"", b"t1", b""]


async def test_a_silent_stream_is_given_up() -> None:
    first = [target(Change.CURRENT, b"t1"), SILENCE]
    second = [document(call("CA1", 1)), target(Change.CURRENT, b"t2"), SILENCE]
    async with serving(first, second) as server, heard(feed_of(server, idle_seconds=0.05)) as what:
        await what.until(lambda: bool(what.heads))
        assert server.tokens == [b"", b"t1"]


async def test_a_quiet_stream_stays_and_one_that_is_half_open_is_given_up_and_resumed() -> None:
    first = [target(Change.CURRENT, b"t1"), SILENCE]
    second = [document(call("CA1", 1)), target(Change.CURRENT, b"t2"), SILENCE]
    async with serving(first, second) as server, Proxy(server.address) as proxy:
        server.address = proxy.address
        feed = feed_of(server, idle_seconds=None, proof=(0.05, 3.0))
        async with heard(feed) as what:
            await what.until(lambda: FeedState.LIVE in what.states)
            since = feed.heard_at
            assert since is not None
            async with asyncio.timeout(10):
                while feed.heard_at in (
                    None,
                    since,
                ):  # the server has given a sign; it knows no documents, which is one
                    await asyncio.sleep(0.02)
            assert len(server.tokens) == 1
            proxy.swallow()
            await what.until(lambda: bool(what.heads), 20.0)
        assert server.tokens == [b"", b"t1"]
        assert FeedState.DEGRADED in what.states


async def test_a_stream_that_never_gets_live_is_given_up() -> None:
    live = [document(call("CA1", 1)), target(Change.CURRENT, b"t1"), SILENCE]
    async with serving([SILENCE], live) as server, heard(feed_of(server, connect_seconds=0.2)) as what:
        await what.until(lambda: bool(what.heads))


async def test_poison_is_stepped_over_and_counted() -> None:
    poison = document(call("CA0"))
    poison.document_change.document.fields["call_id"] = {"timestamp_value": {"seconds": 10**12}}
    script = [poison, document(call("CA1", 1)), document(call("CA2", 2)), target(Change.CURRENT, b"t1"), SILENCE]
    async with serving(script) as server:
        feed = feed_of(server)
        async with heard(feed, raises=1) as what:
            await what.until(lambda: bool(what.heads))
        assert what.heads == [("CA2", 2)]
        assert feed.poisoned == 2
        assert len(server.tokens) == 1


async def test_an_outage_costs_a_few_tries_and_ends_by_itself() -> None:
    async with serving([SILENCE]) as gone:
        address = gone.address
    async with serving([document(call("CA1", 1)), target(Change.CURRENT, b"t1"), SILENCE]) as server:
        back, server.address = server.address, address
        feed = feed_of(server, backoff=(0.02, 0.05))
        async with heard(feed) as what:
            await asyncio.sleep(0.3)
            assert what.states[-1] is FeedState.DEGRADED
            assert 2 <= feed.opens <= 15
            server.address = back
            await what.until(lambda: bool(what.heads))


@pytest.mark.emulator
async def test_the_emulator_tells_of_active_calls_and_of_what_happens_to_them(firestore_emulator: str) -> None:
    store = FirestoreStore(f"demo-{secrets.token_hex(6)}", emulator_host=firestore_emulator)
    journal = Journal(store)
    try:
        await journal.open(Call(call_id="CA1"))
        async with heard(store.feed()) as what:
            await what.until(lambda: FeedState.LIVE in what.states)
            assert what.heads == [("CA1", 0)]
            await journal.append("CA1", [Draft(EventType.IDLE, {}, f"k{n}", TS) for n in range(3)])
            await journal.open(Call(call_id="CA2"))
            await what.until(lambda: {("CA1", 3), ("CA2", 0)} <= set(what.heads))
            await journal.append("CA2", [], change={"active": False})
            await journal.append("CA1", [Draft(EventType.IDLE, {}, "k9", TS)])
            await what.until(lambda: ("CA1", 4) in what.heads)
        assert [seq for name, seq in what.heads if name == "CA2"] == [0]
    finally:
        await store.aclose()
