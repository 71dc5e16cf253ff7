"""The wishes in both stores: one a key, no more a day than allowed, and `placed` stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from media_gateway.telephony.intents import Intent, Intents, TooManyToday, intent_id
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import DocumentStore

STORES = ["embedded", pytest.param("firestore", marks=pytest.mark.emulator)]
NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)


@asynccontextmanager
async def opened(kind: str, folder: Path, emulator: str | None) -> AsyncIterator[DocumentStore]:
    store: DocumentStore = (
        FirestoreStore(f"demo-{uuid4().hex[:8]}", emulator_host=emulator)
        if kind == "firestore"
        else EmbeddedStore(folder / "callboard.db", clock=lambda: NOON)
    )
    try:
        yield store
    finally:
        await store.aclose()


def wish(key: str, org: str = "default") -> Intent:
    return Intent(
        intent_id=intent_id(org, key),
        org=org,
        to="+14155550123",
        flow="reminder",
        request="r",
        actor="olga",
        created_at="2026-11-20T17:00:00.000Z",
        expire_at="2026-12-20T17:00:00.000Z",
        variables={"appointment": {"time": "14:00"}},
    )


@pytest.mark.parametrize("kind", STORES)
def test_one_a_key_and_no_more_a_day_than_allowed(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    emulator = request.getfixturevalue("firestore_emulator") if kind == "firestore" else None

    async def go() -> None:
        async with opened(kind, tmp_path, emulator) as store:
            intents = Intents(store, zone=NEW_YORK, per_day=3)
            same = await asyncio.gather(*(intents.begin(wish("one"), NOON) for _ in range(5)))
            assert sorted(fresh for _, fresh in same) == [False] * 4 + [True]
            tried = [intents.begin(wish(f"k{n}"), NOON) for n in range(6)]
            outcomes = await asyncio.gather(*tried, return_exceptions=True)
            assert sum(isinstance(outcome, TooManyToday) for outcome in outcomes) == 4
            assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 2
            assert await intents.begin(wish("one"), NOON) == (wish("one"), False), "a known key costs nothing"
            _, fresh = await intents.begin(wish("one", "other"), NOON)
            assert fresh, "each organisation has its own"

    asyncio.run(go())


@pytest.mark.parametrize("kind", STORES)
def test_what_became_of_it(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    emulator = request.getfixturevalue("firestore_emulator") if kind == "firestore" else None

    async def go() -> None:
        async with opened(kind, tmp_path, emulator) as store:
            intents = Intents(store, zone=NEW_YORK, per_day=3)
            intent, _ = await intents.begin(wish("one"), NOON)
            assert not await intents.again(intent, NOON), "what is being dialled is not tried again"
            await intents.settle(intent.intent_id, "refused", error={"passing": True})
            again = await asyncio.gather(*(intents.again(intent, NOON) for _ in range(4)))
            assert sorted(again) == [False] * 3 + [True]
            await intents.settle(intent.intent_id, "placed", call_id="CA1")
            late = await intents.settle(intent.intent_id, "unknown")
            assert late is not None
            assert (late.state, late.call_id, late.error) == ("placed", "CA1", None)
            assert await intents.get(intent.intent_id) == late
            assert await intents.settle("nobody", "placed", call_id="CA2") is None

    asyncio.run(go())


def test_the_day_is_that_of_the_installation(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened("embedded", tmp_path, None) as store:
            intents = Intents(store, zone=NEW_YORK, per_day=1)
            await intents.begin(wish("one"), datetime(2026, 11, 21, 4, 59, tzinfo=UTC))
            with pytest.raises(TooManyToday):
                await intents.begin(wish("two"), datetime(2026, 11, 21, 4, 59, 59, tzinfo=UTC))
            await intents.begin(wish("two"), datetime(2026, 11, 21, 5, 0, tzinfo=UTC))

    asyncio.run(go())
