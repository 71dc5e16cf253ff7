"""Appointments that stand, through the tools: told, confirmed, moved, canceled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from media_gateway.tools.port import ToolResult
from media_gateway.tools.router import run_effect
from realtime.call import Call
from realtime.clock import iso
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.port import Query
from tests.media_gateway.tools.scene import JOHN, MARIA, NOW, OIL, ROUTER, STRANGER, ZONE, Scene
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio


@pytest.fixture(params=BOTH)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    async with opened(opener(request.param, request, clock=lambda: NOW)) as store:
        yield await Scene(store).open()


async def john(scene: Scene, name: str, **given: Any) -> ToolResult:
    """As John, who has shown who he is."""
    await scene.do("CA1", JOHN.phone, "verify_caller", last_name="Cruz")
    return await scene.do("CA1", JOHN.phone, name, **given)


async def test_the_nearest_first_and_no_canceled_or_past_ones(scene: Scene) -> None:
    late = await scene.booked(date="2026-11-25")
    soon = await scene.booked(time="09:00")
    gone = await scene.booked(time="10:00")
    await scene.booked(phone=MARIA.phone, time="11:00")
    await john(scene, "cancel_appointment", appointment_id=gone["appointment_id"])
    told = await john(scene, "get_upcoming_appointments")
    assert [one["appointment_id"] for one in told.data["appointments"]] == [
        soon["appointment_id"], late["appointment_id"],
    ]  # fmt: skip
    scene.now = datetime(2026, 11, 26, 9, tzinfo=ZONE)
    nothing = await john(scene, "get_upcoming_appointments")
    assert (nothing.ok, nothing.data["count"], nothing.data["message"][:11]) == (True, 0, "You have no")


async def test_what_was_booked_in_this_call_can_be_changed_at_once(scene: Scene) -> None:
    await scene.booked(time="09:00")
    mine = await scene.booked(call_id="CA1")
    moved = await scene.do("CA1", JOHN.phone, "reschedule_appointment", date="2026-11-23", time="11:30")
    assert (moved.ok, moved.data["appointment_id"], moved.data["time"]) == (True, mine["appointment_id"], "11:30")
    canceled = await scene.do("CA1", JOHN.phone, "cancel_appointment")
    assert (canceled.ok, canceled.data["status"]) == (True, "canceled")


async def test_canceling_again_returns_the_canceled_one(scene: Scene) -> None:
    mine = await scene.booked()
    first = await john(scene, "cancel_appointment")
    again = await john(scene, "cancel_appointment")
    named = await john(scene, "cancel_appointment", appointment_id=mine["reference"])
    assert first.data == again.data == named.data
    assert (again.writes, named.writes) == ((), ())
    moved = await john(
        scene, "reschedule_appointment", date="2026-11-24", time="09:00", appointment_id=mine["reference"]
    )
    assert (moved.ok, moved.data["reason"]) == (False, "canceled")


async def test_moved_to_where_it_is_and_confirmed_twice_changes_nothing(scene: Scene) -> None:
    await scene.booked()
    first = await john(scene, "confirm_appointment")
    assert first.data["status"] == "confirmed"
    again = await john(scene, "confirm_appointment")
    assert (again.data, again.writes) == (first.data, ())
    same = await john(scene, "reschedule_appointment", date=OIL["date"], time=OIL["time"])
    assert (same.data, same.writes) == (first.data, ())


async def test_with_several_it_asks_which(scene: Scene) -> None:
    await scene.booked(time="09:00")
    late = await scene.booked()
    which = await john(scene, "cancel_appointment")
    assert which.data["reason"] == "which_one"
    assert "9 AM on Monday" in which.data["message"]
    assert "2 PM on Monday" in which.data["message"]
    done = await john(scene, "cancel_appointment", appointment_id=late["reference"])
    assert done.data["appointment_id"] == late["appointment_id"]


async def test_another_ones_appointment_does_not_exist(scene: Scene) -> None:
    hers = await scene.booked(phone=MARIA.phone)
    for name, more in (("cancel_appointment", {}), ("reschedule_appointment", {"date": OIL["date"], "time": "09:00"})):
        refused = await john(scene, name, appointment_id=hers["appointment_id"], **more)
        assert (refused.ok, refused.data["reason"]) == (False, "not_found")
    none = await john(scene, "cancel_appointment")
    assert none.data["reason"] == "no_appointment"


async def test_refusals_of_a_move_say_what_is_free(scene: Scene) -> None:
    await scene.booked()
    await scene.booked(phone=MARIA.phone, time="09:00")
    for change, reason, words in (
        ({"time": "09:00"}, "slot_taken", "9 AM on Monday, November 23 is not available. I could offer"),
        ({"time": "06:00"}, "closed", "We are closed at 6 AM"),
        ({"date": "2026-11-19"}, "in_the_past", "2 PM on Thursday, November 19 has already passed."),
    ):
        refused = await john(scene, "reschedule_appointment", **{"date": OIL["date"], "time": OIL["time"], **change})
        assert (refused.ok, refused.data["reason"]) == (False, reason)
        assert refused.data["message"].startswith(words)


async def test_fifty_callers_move_to_one_time_with_their_journals(scene: Scene) -> None:
    """The old slot freed, the new one taken, and the journal's line are one commit: one caller gets there."""
    journal = Journal(scene.store)
    times = [f"{hour:02d}:{minute}" for hour in range(8, 18) for minute in ("00", "30")]
    spots = [(day, at) for day in ("2026-12-01", "2026-12-02", "2026-12-03") for at in times][:50]

    async def caller(number: int) -> ToolResult:
        call_id, phone = f"CA{number}", f"+1415555{number:04d}"
        await journal.open(Call(call_id=call_id, call_sid=call_id, org="acme"))
        date, at = spots[number]
        await scene.booked(phone, call_id, date=date, time=at)

        async def commit(result: ToolResult) -> None:
            data = {"tool": "reschedule_appointment", "result": dict(result.data), "ok": result.ok}
            draft = Draft(EventType.TOOL_CALL, data, f"move:{result.ok}", iso(NOW))
            await journal.append(call_id, [draft], writes=result.writes)

        wanted = {"date": OIL["date"], "time": OIL["time"]}
        return await run_effect(
            ROUTER, "reschedule_appointment", wanted, scene.context(call_id, phone), commit, tries=60
        )

    results = await asyncio.gather(*(caller(number) for number in range(50)))
    assert sum(result.ok for result in results) == 1
    assert {result.data["reason"] for result in results if not result.ok} == {"slot_taken"}
    slots = [doc.data for doc in await scene.store.query(Query("orgs/acme/slots", limit=1000))]
    assert len({(slot["date"], slot["time"], slot["bay"]) for slot in slots}) == len(slots) == 50
    assert [slot["time"] for slot in slots if slot["date"] == OIL["date"]] == ["14:00"]
    told = [await journal.events(f"CA{number}") for number in range(50)]
    assert sum(event.data["ok"] for events in told for event in events if event.type is EventType.TOOL_CALL) == 1


async def test_a_stranger_books_and_their_number_is_kept_for_the_reminder(scene: Scene) -> None:
    mine = await scene.booked(phone=STRANGER)
    kept = await scene.kept(mine["appointment_id"])
    assert (kept.phone, kept.customer_id, kept.reference) == (STRANGER, None, mine["reference"])
