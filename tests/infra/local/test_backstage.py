"""What a scenario needs beside the telephone, and what is said when it cannot be had."""

from __future__ import annotations

import asyncio
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from infra.local import ordering
from infra.local.backstage import TAKEN_AT, Backstage
from infra.local.clients import Api
from infra.simulators.config import PhoneConfig
from infra.simulators.fields import ScenarioError
from infra.simulators.phone import place_call
from infra.simulators.placing import Placing
from infra.simulators.scenario import Scenario, load_scenario, parse_scenario
from realtime.records import appointments, shop
from realtime.stores.embedded import EmbeddedStore

ZONE = ZoneInfo("America/New_York")


def api() -> Api:
    return Api("http://127.0.0.1:9", "admin", "secret")


def scenario(**more: object) -> Scenario:
    return parse_scenario({"steps": [], **more}, name="s")


def test_every_bay_of_the_hour_is_taken_by_others(tmp_path: Path) -> None:
    async def go() -> tuple[str, ...]:
        stage = Backstage(scenario(), api(), "CA1", ZONE, tmp_path / "callboard.db")
        await stage.aside("meanwhile", "take_slot")
        store = EmbeddedStore(tmp_path / "callboard.db")
        try:
            now = datetime.now(ZONE)
            day = (now + timedelta(days=1)).date()
            place, taken = await shop.load(store, "default"), await appointments.slots_of(store, "default", day)
        finally:
            await store.aclose()
        return appointments.free_times(place, day, taken, now, 1)

    free = asyncio.run(go())
    assert free
    assert TAKEN_AT not in free


def test_the_standing_appointment_is_the_callers_own(tmp_path: Path) -> None:
    async def go() -> None:
        wanted = scenario(caller="+14155550160", has_appointment={"service_type": "inspection", "time": "10:00"})
        standing = await Backstage(wanted, api(), "CA1", ZONE, tmp_path / "callboard.db").standing()
        assert standing is not None
        assert (standing["service_type"], standing["time"]) == ("inspection", "10:00")
        assert standing["date"] > datetime.now(ZONE).date().isoformat()
        store = EmbeddedStore(tmp_path / "callboard.db")
        try:
            (kept,) = await store.get(f"orgs/default/appointments/{standing['appointment_id']}")
        finally:
            await store.aclose()
        assert kept is not None
        assert kept.data["phone"] == "+14155550160"
        assert time.fromisoformat(kept.data["time"]) == time(10)

    asyncio.run(go())


def test_a_system_that_is_not_ours_is_not_written_to() -> None:
    stage = Backstage(scenario(has_appointment={}), api(), "CA1", ZONE)
    with pytest.raises(ScenarioError, match="s needs a system of its own: leave --url out"):
        asyncio.run(stage.standing())
    with pytest.raises(ScenarioError, match="leave --url out"):
        asyncio.run(stage.aside("meanwhile", "take_slot"))
    with pytest.raises(ScenarioError, match="meanwhile is take_slot, not 'rain'"):
        asyncio.run(stage.aside("meanwhile", "rain"))


def test_a_call_that_we_place_needs_a_twilio_of_ours() -> None:
    with pytest.raises(ScenarioError, match="driver is a call that Callboard places"):
        asyncio.run(ordering.order(None, api(), load_scenario("driver"), None))


def test_a_phone_alone_cannot_do_what_is_off_the_line() -> None:
    config = PhoneConfig(public_url="http://127.0.0.1:9", auth_token="t")
    with pytest.raises(ScenarioError, match="steps off the line"):
        asyncio.run(place_call(config, load_scenario("wrong_vin")))


@pytest.mark.parametrize(
    ("answered_by", "outcome", "verdict"),
    [
        ("human", "answers", "human"),
        ("machine", "answers", "machine_end_beep"),
        ("nobody", "no-answer", "human"),
        ("busy", "busy", "human"),
    ],
)
def test_who_is_behind_the_number(answered_by: str, outcome: str, verdict: str) -> None:
    placed = scenario(placed={"flow": "f", "answered_by": answered_by}).placed
    assert isinstance(placed, Placing)
    behind = ordering.callee(scenario(), placed)
    assert (behind.outcome, behind.verdict) == (outcome, verdict)
