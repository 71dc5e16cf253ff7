"""Calls that nobody will end, with the time given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from realtime import journal as journals
from realtime.abandoned import Silence, end_abandoned, verdict
from realtime.call import Call, Status
from realtime.clock import iso
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore

pytestmark = pytest.mark.anyio

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
TS = iso(NOW)
CALL = Call(call_id="CA1", call_sid="CA1", started_at=TS, last_updated=TS)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    one = EmbeddedStore(tmp_path / "callboard.db")
    yield one
    await one.aclose()


@pytest.mark.parametrize(
    ("call", "minutes", "status"),
    [
        (CALL, 9, None),
        (CALL, 11, Status.NO_ANSWER),
        (replace(CALL, status=Status.RINGING), 11, Status.NO_ANSWER),
        (replace(CALL, status=Status.RINGING, owner="gateway"), 11, None),
        (replace(CALL, status=Status.RINGING, owner="gateway"), 71, Status.FAILED),
        (replace(CALL, status=Status.IN_PROGRESS), 69, None),
        (replace(CALL, status=Status.IN_PROGRESS, owner="gateway"), 71, Status.FAILED),
        (replace(CALL, status=Status.PROCESSING), 71, Status.FAILED),
        (replace(CALL, status=Status.IN_PROGRESS, next="handoff"), 4 * 60, None),
        (replace(CALL, status=Status.IN_PROGRESS, next="handoff"), 6 * 60, Status.FAILED),
        (replace(CALL, status=Status.COMPLETED), 10_000, None),
        (replace(CALL, status=Status.IN_PROGRESS, hosted=True), 10_000, None),
    ],
)
def test_how_long_a_call_may_be_silent(call: Call, minutes: int, status: Status | None) -> None:
    assert verdict(call, NOW + timedelta(minutes=minutes), Silence()) is status


async def test_an_abandoned_call_is_ended_once_with_the_record_that_its_journal_gives(store: EmbeddedStore) -> None:
    journal = Journal(store, clock=lambda: NOW)
    await journal.open(CALL)
    await journal.open(Call(call_id="CA2", status=Status.IN_PROGRESS))
    said = {"turn": 1, "speaker": "user", "text": "An oil change, please.", "confidence": 0.9}
    state = {"flow": "inbound_new", "state": "ask_name"}
    drafts = [Draft(EventType.FINAL_TRANSCRIPT, said, "1", TS)]
    await journal.append("CA2", drafts, change={"conversation_state": state})

    def later() -> datetime:
        return NOW + timedelta(minutes=71)

    one, other = Journal(store, clock=later), Journal(store, clock=later)
    assert await end_abandoned(one, clock=lambda: NOW) == []
    ended = await end_abandoned(one, clock=later)
    assert {call.call_id: call.status for call in ended} == {"CA1": Status.NO_ANSWER, "CA2": Status.FAILED}
    assert await end_abandoned(other, clock=later) == []
    events = await other.events("CA2")
    assert [event.type.value for event in events] == ["final_transcript", "call_status", "call_completed"]
    record = events[-1].data["call_data"]
    assert (record["status"], record["call_end_time"], len(record["transcript"])) == ("failed", TS, 1)
    head = await other.find("CA2")
    assert head is not None
    assert head.conversation_summary == record["conversation_summary"]
    assert head.conversation_summary is not None
    assert await one.retire() == 0  # whoever watches sees the end first
    assert await Journal(store, clock=lambda: later() + timedelta(seconds=61)).retire() == 2


async def test_a_call_that_moves_on_meanwhile_is_left_alone(store: EmbeddedStore) -> None:
    journal = Journal(store, clock=lambda: NOW)
    await journal.open(CALL)

    def later() -> datetime:
        return NOW + timedelta(minutes=11)

    class Late(Journal):
        async def active(self, *, org: str | None = None) -> list[Call]:
            found = await super().active(org=org)
            await Journal(store, clock=later).own("CA1", "gateway-1")
            return found

    assert await end_abandoned(Late(store, clock=later), clock=later) == []
    assert await journal.events("CA1") == []


async def test_no_page_hides_a_call(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "ACTIVE_PAGE", 2)
    journal = Journal(store, clock=lambda: NOW)
    for n in range(5):
        await journal.open(Call(call_id=f"CA{n}", org="acme" if n else "other"))
    assert [call.call_id for call in await journal.active()] == ["CA0", "CA1", "CA2", "CA3", "CA4"]
    assert [call.call_id for call in await journal.active(org="acme")] == ["CA1", "CA2", "CA3", "CA4"]
    later = Journal(store, clock=lambda: NOW + timedelta(minutes=11))
    assert len(await end_abandoned(later, clock=lambda: NOW + timedelta(minutes=11))) == 5
    assert await Journal(store, clock=lambda: NOW + timedelta(minutes=13)).retire() == 5
    assert await journal.active() == []
