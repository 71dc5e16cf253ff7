"""Canceling, moving and confirming on both stores: by state, in one commit, and never into a taken bay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from realtime.records.appointment import Appointment, by_reference, held_by, on_day
from realtime.records.appointments import Booked, Holder, Refused, book, slots_of
from realtime.records.changes import cancel, confirm, move
from realtime.records.shop import DEFAULT_SHOP, Service
from realtime.stores.port import Conflict, DocumentStore
from tests.realtime.stores import BOTH, Opener, opened, opener

pytestmark = pytest.mark.anyio

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 10, 15, tzinfo=ZONE)
MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
OIL, BRAKES = Service("oil_change", "oil change", 30), Service("brake_service", "brake service", 90)
ONE_BAY = replace(DEFAULT_SHOP, bays=1)
JOHN = Holder("CA1", "john", "c1", "+14155550123")


@pytest.fixture(params=BOTH)
def open_store(request: pytest.FixtureRequest) -> Opener:
    return opener(request.param, request)


@pytest.fixture
async def store(open_store: Opener) -> AsyncIterator[DocumentStore]:
    async with opened(open_store) as store:
        yield store


async def settled(store: DocumentStore, decide: Callable[[], Awaitable[Booked | Refused]]) -> Booked | Refused:
    """Decide and commit, as often as somebody else is faster."""
    for _ in range(60):
        found = await decide()
        if isinstance(found, Refused) or not found.writes:
            return found
        try:
            await store.commit(found.writes)
        except Conflict:
            continue
        return found
    raise AssertionError("it never settled")


async def booked(
    store: DocumentStore, at: time, service: Service = OIL, holder: Holder = JOHN, day: date = MONDAY
) -> Appointment:
    found = await settled(store, lambda: book(store, "acme", ONE_BAY, holder, service, day, at, NOW))
    assert isinstance(found, Booked)
    return await the(store, found.appointment_id)


async def the(store: DocumentStore, appointment_id: str) -> Appointment:
    (doc,) = await store.get(f"orgs/acme/appointments/{appointment_id}")
    assert doc is not None
    return Appointment.of(doc)


async def moved(store: DocumentStore, kept: Appointment, day: date, at: time) -> Booked | Refused:
    async def decide() -> Booked | Refused:
        return await move(store, "acme", ONE_BAY, await the(store, kept.appointment_id), day, at, NOW)

    return await settled(store, decide)


async def taken(store: DocumentStore, day: date = MONDAY) -> list[str]:
    return sorted(slot["time"] for slot in await slots_of(store, "acme", day))


async def test_a_canceled_one_frees_its_time_and_stays_canceled(store: DocumentStore) -> None:
    kept = await booked(store, time(14), BRAKES)
    first = await settled(store, lambda: cancel(store, "acme", kept, NOW))
    assert isinstance(first, Booked)
    assert await taken(store) == []
    gone = await the(store, kept.appointment_id)
    assert gone.status == "canceled"
    assert await cancel(store, "acme", gone, NOW) == replace(first, writes=())
    assert confirm("acme", gone, NOW) == Refused("canceled")
    assert await move(store, "acme", ONE_BAY, gone, TUESDAY, time(9), NOW) == Refused("canceled")


async def test_the_same_caller_may_book_cancel_and_book_the_same_time_again(store: DocumentStore) -> None:
    kept = await booked(store, time(14))
    await settled(store, lambda: cancel(store, "acme", kept, NOW))
    again = await booked(store, time(14))
    assert again.appointment_id != kept.appointment_id
    assert (again.status, await taken(store)) == ("booked", ["14:00"])


async def test_moved_the_old_time_is_free_and_the_new_one_taken_in_one_commit(store: DocumentStore) -> None:
    kept = await booked(store, time(14), BRAKES)
    found = await moved(store, kept, TUESDAY, time(9))
    assert isinstance(found, Booked)
    assert (found.appointment_id, found.date, found.time) == (kept.appointment_id, "2026-11-24", "09:00")
    assert (await taken(store), await taken(store, TUESDAY)) == ([], ["09:00", "09:30", "10:00"])
    after = await the(store, kept.appointment_id)
    assert (after.date, after.time, after.status, after.phone) == ("2026-11-24", "09:00", "booked", "+14155550123")
    again = await moved(store, kept, TUESDAY, time(9))
    assert again == replace(found, writes=())


async def test_moved_by_half_an_hour_into_its_own_time(store: DocumentStore) -> None:
    kept = await booked(store, time(14), BRAKES)
    assert isinstance(await moved(store, kept, MONDAY, time(14, 30)), Booked)
    assert await taken(store) == ["14:30", "15:00", "15:30"]
    assert {slot["start"] for slot in await slots_of(store, "acme", MONDAY)} == {"14:30"}


async def test_not_moved_into_a_taken_time_and_nothing_is_lost(store: DocumentStore) -> None:
    kept = await booked(store, time(14))
    await booked(store, time(9), BRAKES, Holder("CA2", "mary"))
    assert await moved(store, kept, MONDAY, time(9, 30)) == Refused("slot_taken", ("08:00", "08:30", "10:30"))
    assert await moved(store, kept, date(2026, 11, 19), time(9)) == Refused("in_the_past")
    assert await moved(store, kept, MONDAY, time(7)) == Refused("closed")
    assert await taken(store) == ["09:00", "09:30", "10:00", "14:00"]


async def test_what_has_begun_is_not_changed_any_more(store: DocumentStore) -> None:
    kept = await booked(store, time(14))
    later = datetime(2026, 11, 23, 14, 0, tzinfo=ZONE)
    assert await cancel(store, "acme", kept, later) == Refused("in_the_past")
    assert await move(store, "acme", ONE_BAY, kept, TUESDAY, time(9), later) == Refused("in_the_past")


async def test_confirmed_once(store: DocumentStore) -> None:
    kept = await booked(store, time(14))
    found = confirm("acme", kept, NOW)
    assert isinstance(found, Booked)
    await store.commit(found.writes)
    after = await the(store, kept.appointment_id)
    assert after.status == "confirmed"
    assert confirm("acme", after, NOW) == replace(found, writes=())


async def test_fifty_appointments_move_to_one_time_and_one_gets_there(open_store: Opener) -> None:
    async with opened(open_store) as store:
        days = [date(2026, 12, day) for day in (1, 2, 3)]
        spots = [(day, time.fromisoformat(at)) for day in days for at in ONE_BAY.grid(day)][:50]
        kept = await asyncio.gather(
            *(booked(store, at, holder=Holder(f"CA{n}", f"p{n}"), day=day) for n, (day, at) in enumerate(spots))
        )
        found = await asyncio.gather(*(moved(store, one, MONDAY, time(14)) for one in kept))
        winners = [one for one in found if isinstance(one, Booked)]
        assert len(winners) == 1
        assert {one.reason for one in found if isinstance(one, Refused)} == {"slot_taken"}
        slots = [slot for day in (MONDAY, *days) for slot in await slots_of(store, "acme", day)]
        assert len(slots) == 50, "the winner's old time is free, everybody else keeps theirs"
        assert len({(slot["date"], slot["time"], slot["bay"]) for slot in slots}) == 50
        assert len({slot["appointment_id"] for slot in slots}) == 50


async def test_a_cancel_and_a_move_at_once_end_in_one_of_both(open_store: Opener) -> None:
    async with opened(open_store) as store:
        kept = await booked(store, time(14))

        async def canceled() -> Booked | Refused:
            return await cancel(store, "acme", await the(store, kept.appointment_id), NOW)

        await asyncio.gather(settled(store, canceled), moved(store, kept, TUESDAY, time(9)))
        assert (await the(store, kept.appointment_id)).status == "canceled"
        assert (await taken(store), await taken(store, TUESDAY)) == ([], [])


async def test_found_by_whoever_has_them_and_by_what_is_said_aloud(store: DocumentStore) -> None:
    kept = await booked(store, time(14))
    early = await booked(store, time(9), holder=Holder("CA7", "work", "c1"))
    other = await booked(store, time(10), holder=Holder("CA8", "mary"))
    mine = await held_by(store, "acme", phone_keys=["john"], customer_id="c1", call_id="CA1")
    assert [one.appointment_id for one in mine] == [early.appointment_id, kept.appointment_id]
    assert await held_by(store, "acme", phone_keys=["john"], customer_id=None) == [kept]
    assert await held_by(store, "acme") == []
    assert await by_reference(store, "acme", kept.reference) == [kept]
    assert [one.time for one in await on_day(store, "acme", MONDAY)] == ["09:00", "10:00", "14:00"]
    assert len(kept.reference) == 6
    assert kept.reference.isdigit()
    assert other.phone_key == "mary"
