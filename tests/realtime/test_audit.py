"""The audit log, on both stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from realtime import audit
from realtime.stores.port import Conflict, Create
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("kind", BOTH)
async def test_it_is_read_newest_first_page_by_page_and_per_organisation(
    kind: str, request: pytest.FixtureRequest
) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        for n in range(5):
            await audit.record(store, "acme", "ann", "call.hangup", f"CA{n}", NOON + timedelta(seconds=n), {"n": n})
        await audit.record(store, "acme", "bob", "call.say", "CA5", NOON + timedelta(seconds=4))  # the same moment
        await audit.record(store, "other", "eve", "call.hangup", "CA9", NOON)
        first, cursor = await audit.newest(store, "acme", limit=4)
        rest, end = await audit.newest(store, "acme", limit=4, cursor=cursor)
        assert {one.target for one in first[:2]} == {"CA4", "CA5"}
        assert [one.target for one in first[2:] + rest] == ["CA3", "CA2", "CA1", "CA0"]
        assert (rest[-1].actor, rest[-1].action, rest[-1].detail) == ("ann", "call.hangup", {"n": 0})
        assert end is None
        assert [one.actor for one in (await audit.newest(store, "other"))[0]] == ["eve"]


@pytest.mark.parametrize("kind", BOTH)
async def test_it_stands_and_falls_with_what_was_done(kind: str, request: pytest.FixtureRequest) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        done = Create("things/one", {"a": 1})
        await store.commit([done, audit.entry("acme", "ann", "thing.make", "one", NOON)])
        with pytest.raises(Conflict):
            await store.commit([done, audit.entry("acme", "ann", "thing.make", "one", NOON)])
        entries, _ = await audit.newest(store, "acme")
        assert [one.action for one in entries] == ["thing.make"]
