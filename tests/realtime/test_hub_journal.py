"""The hub over the real journal, store and feed of each kind, written to by another "process"."""

from __future__ import annotations

import asyncio

import pytest

from realtime.call import Call, Status
from realtime.events import Draft, Event, EventType
from realtime.hub import Hub
from realtime.journal import Journal
from tests.realtime.hub_parts import TS, running
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", BOTH)
async def test_what_one_process_writes_another_shows_once_and_in_order(
    kind: str, request: pytest.FixtureRequest
) -> None:
    open_store = opener(kind, request)
    async with opened(open_store) as here, opened(open_store) as there:
        writer = Journal(there)
        async with running(Hub(Journal(here), here.feed(), linger=0.0)) as hub, asyncio.timeout(30):
            everything = hub.subscribe("*", org="default", replay=False)
            elsewhere = hub.subscribe("*", org="other")
            assert await everything.heads() == []
            early = hub.subscribe("conv_1", org="default")
            await writer.open(Call(call_id="EL_1", hosted=True))
            for n in range(30):
                await writer.append("EL_1", [Draft(EventType.IDLE, {"n": n}, f"k{n}", TS)])
            await writer.append("EL_1", [], change={"conversation_id": "conv_1", "call_sid": "CA1"})
            late = hub.subscribe("CA1", org="default", since=10)
            record = {"call_id": "EL_1", "transcript": [{"role": "user", "message": "x" * 50_000}]}
            await writer.complete("EL_1", Status.COMPLETED, call_data=record, key="w", ts=TS)

            for subscription, first in ((early, 1), (late, 11)):
                items = [item async for item in subscription]
                assert [item.seq for item in items if isinstance(item, Event)] == list(range(first, 33))
                assert [item.type for item in items[-2:]] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]
                assert items[-1].data == {"call_data": record}  # a pointer in the journal
            seen = [await anext(everything) for _ in range(32)]
            assert [item.seq for item in seen if isinstance(item, Event)] == list(range(1, 33))
            assert hub.subscriptions == {"*": 2}
            assert await elsewhere.heads() == []


@pytest.mark.parametrize("kind", BOTH)
async def test_active_calls_are_those_of_the_organisation_that_are_not_retired(
    kind: str, request: pytest.FixtureRequest
) -> None:
    async with opened(opener(kind, request)) as store:
        journal = Journal(store)
        for call in (Call(call_id="CA1"), Call(call_id="CA2", org="other"), Call(call_id="CA3", active=False)):
            await journal.open(call)
        assert [call.call_id for call in await journal.active(org="default")] == ["CA1"]
