"""The tools of a booking, on both stores, with the journal's line in the same commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import media_gateway.conversation
from media_gateway.conversation.flow import load_flow
from media_gateway.tools.customers import caller_lookup
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import Router, run_effect
from realtime.call import Call
from realtime.clock import iso
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.records import customers, shop
from realtime.records.customers import Customer
from realtime.records.shop import DEFAULT_SHOP
from realtime.stores.port import Create, DocumentStore, Query
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 10, 15, tzinfo=ZONE)
ROUTER = Router()
JOHN = Customer(customer_id="c1", name="John Miller", phone="+14155550123", vehicle="2019 Honda Civic")
SHOP = replace(DEFAULT_SHOP, closed_on=frozenset({date(2026, 11, 22)}))
ONE_BAY = replace(SHOP, bays=1)
OIL = {"service_type": "oil_change", "date": "2026-11-23", "time": "14:00"}


@pytest.fixture(params=BOTH)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[DocumentStore]:
    async with opened(opener(request.param, request, clock=lambda: NOW)) as store:
        yield store


def context(store: DocumentStore, call_id: str = "CA1", phone: str | None = "+14155550123") -> ToolContext:
    return ToolContext(org="acme", call_id=call_id, caller_phone=phone, customer=None, now=NOW, store=store)


async def do(
    store: DocumentStore, name: str, call_id: str = "CA1", phone: str | None = None, **given: Any
) -> ToolResult:
    """Run a tool and commit what it wants."""

    async def commit(result: ToolResult) -> None:
        if result.writes:
            await store.commit(result.writes)

    return await run_effect(ROUTER, name, given, context(store, call_id, phone), commit, tries=10)


async def test_the_caller_is_known_by_their_number_alone(store: DocumentStore) -> None:
    await store.commit(customers.writes("acme", JOHN))
    found = await do(store, "lookup_customer", phone="+14155550123")
    assert found.ok
    assert (found.data["first_name"], found.data["vehicle"]) == ("John", "2019 Honda Civic")
    assert "phone" not in found.data
    assert await caller_lookup(store)("acme", "(415) 555-0123") == found.data
    assert await caller_lookup(store)("acme", "+14155550199") is None
    for phone in (None, "anonymous", "+14155550199"):
        unknown = await do(store, "lookup_customer", phone=phone)
        assert (unknown.ok, unknown.data["reason"]) == (False, "unknown_caller")


async def test_free_times_of_a_day(store: DocumentStore) -> None:
    await store.commit(shop.writes("acme", SHOP))
    monday = await do(store, "get_available_slots", date="2026-11-23")
    assert monday.ok
    assert (monday.data["times"][0], len(monday.data["times"]), monday.data["open"]) == ("08:00", 20, True)
    sunday = await do(store, "get_available_slots", date="2026-11-22")
    assert sunday.data == {
        "date": "2026-11-22",
        "times": [],
        "open": False,
        "message": "We are closed on Sunday, November 22.",
    }
    past = await do(store, "get_available_slots", date="2026-11-19")
    assert (past.data["times"], past.data["message"]) == ([], "That day has already passed.")
    brakes = await do(store, "get_available_slots", date="2026-11-23", service_type="brake service")
    assert brakes.data["times"][-1] == "16:30"


async def test_a_booking_takes_the_time_and_asking_again_returns_it(store: DocumentStore) -> None:
    first = await do(store, "book_appointment", "CA1", "+14155550123", **OIL)
    assert first.ok
    assert {key: first.data[key] for key in OIL} == OIL
    again = await do(store, "book_appointment", "CA2", "+14155550123", **OIL)
    assert again.data == first.data
    assert len(await store.query(Query("orgs/acme/appointments"))) == 1


async def test_a_time_is_gone_for_others_and_not_for_its_holder(store: DocumentStore) -> None:
    await store.commit(shop.writes("acme", ONE_BAY))
    await do(store, "book_appointment", "CA1", "+14155550123", **OIL)
    theirs = await do(store, "get_available_slots", "CA2", "+14155550199", date=OIL["date"])
    own = await do(store, "get_available_slots", "CA3", "+14155550123", date=OIL["date"])
    assert "14:00" not in theirs.data["times"]
    assert "14:00" in own.data["times"]


async def test_refusals_have_a_reason_and_a_sentence(store: DocumentStore) -> None:
    await store.commit(shop.writes("acme", ONE_BAY))
    await do(store, "book_appointment", "CA1", "+14155550123", **OIL)
    for change, reason, said in (
        ({}, "slot_taken", "2 PM on Monday, November 23 is not available. I could offer 1 PM, 1:30 PM or 2:30 PM."),
        ({"date": "2026-11-22"}, "closed", "We are closed at 2 PM on Sunday, November 22."),
        ({"date": "2026-11-19"}, "in_the_past", "2 PM on Thursday, November 19 has already passed."),
        ({"service_type": "paint job"}, "unknown_service", "We do not offer that. We do oil change, "),
    ):
        refused = await do(store, "book_appointment", "CA2", "+14155550199", **{**OIL, **change})
        assert (refused.ok, refused.data["reason"]) == (False, reason)
        assert refused.data["message"].startswith(said)
    taken = await do(store, "book_appointment", "CA2", "+14155550199", **OIL)
    assert taken.data["alternatives"] == ["13:00", "13:30", "14:30"]


async def test_fifty_callers_race_for_one_slot_with_their_journals(store: DocumentStore) -> None:
    """The booking and the journal's line are one commit: one caller has both, the others have clear words."""
    await store.commit(shop.writes("acme", ONE_BAY))
    journal = Journal(store)

    async def caller(number: int) -> ToolResult:
        call_id = f"CA{number}"
        await journal.open(Call(call_id=call_id, call_sid=call_id, org="acme"))

        async def commit(result: ToolResult) -> None:
            data = {"tool": "book_appointment", "result": dict(result.data), "ok": result.ok}
            draft = Draft(EventType.TOOL_CALL, data, f"book:{result.ok}", iso(NOW))
            await journal.append(call_id, [draft], writes=result.writes)

        who = context(store, call_id, f"+1415555{number:04d}")
        return await run_effect(ROUTER, "book_appointment", OIL, who, commit, tries=10)

    results = await asyncio.gather(*(caller(number) for number in range(50)))
    winners = [result for result in results if result.ok]
    assert len(winners) == 1
    assert {result.data["reason"] for result in results if not result.ok} == {"slot_taken"}
    assert all("is not available" in result.data["message"] for result in results if not result.ok)
    kept = await store.query(Query("orgs/acme/appointments"))
    assert [doc.data["appointment_id"] for doc in kept] == [winners[0].data["appointment_id"]]
    told = [await journal.events(f"CA{number}") for number in range(50)]
    assert sum(event.data["ok"] for events in told for event in events if event.type is EventType.TOOL_CALL) == 1


async def test_a_model_that_asks_twice_at_once_books_once(store: DocumentStore) -> None:
    both = await asyncio.gather(*(do(store, "book_appointment", "CA1", "+14155550123", **OIL) for _ in range(2)))
    assert both[0].data == both[1].data
    assert len(await store.query(Query("orgs/acme/appointments"))) == 1


async def test_a_poisoned_shop_costs_an_answer_and_not_the_call(store: DocumentStore) -> None:
    await store.commit([Create(shop.path("acme"), {"name": "Half a shop"})])
    result = await do(store, "get_available_slots", date="2026-11-23")
    assert (result.ok, result.data["reason"]) == (False, "failed")


def test_the_default_shop_is_the_shop_of_the_flow() -> None:
    """The flow says the hours and services aloud; the records keep them."""
    spec = load_flow(Path(media_gateway.conversation.__file__).parent / "flows" / "inbound_new.yaml").spec
    assert spec.shop.name == DEFAULT_SHOP.name
    assert [(one.key, one.say, one.minutes) for one in spec.services] == [
        (one.key, one.say, one.minutes) for one in DEFAULT_SHOP.services
    ]
    days = [None if day is None else (day.opens, day.closes) for day in spec.hours.days()]
    assert tuple(days) == DEFAULT_SHOP.hours
