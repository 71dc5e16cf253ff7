"""What is said on one instance is shown on another, while somebody watches there, and costs nothing otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from realtime.events import LiveType
from realtime.live_lane import LiveLane, Pace
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import Doc, DocumentStore, Put, StoreUnavailable, Write

pytestmark = pytest.mark.anyio
TS = "2026-11-20T10:00:00.000Z"
QUICK = Pace(write=0.01, idle=0.02, look=0.0, beat=0.02, keep=5.0, own=5.0)
Shown = list[tuple[str, Mapping[str, Any]]]


class Counting:
    """A store that counts, and can be away."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self.reads = self.writes = 0
        self.away = False

    async def get(self, *paths: str) -> list[Doc | None]:
        if self.away:
            raise StoreUnavailable("away")
        self.reads += len(paths)
        return await self._store.get(*paths)

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        if self.away:
            raise StoreUnavailable("away")
        self.writes += len(writes)
        return await self._store.commit(writes)


@asynccontextmanager
async def pair(store: DocumentStore, watched: list[str]) -> AsyncIterator[tuple[LiveLane, LiveLane, Shown, Counting]]:
    """The owner, the one that watches, what that shows, and the owner's store."""
    shown: Shown = []
    counting = Counting(store)

    def show(_call_id: str, type_: LiveType, data: Mapping[str, Any], _ts: str) -> None:
        shown.append((type_.value, data))

    owner = LiveLane(counting, lambda *_: None, list, pace=QUICK)  # type: ignore[arg-type]
    watcher = LiveLane(store, show, lambda: watched, pace=QUICK)
    yield owner, watcher, shown, counting


async def until(holds: Callable[[], object], *lanes: LiveLane) -> None:
    async with asyncio.timeout(20):
        while not holds():
            for lane in lanes:
                await lane.round()
            await asyncio.sleep(0.01)


@pytest.fixture
def embedded(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "callboard.db")


async def _shown_elsewhere(store: DocumentStore, call_id: str) -> None:
    async with pair(store, [call_id]) as (owner, watcher, shown, _):
        await watcher.round()
        owner.offer(call_id, LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "I"}, TS)
        owner.offer(call_id, LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "I want"}, TS)
        await until(lambda: shown, owner, watcher)
        assert shown == [("partial_transcript", {"turn": 1, "text": "I want"})]
        shown.clear()
        for offset, text in ((0, "Sure"), (4, ", at")):
            owner.offer(call_id, LiveType.AI_RESPONSE_CHUNK, {"turn": 2, "offset": offset, "text": text}, TS)
        await until(lambda: shown, owner, watcher)
        owner.offer(call_id, LiveType.AI_RESPONSE_CHUNK, {"turn": 2, "offset": 8, "text": " nine"}, TS)
        await until(lambda: len(shown) == 2, owner, watcher)
        assert shown == [
            ("ai_response_chunk", {"turn": 2, "offset": 0, "text": "Sure, at"}),
            ("ai_response_chunk", {"turn": 2, "offset": 8, "text": " nine"}),
        ]


async def test_what_is_said_here_is_shown_there(embedded: EmbeddedStore) -> None:
    await _shown_elsewhere(embedded, "CA1")
    await embedded.aclose()


@pytest.mark.emulator
async def test_what_is_said_here_is_shown_there_through_firestore(firestore_emulator: str) -> None:
    store = FirestoreStore("demo-live-lane", emulator_host=firestore_emulator)
    try:
        await _shown_elsewhere(store, "CA1")
    finally:
        await store.aclose()


async def test_nothing_is_written_while_nobody_watches_elsewhere(embedded: EmbeddedStore) -> None:
    async with pair(embedded, []) as (owner, watcher, shown, store):
        for n in range(50):
            owner.offer("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "x" * n}, TS)
            await owner.round()
            await watcher.round()
        assert (store.writes, shown) == (0, [])
    await embedded.aclose()


async def test_a_moment_for_each_word_is_one_write_for_each_round(embedded: EmbeddedStore) -> None:
    async with pair(embedded, ["CA1"]) as (owner, watcher, _, store):
        await watcher.round()
        for round_ in range(3):
            for n in range(200):
                owner.offer("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": round_, "text": "x" * n}, TS)
            await owner.round()
        await owner.round()
        assert store.writes == 3
    await embedded.aclose()


async def test_interest_ends_with_those_who_watch(embedded: EmbeddedStore) -> None:
    watched = ["CA1"]
    async with pair(embedded, watched) as (owner, watcher, _, store):
        owner._pace = Pace(look=0.0, keep=0.05)
        await watcher.round()
        owner.offer("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "a"}, TS)
        await owner.round()
        assert store.writes == 1
        watched.clear()
        await watcher.round()
        await asyncio.sleep(0.06)
        owner.offer("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "ab"}, TS)
        await owner.round()
        assert store.writes == 1
    await embedded.aclose()


async def test_who_has_the_call_and_watches_it_is_not_shown_its_own_words(embedded: EmbeddedStore) -> None:
    shown: Shown = []
    both = LiveLane(
        embedded, lambda _id, kind, data, _ts: shown.append((kind.value, data)), lambda: ["CA1"], pace=QUICK
    )
    both._pace = Pace(look=0.0, own=0.0, idle=0.0)  # even when it has been silent for long
    for n in range(5):
        both.offer("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "x" * n}, TS)
        await both.round()
    assert shown == []
    await embedded.aclose()


async def test_a_store_that_is_away_is_waited_for(embedded: EmbeddedStore) -> None:
    async with pair(embedded, ["CA1"]) as (owner, watcher, shown, store):
        store.away = True
        running = asyncio.create_task(owner.run())
        owner.offer("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "a"}, TS)
        await asyncio.sleep(0.03)
        store.away = False
        await until(lambda: shown, watcher)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await embedded.aclose()


async def test_a_document_that_cannot_be_read_hides_no_other(embedded: EmbeddedStore) -> None:
    async with pair(embedded, ["CA0", "CA1"]) as (owner, watcher, shown, _):
        await watcher.round()
        await embedded.commit([Put("calls/CA0/live/current", {"by": "x", "texts": {"partial_transcript": 7}})])
        owner.offer("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "I"}, TS)
        await until(lambda: shown, owner, watcher)
        assert shown == [("partial_transcript", {"turn": 1, "text": "I"})]
    await embedded.aclose()
