"""A head that cannot be read: it is told apart from a call that is not there, and hides and breaks no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from realtime.call import Call, PoisonedHead
from realtime.clock import iso, utcnow
from realtime.events import Draft, Event, EventType
from realtime.hub import Hub
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Put
from tests.realtime.hub_parts import running

pytestmark = pytest.mark.anyio
POISON: dict[str, dict[str, Any]] = {
    "no status": {"status": None},
    "a status that there is not": {"status": "dancing"},
    "a tail of something else": {"tail": 7},
    "a tail of texts": {"tail": ["x"]},
    "a number that is none": {"seq": "three"},
    "nobody's": {"org": None},
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    one = EmbeddedStore(tmp_path / "callboard.db")
    yield one
    await one.aclose()


async def poisoned(store: EmbeddedStore, change: dict[str, Any]) -> Call:
    """CA1, whose head has been spoiled, beside CA2; what CA1 was."""
    journal = Journal(store)
    call = await journal.open(Call(call_id="CA1", conversation_id="conv_1"))
    await journal.open(Call(call_id="CA2"))
    await store.commit([Put("calls/CA1", call.to_dict() | change)])
    return call


@pytest.mark.parametrize("change", POISON.values(), ids=POISON)
async def test_it_is_quarantined(store: EmbeddedStore, change: dict[str, Any]) -> None:
    await poisoned(store, change)
    journal = Journal(store)
    for any_id in ("CA1", "conv_1"):
        with pytest.raises(PoisonedHead):
            await journal.find(any_id)
    with pytest.raises(PoisonedHead):
        await journal.append("CA1", [Draft(EventType.DTMF, {}, "k", iso(utcnow()))])
    assert [call.call_id for call in await journal.active()] == ["CA2"]
    calls, _ = await journal.calls(org="default")
    assert [call.call_id for call in calls] == ["CA2"]
    assert await journal.events("CA1") == []


async def test_whoever_watches_it_gets_it_when_it_is_mended(store: EmbeddedStore) -> None:
    call = await poisoned(store, {"status": "dancing"})
    hub = Hub(Journal(store), store.feed(), linger=0.0)
    async with running(hub):
        watching = hub.subscribe("CA1", org="default")
        assert await watching.heads() == []
        await store.commit([Put("calls/CA1", call.to_dict())])
        await Journal(store).append("CA1", [Draft(EventType.DTMF, {}, "k", iso(utcnow()))])
        async with asyncio.timeout(30):
            event = await anext(watching)
    assert isinstance(event, Event)
    assert event.seq == 1
