"""Booking on both stores: no slot is given twice, and the same wish twice is one booking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.records.appointments import Booked, Holder, Refused, book, free_times, slots_of
from realtime.records.shop import DEFAULT_SHOP, Service, Shop
from realtime.stores.port import Conflict, DocumentStore, Query
from tests.realtime.stores import BOTH, Opener, opened, opener

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 10, 15, tzinfo=ZONE)
TODAY, MONDAY, SUNDAY = date(2026, 11, 20), date(2026, 11, 23), date(2026, 11, 22)
OIL, BRAKES = Service("oil_change", "oil change", 30), Service("brake_service", "brake service", 90)
ONE_BAY = replace(DEFAULT_SHOP, bays=1, closed_on=frozenset({SUNDAY}))
JOHN, MARY = Holder("CA1", "john", "c1"), Holder("CA2", "mary")


@pytest.fixture(params=BOTH)
def open_store(request: pytest.FixtureRequest) -> Opener:
    return opener(request.param, request)


@pytest.fixture
async def store(open_store: Opener) -> AsyncIterator[DocumentStore]:
    async with opened(open_store) as store:
        yield store


async def take(
    store: DocumentStore, holder: Holder, service: Service, at: time, day: date = MONDAY, shop: Shop = ONE_BAY
) -> Booked | Refused:
    """Book and commit, as often as somebody else is faster."""
    for _ in range(10):
        found = await book(store, "acme", shop, holder, service, day, at, NOW)
        if isinstance(found, Refused) or not found.writes:
            return found
        try:
            await store.commit(found.writes)
        except Conflict:
            continue
        return found
    raise AssertionError("it never settled")


@pytest.mark.anyio
async def test_a_booking_is_kept_with_all_that_is_known(store: DocumentStore) -> None:
    booked = await take(store, JOHN, OIL, time(14))
    assert isinstance(booked, Booked)
    (doc,) = await store.get(f"orgs/acme/appointments/{booked.appointment_id}")
    assert doc is not None
    wanted = {"date": "2026-11-23", "time": "14:00", "service_type": "oil_change", "customer_id": "c1", "bay": 1}
    assert wanted.items() <= doc.data.items()
    assert doc.data["created_at"] == "2026-11-20T15:15:00.000Z"
    assert [slot["time"] for slot in await slots_of(store, "acme", MONDAY)] == ["14:00"]


@pytest.mark.anyio
async def test_the_same_wish_again_is_the_same_booking(store: DocumentStore) -> None:
    first = await take(store, JOHN, OIL, time(14))
    assert isinstance(first, Booked)
    again = [
        await take(store, JOHN, OIL, time(14)),
        await take(store, Holder("CA9", "john"), OIL, time(14)),
        await take(store, Holder("CA1"), OIL, time(14)),
    ]
    assert again == [replace(first, writes=())] * 3


@pytest.mark.anyio
async def test_a_withheld_number_holds_nothing_of_another_withheld_number(store: DocumentStore) -> None:
    await take(store, Holder("CA1"), OIL, time(14))
    refused = await take(store, Holder("CA2"), OIL, time(14))
    assert refused == Refused("slot_taken", ("13:00", "13:30", "14:30"))


@pytest.mark.anyio
async def test_a_long_service_takes_the_bay_for_all_of_its_time(store: DocumentStore) -> None:
    await take(store, JOHN, BRAKES, time(14))
    assert isinstance(await take(store, MARY, OIL, time(15)), Refused)
    assert isinstance(await take(store, MARY, BRAKES, time(13)), Refused)
    assert isinstance(await take(store, MARY, OIL, time(15, 30)), Booked)
    assert isinstance(await take(store, MARY, BRAKES, time(12, 30)), Booked)


@pytest.mark.anyio
async def test_the_second_bay_takes_the_second_car(store: DocumentStore) -> None:
    first = await take(store, JOHN, OIL, time(14), shop=DEFAULT_SHOP)
    second = await take(store, MARY, OIL, time(14), shop=DEFAULT_SHOP)
    third = await take(store, Holder("CA3"), OIL, time(14), shop=DEFAULT_SHOP)
    assert isinstance(first, Booked)
    assert isinstance(second, Booked)
    assert first.appointment_id != second.appointment_id
    assert isinstance(third, Refused)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("day", "at", "reason"),
    [
        (SUNDAY, time(10), "closed"),
        (MONDAY, time(7, 30), "closed"),
        (MONDAY, time(18), "closed"),
        (TODAY, time(10), "in_the_past"),
        (date(2026, 11, 19), time(10), "in_the_past"),
        (MONDAY, time(10, 10), "slot_taken"),
    ],
)
async def test_what_cannot_be_booked_says_why(store: DocumentStore, day: date, at: time, reason: str) -> None:
    refused = await take(store, JOHN, OIL, at, day)
    assert isinstance(refused, Refused)
    assert refused.reason == reason


@pytest.mark.anyio
async def test_a_service_that_would_not_end_before_closing_is_offered_earlier(store: DocumentStore) -> None:
    assert await take(store, JOHN, BRAKES, time(17, 30)) == Refused("slot_taken", ("15:30", "16:00", "16:30"))


@pytest.mark.anyio
async def test_fifty_callers_at_once_one_winner(open_store: Opener) -> None:
    async with opened(open_store) as store:
        found = await asyncio.gather(*(take(store, Holder(f"CA{n}", f"p{n}"), OIL, time(14)) for n in range(50)))
        winners = [one for one in found if isinstance(one, Booked)]
        losers = [one for one in found if isinstance(one, Refused)]
        assert (len(winners), len(losers)) == (1, 49)
        assert {loser.reason for loser in losers} == {"slot_taken"}
        kept = await store.query(Query("orgs/acme/appointments"))
        assert [doc.data["appointment_id"] for doc in kept] == [winners[0].appointment_id]
        assert len(await slots_of(store, "acme", MONDAY)) == 1


_TAKEN = st.lists(st.tuples(st.sampled_from(ONE_BAY.grid(MONDAY)), st.integers(1, 2)), max_size=40)


@given(_TAKEN, st.integers(1, 4), st.sampled_from([ONE_BAY, DEFAULT_SHOP]))
def test_a_free_time_has_a_bay_that_is_free_for_all_of_it(taken: list[tuple[str, int]], steps: int, shop: Shop) -> None:
    slots = [{"time": at, "bay": bay} for at, bay in taken]
    grid = shop.grid(MONDAY)
    free = set(free_times(shop, MONDAY, slots, NOW, steps))
    for start, at in enumerate(grid):
        needed = grid[start : start + steps]
        fits = len(needed) == steps and any(
            not any((one, bay) in taken for one in needed) for bay in range(1, shop.bays + 1)
        )
        assert (at in free) == fits


def test_today_only_what_is_still_to_come() -> None:
    assert free_times(ONE_BAY, TODAY, [], NOW, 1)[0] == "10:30"
    assert free_times(ONE_BAY, date(2026, 11, 19), [], NOW, 1) == ()
