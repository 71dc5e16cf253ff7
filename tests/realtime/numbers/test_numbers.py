"""Facts of calls, the numbers made of them, and the search that reads them: pure, and on the embedded store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.call import Call, Status
from realtime.events import Draft, Event, EventType
from realtime.journal import Journal
from realtime.numbers import ledger as ledger_module
from realtime.numbers.facts import Facts, facts_of, path
from realtime.numbers.ledger import Ledger
from realtime.numbers.search import Search, page
from realtime.numbers.summary import percentile, summary
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Put

ZONE = ZoneInfo("America/New_York")
CALL = Call(
    call_id="CA1",
    flow="inbound_new",
    status=Status.COMPLETED,
    started_at="2026-11-20T03:30:00.000Z",
    ended_at="2026-11-20T03:31:30.500Z",
    total_tokens=120,
    seq=9,
)


def event(type_: EventType, seq: int = 1, **data: Any) -> Event:
    return Event("CA1", "e", seq, type_, "2026-11-20T03:30:10.000Z", data)


HEARD = event(EventType.FINAL_TRANSCRIPT, text="I need an Oil change", speaker="user", turn=1)
BOOKED = event(EventType.TOOL_CALL, tool="book_appointment", ok=True, arguments={}, result={})


def test_the_facts_of_a_booking() -> None:
    measured = [event(EventType.TURN_METRICS, stages={"thinking": 100 + n}, total_ms=400 + n) for n in range(3)]
    told = {"parts": {"openai": 0.01, "deepgram": 0.02}, "total": 0.03}
    facts = facts_of(replace(CALL, metadata={"cost": told}), [HEARD, BOOKED, *measured], ZONE)
    assert (facts.day, facts.hour) == ("2026-11-19", 22), "local to the shop"
    assert (facts.outcome, facts.booked, facts.completed, facts.seconds) == ("booked", True, True, 90.5)
    assert facts.latency == {"thinking": [100, 101, 102], "total": [400, 401, 402]}
    assert facts.cost == {"openai": 0.01, "deepgram": 0.02}
    assert facts.text == "i need an oil change"
    assert Facts.from_dict({**facts.to_dict(), "newer": 1}) == facts


@pytest.mark.parametrize(
    ("change", "events", "outcome", "completed"),
    [
        ({"status": Status.NO_ANSWER}, [], "no_answer", False),
        ({"status": Status.BUSY}, [HEARD, BOOKED], "busy", False),
        ({}, [], "abandoned", False),
        ({}, [HEARD], "answered", True),
        ({"conversation_state": {"asked": "preferred_date"}}, [HEARD], "abandoned", False),
        ({"conversation_state": {"asked": "anything_else"}}, [HEARD], "answered", True),
        ({"answered_by": "voicemail"}, [], "voicemail", True),
        ({}, [HEARD, event(EventType.ESCALATION, reason="anger")], "escalated", True),
        ({"conversation_summary": {"collected_slots": {"outcome": "confirmed"}}}, [HEARD], "confirmed", True),
        ({}, [HEARD, event(EventType.TOOL_CALL, tool="book_appointment", ok=False)], "answered", True),
        ({}, [HEARD, BOOKED, event(EventType.TOOL_CALL, tool="cancel_appointment", ok=True)], "cancelled", True),
    ],
)
def test_one_word_for_what_came_of_it(
    change: Mapping[str, Any], events: list[Event], outcome: str, completed: bool
) -> None:
    facts = facts_of(replace(CALL, **change), events, ZONE)
    assert (facts.outcome, facts.completed) == (outcome, completed)


def one(call_id: str = "CA1", **more: Any) -> Facts:
    values: dict[str, Any] = {
        "call_id": call_id,
        "org": "default",
        "seq": 1,
        "started_at": "2026-11-20T12:00:00.000Z",
        "day": "2026-11-20",
        "hour": 7,
        "flow": "inbound_new",
        "direction": "inbound",
        "status": "completed",
        "outcome": "booked",
        "answered": True,
    }
    return Facts(**{**values, **more})


def test_the_numbers_of_a_period() -> None:
    facts = [
        one(booked=True, seconds=60, tokens=10, cost={"openai": 0.5}, latency={"total": [100, 200]}),
        one(day="2026-11-21", hour=9, seconds=120, outcome="escalated", escalated=True, reason="anger"),
        one(outcome="abandoned", asked="preferred_date", flow="driver_check", latency={"total": [900]}),
        one(answered=False, status="busy", outcome="busy", cost={"twilio": 1.0}),
    ]
    numbers = summary(facts)
    assert (numbers["calls"], numbers["answered"], numbers["completed"], numbers["booked"]) == (4, 3, 2, 1)
    assert numbers["average_handling_s"] == 60.0
    assert numbers["latency_ms"] == {"total": {"turns": 3, "p50": 200, "p95": 900}}
    assert [(day["day"], day["calls"]) for day in numbers["by_day"]] == [("2026-11-20", 3), ("2026-11-21", 1)]
    assert (numbers["by_hour"][7], numbers["by_hour"][9], sum(numbers["by_hour"])) == (3, 1, 4)
    assert [(row["flow"], row["completion_rate"]) for row in numbers["by_flow"]] == [
        ("inbound_new", 0.6667),
        ("driver_check", 0.0),
    ]
    assert numbers["drop_off"] == [{"slot": "preferred_date", "calls": 1}]
    assert numbers["cost_by_vendor"] == {"twilio": 1.0, "openai": 0.5}
    assert numbers["escalation_reasons"] == {"anger": 1}


def test_what_a_call_of_our_own_has_cost_counts_by_its_parts() -> None:
    spent = {"llm": 0.002, "tts": 0.01, "stt": 0.0, "telephone": 0.0125, "usd": 0.0245}
    facts = facts_of(replace(CALL, cost=spent), [HEARD], ZONE)
    assert facts.cost == {"llm": 0.002, "tts": 0.01, "telephone": 0.0125}, "neither the sum nor what was free"
    (day,) = summary([facts, replace(facts, cost={"tts": 0.01})])["by_day"]
    assert (day["cost_usd"], day["cost_by_vendor"]) == (0.0345, {"tts": 0.02, "telephone": 0.0125, "llm": 0.002})


@pytest.mark.parametrize("written", ["5005550100", "500-555-0100", "(500)555-0100", "+1.500.555.0100", "500 555 0100"])
def test_a_number_is_found_however_it_is_written(written: str) -> None:
    call = replace(CALL, caller_phone="+15005550100")
    assert Search(org="default", q=written).takes(call, None)
    assert not Search(org="default", q=written + "9").takes(call, None)


@given(
    st.lists(st.sampled_from(["brakes", "oil", "a", "change", "tomorrow", "morning"]), min_size=1, max_size=120),
    st.data(),
)
def test_an_excerpt_holds_the_word_between_whole_words(words: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(words))
    text = " ".join(words)
    told = Search(org="default", q=wanted).excerpt(one(text=text))
    assert told is not None
    cut = told.removeprefix("… ").removesuffix(" …")
    assert wanted in cut
    assert f" {cut} " in f" {text} "
    assert len(cut) <= 40 + len(wanted) + 100


def test_the_numbers_of_nothing() -> None:
    numbers = summary([])
    assert numbers["calls"] == 0
    assert numbers["average_handling_s"] is None
    assert numbers["latency_ms"] == {}


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0, 50, 95, 100]))
def test_a_percentile_is_one_of_the_values_and_as_many_lie_below(values: list[float], at: int) -> None:
    found = percentile(values, at)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * at / 100


class Ground:
    """A journal with calls in it."""

    def __init__(self, folder: Path) -> None:
        self.store = EmbeddedStore(folder / "callboard.db")
        self.journal = Journal(self.store, retention_days=10_000)
        self.ledger = Ledger(self.journal, self.store, ZONE)

    async def call(self, call_id: str, *said: str, over: bool = True, started_at: str = CALL.started_at) -> None:
        await self.journal.open(Call(call_id=call_id, flow="inbound_new", started_at=started_at))
        drafts = [
            Draft(EventType.FINAL_TRANSCRIPT, {"turn": n, "text": text}, f"h{n}", CALL.started_at)
            for n, text in enumerate(said)
        ]
        await self.journal.append(call_id, drafts)
        if over:
            await self.journal.complete(
                call_id, Status.COMPLETED, call_data={}, change={"ended_at": started_at}, key="end", ts=started_at
            )


def test_facts_are_made_once_and_anew_when_a_call_has_grown(tmp_path: Path) -> None:
    async def go() -> None:
        ground = Ground(tmp_path)
        try:
            await ground.call("CA1", "hello there")
            await ground.call("CA2", "still talking", over=False)
            counted = await ground.ledger.period("default")
            assert [(one.call_id, one.text) for one in counted.facts] == [("CA1", "hello there")]
            (kept,) = await ground.store.get(path("CA1"))
            assert kept is not None
            await ground.store.commit([Put(path("CA1"), {**kept.data, "text": "kept"})])
            assert [one.text for one in (await ground.ledger.period("default")).facts] == ["kept"]
            grown = Draft(EventType.ANALYSIS_READY, {"analysis": {}}, "a", CALL.started_at)
            await ground.journal.append("CA1", [grown])
            assert [one.text for one in (await ground.ledger.period("default")).facts] == ["hello there"]
            assert (await ground.ledger.period("other")).facts == ()
        finally:
            await ground.store.aclose()

    asyncio.run(go())


def test_a_long_period_is_counted_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MADE_AT_ONCE", 3)

    async def go() -> None:
        ground = Ground(tmp_path)
        try:
            for n in range(7):
                await ground.call(f"CA{n}", started_at=f"2026-11-20T03:30:0{n}.000Z")
            assert [((await ground.ledger.period("default")).missing) for _ in range(3)] == [4, 1, 0]
            assert len((await ground.ledger.period("default")).facts) == 7
        finally:
            await ground.store.aclose()

    asyncio.run(go())


def test_calls_are_found_by_what_was_said_in_them(tmp_path: Path) -> None:
    async def go() -> None:
        ground = Ground(tmp_path)
        try:
            for n, words in enumerate(("my brakes squeak", "an oil change", "brakes and oil")):
                await ground.call(f"CA{n}", words, started_at=f"2026-11-20T03:30:0{n}.000Z")
            await ground.call("CA9", "brakes", over=False, started_at="2026-11-20T03:30:09.000Z")

            async def found(limit: int = 50, **wanted: Any) -> list[str]:
                calls: list[str] = []
                cursor: str | None = None
                while True:
                    some, cursor = await page(ground.ledger, Search(org="default", **wanted), cursor, limit)
                    assert len(some) <= limit
                    calls += (hit.call.call_id for hit in some)
                    if cursor is None:
                        return calls

            assert await found(q="Brakes") == ["CA2", "CA0"], "what goes on has no facts yet"
            assert await found(q="oil brakes", limit=1) == ["CA2"]
            assert await found(q="ca9") == ["CA9"]
            assert await found(outcome="answered", limit=2) == ["CA2", "CA1", "CA0"]
            assert await found(outcome="booked") == []
            (hit,), _ = await page(ground.ledger, Search(org="default", q="squeak"), None, 50)
            assert (hit.outcome, hit.excerpt) == ("answered", "my brakes squeak")
            (hit,), _ = await page(ground.ledger, Search(org="default", q="ca9"), None, 50)
            assert (hit.outcome, hit.excerpt) == (None, None)
            assert await page(ground.ledger, Search(org="other", q="oil"), None, 50) == ([], None)
            with pytest.raises(ValueError, match="limit"):
                await page(ground.ledger, Search(org="default"), None, 0)
        finally:
            await ground.store.aclose()

    asyncio.run(go())
