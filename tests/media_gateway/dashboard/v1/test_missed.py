"""One listing for all who come back at once, and each gets what it missed itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from media_gateway.dashboard import newest
from media_gateway.dashboard.v1.missed import Missed
from realtime.call import Call
from realtime.clock import iso
from realtime.journal import Journal
from realtime.stores.port import StoreUnavailable

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Listing:
    """A journal that knows a call for each minute before noon, newest first, and counts how often it is asked."""

    def __init__(self, minutes: int) -> None:
        self.asked: list[str] = []
        self.away = False
        self.calls_ = [Call(call_id=f"CA{n}", started_at=iso(NOON - timedelta(minutes=n))) for n in range(minutes)]

    async def calls(self, *, from_: str, cursor: str | None, **_: Any) -> tuple[list[Call], str | None]:
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("away")
        self.asked.append(from_)
        return [call for call in self.calls_ if call.started_at >= from_], None


def missed(listing: Listing, pause_s: float = 0.0) -> Missed:
    return Missed(cast(Journal, listing), pause_s=pause_s)


async def test_a_crowd_costs_one_listing_and_each_gets_its_own() -> None:
    listing = Listing(60)
    asked = missed(listing)
    found = await asyncio.gather(*(asked.since("default", NOON - timedelta(minutes=n)) for n in range(50)))
    assert [(len(calls), whole) for calls, whole in found] == [(n + 1, True) for n in range(50)]
    assert listing.asked == [iso(NOON - timedelta(minutes=49))]


async def test_who_comes_while_one_is_read_is_served_by_the_next_and_waits_for_it() -> None:
    listing = Listing(3)
    asked = missed(listing, pause_s=0.05)
    first = asyncio.create_task(asked.since("default", NOON))
    while not listing.asked:
        await asyncio.sleep(0)
    late = Call(call_id="CA-late", started_at=iso(NOON))  # it has begun before they ask: they must hear of it
    listing.calls_.insert(0, late)
    found = await asyncio.gather(*(asked.since("default", NOON) for _ in range(20)))
    await first
    assert all(late in calls for calls, _ in found)
    assert len(listing.asked) == 2


async def test_organisations_do_not_wait_for_each_other() -> None:
    listing = Listing(1)
    asked = missed(listing, pause_s=60.0)
    await asyncio.gather(asked.since("one", NOON), asked.since("two", NOON))
    assert len(listing.asked) == 2


async def test_a_listing_that_is_cut_is_whole_for_those_who_were_away_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "MOST", 10)
    listing = Listing(60)

    async def paged(*, from_: str, cursor: str | None, **_: Any) -> tuple[list[Call], str | None]:
        await asyncio.sleep(0)
        after = int(cursor or 0)
        return listing.calls_[after : after + 10], str(after + 10)

    listing.calls = paged  # type: ignore[method-assign]
    asked = missed(listing)
    (brief, all_), (_, long) = await asyncio.gather(
        asked.since("default", NOON - timedelta(minutes=5)), asked.since("default", NOON - timedelta(minutes=50))
    )
    assert (len(brief), all_, long) == (6, True, False)


async def test_a_store_that_is_away_is_told_to_all_and_asked_again() -> None:
    listing = Listing(1)
    listing.away = True
    asked = missed(listing)
    found = await asyncio.gather(*(asked.since("default", NOON) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [StoreUnavailable] * 3
    gone = asyncio.create_task(asked.since("default", NOON))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await asyncio.sleep(0.01)
    listing.away = False
    assert len((await asked.since("default", NOON))[0]) == 1
