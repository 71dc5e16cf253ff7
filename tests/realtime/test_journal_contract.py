"""The journal over both stores: one log per call, without holes and without duplicates, whoever writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from realtime.bus.port import BusMessage
from realtime.call import Call, Status
from realtime.clock import iso
from realtime.events import Draft, Event, EventType
from realtime.journal import Appended, Fenced, Journal, Plan, UnknownCall
from realtime.stores.port import (
    Conflict,
    Create,
    Delete,
    Put,
    Query,
    StoreUnavailable,
)
from tests.realtime.spy import Spy
from tests.realtime.stores import BOTH, Opener, opened, opener

pytestmark = pytest.mark.anyio

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
TS = iso(NOW)
CALL = Call(call_id="CA1", call_sid="CA1", conversation_id="conv_1", org="acme", caller_phone="+15550001111")


@pytest.fixture(params=BOTH)
def open_store(request: pytest.FixtureRequest) -> Opener:
    return opener(request.param, request)


@pytest.fixture
async def store(open_store: Opener) -> AsyncIterator[Spy]:
    async with opened(open_store) as one:
        yield Spy(one)


@pytest.fixture
def journal(store: Spy) -> Journal:
    return Journal(store, clock=lambda: NOW)


def another(store: Spy) -> Journal:
    """The journal of another process: the same documents, its own memory."""
    return Journal(store.store, clock=lambda: NOW)


def draft(key: str, type_: EventType = EventType.DTMF, **data: Any) -> Draft:
    return Draft(type_, {"key": key} | data, key, TS)


def status(news: Status, key: str | None = None) -> Draft:
    return draft(key or f"status:{news}", EventType.CALL_STATUS, status=news.value, call_end_time=None, reason=None)


async def check_log(journal: Journal, keys: set[str] | None = None, *, call_id: str = "CA1") -> list[Event]:
    """The events, after checking that they are whole and that the head and its tail agree with them."""
    events = await journal.events(call_id)
    call = await journal.find(call_id)
    assert call is not None
    assert [event.seq for event in events] == list(range(1, call.seq + 1))
    assert {event.epoch for event in events} <= {call.epoch}
    tail = [Event.from_dict(event) for event in call.tail]
    assert tail == (events[-len(tail) :] if tail else [])
    if keys is not None:
        assert sorted(event.data["key"] for event in events) == sorted(keys)
    return events


async def test_a_call_is_opened_once_with_its_first_events(journal: Journal, store: Spy) -> None:
    call = await journal.open(CALL, [status(Status.INITIATED)])
    assert (call.seq, call.status, call.started_at, call.last_updated) == (1, Status.INITIATED, TS, TS)
    assert call.epoch
    assert call.expire_at == iso(NOW + timedelta(days=30))
    assert len(await check_log(journal)) == 1
    again = await another(store).open(CALL, [status(Status.RINGING)])
    assert again == call
    assert len(await check_log(journal)) == 1


async def test_a_call_is_found_by_any_of_its_ids(journal: Journal) -> None:
    hosted = Call(call_id="EL_driver_2031", call_sid="CA9", conversation_id="conv_9", hosted=True)
    opened_call = await journal.open(hosted)
    for any_id in ("EL_driver_2031", "CA9", "conv_9"):
        assert await journal.find(any_id) == opened_call
    for nobody in ("CA8", "", "a/b", "../calls/CA9", ".", "__name__", "x" * 300, "conv 9", "conv_9\n"):
        assert await journal.find(nobody) is None
        assert await journal.events(nobody) == []


async def test_calls_are_found_by_many_ids_with_two_questions(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    hosted = await journal.open(Call(call_id="EL_driver_2031", call_sid="CA9", conversation_id="conv_9", hosted=True))
    fresh, before = Journal(store), store.reads
    assert await fresh.named("conv_9", "CA9", "nobody", "a/b", "conv_9") == [hosted]
    assert store.reads == before + 2
    assert [call.call_id for call in await fresh.named("CA9", "conv_1")] == ["EL_driver_2031", "CA1"]
    assert await fresh.named() == await fresh.named("nobody") == []


async def test_opening_under_an_id_that_names_a_call_gives_that_call(journal: Journal) -> None:
    first = await journal.open(CALL)
    assert await journal.open(Call(call_id="EL_x", conversation_id="conv_1")) == first
    assert await journal.find("EL_x") is None
    with pytest.raises(ValueError, match="cannot be the id"):
        await journal.open(Call(call_id="a/b"))


async def test_the_owner_pays_one_commit_and_no_read(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    store.reads = store.commits = 0
    for n in range(5):
        await journal.append("CA1", [draft(f"k{n}"), draft(f"l{n}")])
    assert (store.reads, store.commits) == (0, 5)
    assert len(await check_log(journal)) == 10


async def test_eight_writers_leave_no_hole_and_no_duplicate(open_store: Opener, store: Spy) -> None:
    await Journal(store).open(CALL)
    async with AsyncExitStack() as stack:
        stores = [store.store, *[await stack.enter_async_context(opened(open_store)) for _ in range(3)]]
        journals = [Journal(stores[n % 4]) for n in range(8)]

        async def write(n: int) -> list[int]:
            seqs = []
            for i in range(4):
                keys = [f"{n}-{i}-{part}" for part in range(1 + i % 2)]
                appended = await journals[n].append("CA1", [draft(key) for key in keys])
                seqs += [event.seq for event in appended.events]
            return seqs

        seqs = await asyncio.gather(*(write(n) for n in range(8)))
    assert sorted(seq for mine in seqs for seq in mine) == list(range(1, 49))
    await check_log(another(store), {f"{n}-{i}-{p}" for n in range(8) for i in range(4) for p in range(1 + i % 2)})


async def test_one_piece_of_news_that_many_bring_is_written_once(store: Spy) -> None:
    await Journal(store).open(CALL)
    journals = [another(store) for _ in range(6)]
    outcomes = await asyncio.gather(*(one.append("CA1", [draft("same")]) for one in journals))
    assert sum(len(outcome.events) for outcome in outcomes) == 1
    assert all(outcome.call.seq == 1 for outcome in outcomes)
    await check_log(journals[0], {"same"})


async def test_duplicates_among_fresh_events_are_left_out(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    await journal.append("CA1", [draft("a"), draft("b")])
    mixed = [draft("b"), draft("c"), draft("c"), draft("a"), draft("d")]
    appended = await another(store).append("CA1", mixed)
    assert [(event.seq, event.data["key"]) for event in appended.events] == [(3, "c"), (4, "d")]
    assert (await journal.append("CA1", mixed, change={"flow": "x"})) == Appended(appended.call)
    await check_log(journal, {"a", "b", "c", "d"})


async def test_keys_of_one_call_mean_nothing_to_another(journal: Journal) -> None:
    await journal.open(CALL)
    await journal.open(Call(call_id="CA2"))
    for call_id in ("CA1", "CA2"):
        assert len((await journal.append(call_id, [draft("same")])).events) == 1


async def test_a_writer_with_an_old_head_rebases(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    other = another(store)
    await other.append("CA1", [draft("x")], change={"flow": "theirs"})
    appended = await journal.append("CA1", [draft("y")], change={"stream_sid": "MZ1"})
    assert (appended.call.seq, appended.call.flow, appended.call.stream_sid) == (2, "theirs", "MZ1")
    await check_log(other, {"x", "y"})


async def test_a_decision_is_made_again_on_the_head_that_won(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    await another(store).append("CA1", [], change={"total_tokens": 10})
    seen = []

    def decide(call: Call) -> Plan:
        seen.append(call.total_tokens)
        return Plan([draft(f"at {call.total_tokens}")], {"total_tokens": call.total_tokens + 1})

    appended = await journal.update("CA1", decide)
    assert seen == [0, 10]
    assert appended.call.total_tokens == 11
    assert (await journal.update("CA1", lambda _: None)).events == ()


async def test_writes_stand_or_fall_with_the_events(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    await another(store).append("CA1", [draft("other")])
    await journal.append("CA1", [draft("book")], writes=[Create("slots/1", {"by": "CA1"})])
    with pytest.raises(Conflict):
        await journal.append("CA1", [draft("book again")], writes=[Create("slots/1", {"by": "CA2"})])
    assert len(await check_log(journal)) == 2
    (slot,) = await store.get("slots/1")
    assert slot is not None
    assert slot.data == {"by": "CA1"}


async def test_a_call_that_is_not_there(journal: Journal) -> None:
    for nobody in ("CA404", "a/b"):
        with pytest.raises(UnknownCall):
            await journal.append(nobody, [draft("x")])


async def test_a_change_cannot_touch_what_the_journal_keeps(journal: Journal) -> None:
    await journal.open(CALL)
    for name in ("seq", "epoch", "org", "nonsense"):
        with pytest.raises(ValueError, match=name):
            await journal.append("CA1", [draft("x")], change={name: 5})
    assert await check_log(journal) == []


async def test_status_never_goes_back(journal: Journal) -> None:
    await journal.open(CALL, [status(Status.INITIATED)])
    await journal.append("CA1", [status(Status.IN_PROGRESS)])
    late = await journal.append("CA1", [status(Status.RINGING)])
    assert (late.events, late.call.status) == ((), Status.IN_PROGRESS)
    mixed = await journal.append("CA1", [status(Status.RINGING), draft("x")], change={"answered_by": "human"})
    assert [event.type for event in mixed.events] == [EventType.DTMF]
    assert mixed.call.answered_by == "human"
    lone = await journal.append("CA1", [], change={"status": "ringing"})
    assert lone.call.status is Status.IN_PROGRESS
    assert [event.type for event in await check_log(journal)] == ["call_status", "call_status", "dtmf"]


async def test_an_owner_of_the_past_is_fenced(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    first = await journal.own("CA1", "instance-a")
    await journal.append("CA1", [draft("mine")], term=first.owner_term)
    other = another(store)
    second = await other.own("CA1", "instance-b")
    assert second.owner_term == first.owner_term + 1
    with pytest.raises(Fenced):
        await journal.append("CA1", [draft("late")], term=first.owner_term)
    with pytest.raises(Fenced):
        await other.append("CA1", [draft("late")], term=first.owner_term)
    with pytest.raises(Fenced):
        await journal.complete("CA1", Status.COMPLETED, call_data=RECORD, key="end", ts=TS, term=first.owner_term)
    await journal.append("CA1", [draft("supervisor")])
    await another(store).own("CA1", "instance-c")
    await other.append("CA1", [draft("term 3")], term=second.owner_term + 1)
    assert len(await check_log(journal)) == 3


RECORD = {"status": "done", "call_end_time": "2031-05-06T07:09:00.000Z", "transcript": [{"role": "agent", "x": [[1]]}]}


async def test_completion_is_two_messages_in_one_commit(journal: Journal, store: Spy) -> None:
    await journal.open(CALL, [status(Status.INITIATED)])
    commits = store.commits
    done = await journal.complete(
        "CA1", Status.COMPLETED, call_data=RECORD, change={"analysis": {"ok": True}}, key="hook", ts=TS
    )
    assert store.commits == commits + 1
    assert [(event.seq, event.type) for event in done.events] == [(2, "call_status"), (3, "call_completed")]
    assert done.events[0].data == {"status": "completed", "call_end_time": RECORD["call_end_time"], "reason": None}
    assert (done.call.status, done.call.ended_at) == (Status.COMPLETED, RECORD["call_end_time"])
    assert (done.call.analysis, done.call.active) == ({"ok": True}, True)
    assert await journal.call_data((await check_log(journal))[-1]) == RECORD


async def test_a_call_completes_once_whoever_brings_the_news(store: Spy) -> None:
    await Journal(store).open(CALL)
    stati = [Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.BUSY]
    outcomes = await asyncio.gather(
        *(
            another(store).complete("CA1", s, call_data={"by": s.value}, change={"flow": s.value}, key=s.value, ts=TS)
            for s in stati
        )
    )
    assert sorted(len(outcome.events) for outcome in outcomes) == [0, 0, 0, 2]
    events = await check_log(another(store))
    assert [event.type for event in events] == ["call_status", "call_completed"]
    call = outcomes[0].call
    assert events[1].data["call_data"] == {"by": call.status.value}
    assert call.flow == call.status.value


async def test_a_late_completion_changes_nothing_when_the_tail_has_moved_on(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    await journal.complete("CA1", Status.COMPLETED, call_data=RECORD, key="ours", ts=TS)
    await journal.append("CA1", [draft(f"after {n}", EventType.ANALYSIS_READY, analysis=None) for n in range(9)])
    for one in (journal, another(store)):
        late = await one.complete("CA1", Status.FAILED, call_data={}, change={"flow": "no"}, key="late", ts=TS)
        assert late.events == ()
        assert (late.call.status, late.call.flow) == (Status.COMPLETED, None)
    assert len(await check_log(journal)) == 11


async def test_a_call_that_ended_without_its_record_still_gets_it(journal: Journal) -> None:
    await journal.open(CALL)
    await journal.append("CA1", [status(Status.NO_ANSWER)])
    done = await journal.complete("CA1", Status.COMPLETED, call_data=RECORD, key="hook", ts=TS)
    assert [event.type for event in done.events] == [EventType.CALL_COMPLETED]
    assert (done.call.status, done.call.ended_at) == (Status.NO_ANSWER, TS)


async def test_the_owner_of_a_call_that_was_completed_from_outside_is_fenced(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    term = (await journal.own("CA1", "instance-a")).owner_term
    await another(store).complete("CA1", Status.CANCELED, call_data=RECORD, key="hook", ts=TS)
    booking = [Create("slots/1", {"by": "CA1"})]
    for one in (journal, another(store)):
        with pytest.raises(Fenced, match="is over"):
            await one.append("CA1", [draft("late")], writes=booking, term=term)
        with pytest.raises(Fenced, match="is over"):
            await one.append("CA1", [], change={"flow": "x"}, term=term)
        late = await one.complete("CA1", Status.COMPLETED, call_data=RECORD, key="end", ts=TS, term=term)
        assert (late.events, late.call.status) == ((), Status.CANCELED)
    assert await store.get("slots/1") == [None]
    assert [event.type for event in await check_log(journal)] == ["call_status", "call_completed"]


async def test_nothing_but_an_analysis_follows_the_record(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    await journal.complete("CA1", Status.COMPLETED, call_data=RECORD, key="hook", ts=TS)
    late = [draft("late"), draft("said", EventType.FINAL_TRANSCRIPT), status(Status.RINGING)]
    for one in (journal, another(store)):
        outcome = await one.append("CA1", late, change={"flow": "x"}, writes=[Create("slots/1", {})])
        assert (outcome.events, outcome.call.flow) == ((), None)
    assert await store.get("slots/1") == [None]
    found = await journal.append("CA1", [*late, draft("found", EventType.ANALYSIS_READY)], change={"analysis": {}})
    assert [event.type for event in found.events] == [EventType.ANALYSIS_READY]
    assert [event.type for event in await check_log(journal)] == ["call_status", "call_completed", "analysis_ready"]


async def test_a_large_record_is_kept_beside_the_log(journal: Journal, store: Spy) -> None:
    record = {"transcript": [{"text": "汉字 " * 100, "n": n} for n in range(2500)]}
    await journal.open(CALL)
    await journal.complete("CA1", Status.COMPLETED, call_data=record, key="hook", ts=TS)
    event = (await check_log(journal))[-1]
    assert event.data["ref"]["parts"] > 2
    assert await another(store).call_data(event) == record
    await store.commit([Delete(f"{event.data['ref']['path']}-0001")])
    with pytest.raises(LookupError, match="expired"):
        await journal.call_data(event)


async def test_the_tail_is_short_small_and_whole(journal: Journal) -> None:
    await journal.open(CALL)
    await journal.append("CA1", [draft(f"k{n}") for n in range(20)])
    small = await journal.find("CA1")
    assert small is not None
    assert [event["seq"] for event in small.tail] == list(range(13, 21))
    big = await journal.append("CA1", [draft("big", text="x" * 16_100), draft("next")])
    assert [event["seq"] for event in big.call.tail] == [21, 22]
    over = await journal.append("CA1", [draft("over", text="x" * 17_000)])
    assert over.call.tail == ()
    assert len((await journal.append("CA1", [draft("last")])).call.tail) == 1
    await check_log(journal)


async def test_news_waits_for_its_call(journal: Journal) -> None:
    early = BusMessage(
        "n2", "elevenlabs", "post_call", {"conversation_id": "conv_1", "call_sid": "CA1"}, TS, {"a": [[]]}
    )
    first = BusMessage("n1", "twilio", "status", {"call_sid": "CA1"}, iso(NOW - timedelta(seconds=5)))
    foreign = BusMessage("n3", "twilio", "status", {"call_sid": "CA2"}, TS)
    for message in (early, first, foreign, early):
        await journal.park(message)
    call = await journal.open(CALL)
    assert await journal.parked(call) == [first, early]
    await journal.unpark(call, early)
    await journal.unpark(call, early)
    assert await journal.parked(call) == [first]
    with pytest.raises(ValueError, match="names no call"):
        await journal.park(BusMessage("n4", "twilio", "status", {}, TS))


async def test_large_news_waits_too(journal: Journal) -> None:
    keys = {"conversation_id": "conv_1", "call_sid": "CA1"}
    news = BusMessage("n1", "elevenlabs", "post_call", keys, TS, {"transcript": ["汉字" * 50_000] * 20})
    await journal.park(news)
    call = await journal.open(CALL)
    assert await journal.parked(call) == [news]
    await journal.unpark(call, news)
    assert await journal.parked(call) == []


async def test_an_id_that_comes_later_finds_the_call_and_its_news(journal: Journal, store: Spy) -> None:
    await journal.open(Call(call_id="EL_1", hosted=True))
    news = BusMessage("n1", "elevenlabs", "post_call", {"conversation_id": "conv_late"}, TS)
    await journal.park(news)
    appended = await journal.append("EL_1", [draft("x")], change={"conversation_id": "conv_late", "call_sid": "CA7"})
    assert await journal.parked(appended.call) == [news]
    assert await another(store).find("conv_late") == appended.call
    assert await journal.find("CA7") == appended.call
    await journal.append("EL_1", [draft("y")], change={"conversation_id": "conv_late"})
    await journal.open(CALL)
    with pytest.raises(Conflict, match="CA1"):
        await journal.append("EL_1", [draft("z")], change={"conversation_id": "conv_1"})
    assert len(await check_log(journal, call_id="EL_1")) == 2


async def test_an_id_that_was_given_up_can_be_taken_again(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    for conversation_id in ("conv_2", "conv_1"):
        await journal.append("CA1", [draft(conversation_id)], change={"conversation_id": conversation_id})
    for any_id in ("conv_1", "conv_2"):
        found = await another(store).find(any_id)
        assert found is not None
        assert (found.call_id, found.conversation_id) == ("CA1", "conv_1")
    assert len(await check_log(journal)) == 2


async def test_two_who_learn_the_same_id_at_once(journal: Journal, store: Spy) -> None:
    await journal.open(Call(call_id="EL_1", hosted=True))
    journals = [another(store) for _ in range(3)]
    change = {"conversation_id": "conv_5"}
    await asyncio.gather(*(one.append("EL_1", [draft(f"k{n}")], change=change) for n, one in enumerate(journals)))
    found = await journal.find("conv_5")
    assert found is not None
    assert found.call_id == "EL_1"
    assert len(await check_log(journal, call_id="EL_1")) == 3


async def test_a_token_is_claimed_once(journal: Journal, store: Spy) -> None:
    until = NOW + timedelta(minutes=1)
    won = await asyncio.gather(*(another(store).claim("ticket", "a/b", until=until) for _ in range(6)))
    assert won.count(True) == 1
    assert await journal.claim("stream", "a/b", until=until)
    assert not await journal.claim("stream", "a/b", until=until)


@pytest.mark.parametrize("faults", [["before"], ["after"], ["before", "after"], ["after", "before"]])
async def test_an_append_survives_a_lost_answer_exactly_once(journal: Journal, store: Spy, faults: list[str]) -> None:
    await journal.open(CALL)
    store.faults = list(faults)
    appended = await journal.append("CA1", [draft("a"), draft("b")], change={"conversation_id": "c_2"})
    assert [event.data["key"] for event in appended.events] == ["a", "b"]
    assert appended.call.seq == 2
    assert (await journal.append("CA1", [draft("c")])).call.seq == 3
    await check_log(journal, {"a", "b", "c"})


async def test_a_store_that_stays_away_is_reported_and_the_next_append_works(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    store.faults = ["before"] * 9
    with pytest.raises(StoreUnavailable):
        await journal.append("CA1", [draft("a")])
    store.faults = []
    await journal.append("CA1", [draft("a")])
    await check_log(journal, {"a"})


async def test_everything_that_is_kept_expires(journal: Journal, store: Spy) -> None:
    await journal.open(CALL, [status(Status.INITIATED)])
    await journal.append("CA1", [draft("a")], change={"conversation_id": "conv_2"})
    await journal.park(BusMessage("n1", "twilio", "status", {"call_sid": "CA1"}, TS))
    await journal.claim("ticket", "t", until=NOW)
    await journal.complete("CA1", Status.COMPLETED, call_data={"x": "y" * 40_000}, key="k", ts=TS)
    kept = [write for write in store.writes if isinstance(write, Create | Put)]
    assert len(kept) > 14
    assert all(write.data["expire_at"] for write in kept)


async def test_ended_calls_leave_the_active_ones_after_a_while(journal: Journal, store: Spy) -> None:
    await journal.open(CALL)
    await journal.open(Call(call_id="CA2", org="acme"))
    await journal.complete("CA1", Status.COMPLETED, call_data={}, key="k", ts=TS)
    assert await journal.retire() == 0
    later = Journal(store.store, clock=lambda: NOW + timedelta(seconds=61))
    assert await later.retire() == 1
    assert await later.retire() == 0
    active = await store.query(Query("calls", [("active", "==", True)]))
    assert [doc.path for doc in active] == ["calls/CA2"]
