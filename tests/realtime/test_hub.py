"""The hub: everyone who may see a call sees each event once, in order, and nobody is in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from realtime import hub as hubs
from realtime.call import Call, Status
from realtime.events import Event, EventType, LiveEvent, LiveType
from realtime.hub import Cursor, Ended, Hub, Subscription
from realtime.stores.port import FeedState
from tests.realtime.hub_parts import TS, Feed, Memory, running, settle

pytestmark = pytest.mark.anyio
CALL = Call(call_id="CA1", call_sid="CA1")
IDLE = EventType.IDLE


def hub_of(journal: Memory, feed: Feed | None = None, **options: Any) -> Hub:
    return Hub(journal, feed or Feed(), **{"linger": 0.0, "grace": 0.0, "backoff": (0.001, 0.002), **options})


@pytest.fixture
def journal() -> Memory:
    return Memory()


@pytest.fixture
async def hub(journal: Memory) -> AsyncIterator[Hub]:
    async with running(hub_of(journal)) as hub:
        yield hub


async def drain(subscription: Subscription) -> list[Event | LiveEvent]:
    """What can be read now."""
    await settle()
    items: list[Event | LiveEvent] = []
    while True:
        try:
            async with asyncio.timeout(0.01):
                items.append(await anext(subscription))
        except (TimeoutError, StopAsyncIteration):
            return items


async def seqs(subscription: Subscription) -> list[int]:
    return [item.seq for item in await drain(subscription) if isinstance(item, Event)]


async def test_all_ids_lead_to_the_same_call_and_its_end_ends_them(journal: Memory, hub: Hub) -> None:
    journal.open(Call(call_id="EL_1", call_sid="CA1", conversation_id="conv_1", hosted=True))
    watching = {key: hub.subscribe(key, org="default") for key in ("EL_1", "CA1", "conv_1")}
    await settle()
    assert hub.subscriptions == {"EL_1": 1, "CA1": 1, "conv_1": 1}
    record = {"call_id": "EL_1", "transcript": [{"role": "user", "message": "hello"}]}
    hub.notice(journal.complete("EL_1", record).to_dict())
    for subscription in watching.values():
        status, completed = [item async for item in subscription]
        assert isinstance(status, Event)
        assert isinstance(completed, Event)
        assert (status.type, completed.type) == (EventType.CALL_STATUS, EventType.CALL_COMPLETED)
        assert completed.data == {"call_data": record}
        assert subscription.reason is Ended.COMPLETED
    assert hub.subscriptions == {}


async def test_a_completion_that_is_a_pointer_is_delivered_whole(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    subscription = hub.subscribe("CA1", org="default")
    hub.notice(journal.complete("CA1", {"call_id": "CA1"}, pointer=True).to_dict())
    items = [item async for item in subscription]
    assert items[-1].data == {"call_data": {"call_id": "CA1"}}


async def test_a_key_may_come_before_its_call_and_before_its_alias(journal: Memory, hub: Hub) -> None:
    by_call, by_conversation = hub.subscribe("CA1", org="default"), hub.subscribe("conv_1", org="default")
    assert await by_call.heads() == []
    journal.open(CALL)
    hub.notice(journal.add("CA1", IDLE).to_dict())
    assert await seqs(by_call) == [1]
    assert await seqs(by_conversation) == []
    hub.notice(journal.add("CA1", IDLE, conversation_id="conv_1").to_dict())
    assert await seqs(by_conversation) == [1, 2]
    assert await seqs(by_call) == [2]


async def test_news_between_the_look_and_the_registration_is_not_lost(journal: Memory, hub: Hub) -> None:
    """The store says "no such call"; the call appears before that answer is dealt with."""

    def appear(_key: str) -> None:
        if "CA1" not in journal.heads:
            journal.open(CALL)
            hub.notice(journal.add("CA1", IDLE).to_dict())

    journal.before_find = appear
    for replay in (True, False):
        journal.heads.clear()
        subscription = hub.subscribe("CA1", org="default", replay=replay)
        assert await seqs(subscription) == [1], replay
        await subscription.aclose()


async def test_a_call_that_opens_while_the_active_ones_are_looked_up_is_not_lost(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    journal.add("CA1", IDLE)

    def appear() -> None:
        journal.before_active = lambda: None
        hub.notice(journal.add("CA1", IDLE).to_dict())
        journal.open(Call(call_id="CA2"))
        hub.notice(journal.add("CA2", IDLE, IDLE).to_dict())

    journal.before_active = appear
    everything = hub.subscribe("*", org="default", replay=False)
    items = [(item.call_id, item.seq) for item in await drain(everything) if isinstance(item, Event)]
    assert sorted(items) == [("CA1", 2), ("CA2", 1), ("CA2", 2)]
    starts = {head["call_id"]: head["seq"] for head in await everything.heads()}
    assert starts == {"CA1": 1, "CA2": 0}, "what it has been told is behind where it starts, not in it"


async def test_what_happens_here_is_shown_while_the_store_is_away(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    head = journal.add("CA1", IDLE, IDLE)
    journal.outage = 1_000_000
    subscription = hub.subscribe("CA1", org="default")
    await settle()
    hub.notice(head.to_dict())
    assert await seqs(subscription) == [1, 2]


async def test_since_replays_what_is_missing_and_no_replay_starts_now(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    journal.add("CA1", *[IDLE] * 20)
    after, at_epoch, now = (
        hub.subscribe("CA1", org="default", since=5),
        hub.subscribe("CA1", org="default", since=Cursor(18, "e1")),
        hub.subscribe("CA1", org="default", replay=False),
    )
    wrong = hub.subscribe("CA1", org="default", since=Cursor(18, "e0"))
    assert await seqs(after) == list(range(6, 21))
    assert await seqs(at_epoch) == [19, 20]
    assert await seqs(now) == []
    assert (await seqs(wrong), wrong.reason) == ([], Ended.EPOCH_CHANGED)
    hub.notice(journal.add("CA1", IDLE).to_dict())
    assert [await seqs(each) for each in (after, at_epoch, now)] == [[21], [21], [21]]


async def test_a_gap_is_read_once_for_a_crowd(journal: Memory, hub: Hub) -> None:
    journal.tail = 0
    journal.open(CALL)
    crowd = [hub.subscribe("CA1", org="default") for _ in range(50)]
    await settle()
    hub.notice(journal.add("CA1", *[IDLE] * 30).to_dict())
    for each in crowd:
        assert await seqs(each) == list(range(1, 31))
    assert journal.reads == [("CA1", 0)]


async def test_repeated_stale_and_poisoned_heads_change_nothing(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    subscription = hub.subscribe("CA1", org="default")
    await settle()
    heads = [journal.add("CA1", IDLE).to_dict() for _ in range(5)]
    for head in [heads[3], heads[1], {"call_id": "CA1"}, {"tail": 7, **heads[0]}, heads[4], heads[4], heads[0]]:
        hub.notice(head)
    hub.notice({**heads[4], "seq": None})
    assert await seqs(subscription) == [1, 2, 3, 4, 5]
    assert hub.poisoned == 2


async def test_another_organisation_sees_nothing(journal: Memory, hub: Hub) -> None:
    known = journal.open(CALL)
    journal.add("CA1", IDLE)
    spies = [hub.subscribe(key, org="other", replay=replay) for key in ("CA1", "*") for replay in (True, False)]
    allowed = hub.subscribe("*", org="default")
    await settle()
    hub.notice(journal.add("CA1", IDLE).to_dict())
    hub.live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "secret"}, TS)
    for spy in spies:
        assert await spy.heads() == []
        assert await drain(spy) == []
    assert len(await drain(allowed)) == 3
    assert known.org == "default"


async def test_all_calls_old_and_new_once_each_and_it_does_not_end(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    journal.add("CA1", IDLE, IDLE)
    replayed, from_now = hub.subscribe("*", org="default"), hub.subscribe("*", org="default", replay=False)
    assert [head["call_id"] for head in await from_now.heads()] == ["CA1"]
    assert await seqs(replayed) == [1, 2]
    assert await seqs(from_now) == []
    journal.open(Call(call_id="CA2"))
    hub.notice(journal.add("CA2", IDLE).to_dict())
    hub.notice(journal.complete("CA1", {}).to_dict())
    hub.notice(journal.add("CA1", EventType.ANALYSIS_READY).to_dict())
    for subscription in (replayed, from_now):
        items = [(item.call_id, item.seq) for item in await drain(subscription) if isinstance(item, Event)]
        assert items == [("CA2", 1), ("CA1", 3), ("CA1", 4), ("CA1", 5)]
        assert subscription.reason is None


async def test_a_call_that_was_forgotten_is_not_told_again(journal: Memory) -> None:
    async with running(hub_of(journal, sweep=0.002, forget=0.0)) as hub:
        everything = hub.subscribe("*", org="default")
        await settle()
        journal.open(CALL)
        hub.notice(journal.complete("CA1", {}).to_dict())
        assert await seqs(everything) == [1, 2]
        await asyncio.sleep(0.02)  # several sweeps: forgotten, seen again, forgotten
        assert await seqs(everything) == []
        hub.notice(journal.add("CA1", EventType.ANALYSIS_READY).to_dict())
        assert await seqs(everything) == [3]


async def test_what_a_watcher_of_all_remembers_is_bounded(journal: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "REMEMBERED", 3)
    async with running(hub_of(journal, sweep=0.002, forget=0.0)) as hub:
        everything = hub.subscribe("*", org="default")
        await settle()
        for n in range(8):
            journal.open(Call(call_id=f"CA{n}"))
            hub.notice(journal.complete(f"CA{n}", {}).to_dict())
            assert await seqs(everything) == [1, 2]
            journal.heads[f"CA{n}"] = replace(journal.heads[f"CA{n}"], active=False)
            await asyncio.sleep(0.01)  # a sweep or more
        (watcher,) = hub._watchers.values()
        assert list(watcher.cursors) == ["CA5", "CA6", "CA7"]
        hub.notice(journal.add("CA7", EventType.ANALYSIS_READY).to_dict())
        assert await seqs(everything) == [3]


async def test_a_sweep_finds_what_the_feed_has_lost(journal: Memory) -> None:
    async with running(hub_of(journal, sweep=0.002)) as hub:
        journal.open(CALL)
        known, unknown, everything = (
            hub.subscribe("CA1", org="default"),
            hub.subscribe("CA2", org="default"),
            hub.subscribe("*", org="default"),
        )
        await settle()
        journal.add("CA1", IDLE)  # and nobody says so
        journal.open(Call(call_id="CA2"))
        journal.add("CA2", IDLE)
        await asyncio.sleep(0.02)
        assert [await seqs(each) for each in (known, unknown, everything)] == [[1], [1], [1, 1]]


async def test_a_slow_reader_is_closed_with_a_reason_and_the_others_go_on(journal: Memory) -> None:
    async with running(hub_of(journal, max_queue=10)) as hub:
        journal.open(CALL)
        journal.add("CA1", *[IDLE] * 50)
        slow, quick = hub.subscribe("CA1", org="default"), hub.subscribe("CA1", org="default")
        await settle()
        assert hub.subscriptions == {"CA1": 2}  # a replay is shared and does not count
        for n in range(51, 71):
            hub.notice(journal.add("CA1", IDLE).to_dict())
            got = await seqs(quick)
            assert got[-1] == n
        assert slow.reason is Ended.SLOW
        assert await seqs(slow) == []
        assert hub.subscriptions == {"CA1": 1}


async def test_live_moments_are_latest_wins_and_never_before_a_durable_event(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    subscription = hub.subscribe("CA1", org="default")
    await settle()
    for n in range(1000):
        hub.live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "x" * (n % 7)}, TS)
    for offset, text in ((0, "Hello"), (5, ", "), (7, "you")):
        hub.live("CA1", LiveType.AI_RESPONSE_CHUNK, {"turn": 1, "offset": offset, "text": text}, TS)
    hub.notice(journal.add("CA1", IDLE).to_dict())
    durable, partial, chunk = await drain(subscription)
    assert isinstance(durable, Event)
    assert isinstance(partial, LiveEvent)
    assert (partial.n, partial.data) == (1000, {"turn": 1, "text": "x" * (999 % 7)})
    assert isinstance(chunk, LiveEvent)
    assert (chunk.n, chunk.data) == (1003, {"turn": 1, "offset": 0, "text": "Hello, you"})


async def test_a_moment_never_comes_after_the_event_that_carries_its_whole_text(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    subscription = hub.subscribe("CA1", org="default")
    await settle()
    hub.live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "an oil"}, TS)
    hub.live("CA1", LiveType.AI_RESPONSE_CHUNK, {"turn": 2, "offset": 0, "text": "Sure"}, TS)
    hub.notice(journal.add("CA1", EventType.FINAL_TRANSCRIPT, data={"turn": 1}).to_dict())
    hub.notice(journal.add("CA1", EventType.AI_RESPONSE_COMPLETE, data={"turn": 1}).to_dict())
    assert [type(item) for item in await drain(subscription)] == [Event, Event, LiveEvent]


async def test_the_feed_runs_only_while_somebody_watches(journal: Memory) -> None:
    feed = Feed()
    async with running(hub_of(journal, feed)) as hub:
        await settle()
        assert feed.starts == 0
        first, second = hub.subscribe("CA1", org="default"), hub.subscribe("*", org="default")
        await settle()
        assert (feed.starts, feed.running, hub.state) == (1, 1, FeedState.LIVE)
        await first.aclose()
        await settle()
        assert feed.running == 1
        await second.aclose()
        await asyncio.sleep(0.005)
        assert (feed.running, hub.state) == (0, FeedState.CONNECTING)
        hub.subscribe("CA1", org="default")
        await settle()
        assert (feed.starts, feed.running) == (2, 1)
    assert feed.running == 0


async def test_an_outage_of_the_store_delays_and_loses_nothing(journal: Memory, hub: Hub) -> None:
    journal.tail = 0
    journal.open(CALL)
    journal.add("CA1", *[IDLE] * 3)
    journal.outage = 4
    one, everything = hub.subscribe("CA1", org="default"), hub.subscribe("*", org="default")
    await asyncio.sleep(0.02)
    journal.outage = 3
    hub.notice(journal.add("CA1", IDLE).to_dict())
    await asyncio.sleep(0.02)
    assert await seqs(one) == [1, 2, 3, 4]
    assert await seqs(everything) == [1, 2, 3, 4]


async def test_the_end_of_the_hub_is_the_end_of_every_subscription(journal: Memory) -> None:
    async with running(hub_of(journal)) as hub:
        subscription = hub.subscribe("CA1", org="default")
        reading = asyncio.create_task(anext(subscription, None))
        await settle()
    assert await reading is None
    assert subscription.reason is Ended.CLOSED
    assert hub.subscriptions == {}


async def test_closing_twice_and_from_inside_is_harmless(journal: Memory, hub: Hub) -> None:
    journal.open(replace(CALL, status=Status.IN_PROGRESS))
    subscription = hub.subscribe("CA1", org="default")
    hub.notice(journal.add("CA1", IDLE, IDLE).to_dict())
    async for _ in subscription:
        await subscription.aclose()
    await subscription.aclose()
    assert hub.subscriptions == {}


async def test_five_hundred_calls_leave_nothing_behind(journal: Memory) -> None:
    async with running(hub_of(journal)) as hub:
        before = len(asyncio.all_tasks())
        for n in range(500):
            call = journal.open(Call(call_id=f"CA{n}"))
            subscription = hub.subscribe(call.call_id, org="default")
            hub.notice(journal.add(call.call_id, *[IDLE] * 12).to_dict())
            hub.notice(journal.complete(call.call_id, {}).to_dict())
            assert len([item async for item in subscription]) == 14
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.001)
        assert not hub.subscriptions
        assert not hub._rooms
        assert not hub._calls
        assert not hub._aliases


async def test_who_watches_all_from_now_on_starts_where_the_others_stand(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    journal.add("CA1", IDLE)
    first = hub.subscribe("*", org="default", replay=False)
    assert [head["seq"] for head in await first.heads()] == [1]
    asked: list[None] = []
    journal.before_active = lambda: asked.append(None)
    hub.notice(journal.add("CA1", IDLE).to_dict())
    crowd = [hub.subscribe("*", org="default", replay=False) for _ in range(600)]
    assert [[head["seq"] for head in await one.heads()] for one in crowd] == [[2]] * 600
    hub.notice(journal.add("CA1", IDLE).to_dict())
    journal.open(Call(call_id="CA2"))
    hub.notice(journal.add("CA2", IDLE).to_dict())
    assert [await seqs(one) for one in (first, crowd[0], crowd[-1])] == [[2, 3, 1], [3, 1], [3, 1]]
    assert asked == []
    assert hub.subscriptions == {"*": 601}
    for one in (first, *crowd):
        await one.aclose()
    assert hub.subscriptions == {}


async def test_one_broken_watcher_of_all_is_not_the_others_trouble(journal: Memory, hub: Hub) -> None:
    class Broken(Subscription):
        def put(self, events: Any, *, replayed_to: int) -> bool:
            raise RuntimeError("a bug")

    journal.open(CALL)
    broken = Broken("*", "default", limit=10, on_close=hub.leave)
    hub.attach(broken)
    sound = hub.subscribe("*", org="default", replay=False)
    await settle()
    hub.notice(journal.add("CA1", IDLE).to_dict())
    assert await seqs(sound) == [1]
    assert broken.reason is Ended.FAILED
    assert hub.subscriptions == {"*": 1}


async def test_another_log_ends_a_subscription_and_makes_watchers_of_all_jump(journal: Memory, hub: Hub) -> None:
    class Jumper(Subscription):
        jumps: tuple[int, ...] = ()

        def jumped(self, head: Any) -> None:
            self.jumps += (head["seq"],)

    journal.open(CALL)
    everything = Jumper("*", "default", limit=10, on_close=hub.leave)
    hub.attach(everything)
    one = hub.subscribe("CA1", org="default")
    await settle()
    hub.notice(journal.add("CA1", IDLE, IDLE).to_dict())
    assert await seqs(everything) == [1, 2]
    journal.logs["CA1"] = [msgspec.structs.replace(line, epoch="e2") for line in journal.logs["CA1"]]
    journal.heads["CA1"] = replace(journal.heads["CA1"], epoch="e2")
    hub.notice(journal.add("CA1", IDLE).to_dict())
    await settle()
    assert (one.reason, everything.reason, everything.jumps) == (Ended.EPOCH_CHANGED, None, (3,))
    journal.logs["CA1"].append(Event("CA1", "e2", 4, IDLE, TS, {}))
    hub.notice(journal.add("CA1").to_dict())
    assert await seqs(everything) == [4]


async def test_a_record_that_has_expired_leaves_no_hole(journal: Memory, hub: Hub) -> None:
    journal.tail = 0
    journal.open(CALL)
    journal.complete("CA1", {}, pointer=True)
    journal.records.clear()
    _, completed = await drain(hub.subscribe("CA1", org="default"))
    assert completed.data == {"call_data": None}


async def test_a_line_that_cannot_be_read_keeps_its_place(journal: Memory, hub: Hub) -> None:
    journal.tail = 0
    journal.open(CALL)
    journal.add("CA1", IDLE, IDLE, IDLE)
    journal.logs["CA1"][1] = Event("CA1", "", 2, EventType.INVALID, "")  # as the journal gives it
    items = await drain(hub.subscribe("CA1", org="default"))
    assert [(item.epoch, item.seq, item.type.value) for item in items if isinstance(item, Event)] == [
        ("e1", 1, "idle"),
        ("e1", 2, "invalid"),
        ("e1", 3, "idle"),
    ]
    assert hub.poisoned == 1


async def test_a_feed_that_does_not_tell_what_the_store_has_is_started_afresh(journal: Memory) -> None:
    feed = Feed()
    async with running(hub_of(journal, feed, sweep=0.002)) as hub:
        journal.open(CALL)
        everything = hub.subscribe("*", org="default", replay=False)
        await everything.heads()
        await asyncio.sleep(0.01)
        assert (feed.starts, hub.feeding.lost) == (1, 0)
        journal.add("CA1", IDLE)  # and the feed is silent
        async with asyncio.timeout(5):
            while feed.starts < 2:
                await asyncio.sleep(0.001)
        assert await seqs(everything) == [1]
        assert (hub.feeding.lost, feed.running) == (1, 1)


async def test_a_store_that_does_not_answer_is_away_whatever_the_feed_says(journal: Memory) -> None:
    states: list[FeedState] = []
    async with running(hub_of(journal, sweep=0.002)) as hub:
        hub.on_state.append(states.append)
        hub.subscribe("*", org="default", replay=False)
        await settle()
        journal.outage = 3
        async with asyncio.timeout(5):
            while states[-1:] != [FeedState.LIVE] or len(states) < 3:
                await asyncio.sleep(0.001)
        assert states[:3] == [FeedState.LIVE, FeedState.DEGRADED, FeedState.LIVE]


async def test_who_comes_in_the_middle_of_a_sentence_sees_it_so_far(journal: Memory, hub: Hub) -> None:
    journal.open(CALL)
    hub.subscribe("*", org="default", replay=False)
    await settle()
    for text in ("I", "I want"):
        hub.live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": text}, TS)
    for offset, text in ((0, "Sure"), (4, ", ")):
        hub.live("CA1", LiveType.AI_RESPONSE_CHUNK, {"turn": 1, "offset": offset, "text": text}, TS)
    for key in ("*", "CA1"):
        late = await drain(hub.subscribe(key, org="default", replay=False))
        assert [(item.n, item.data) for item in late if isinstance(item, LiveEvent)] == [
            (4, {"turn": 1, "text": "I want"}),
            (4, {"turn": 1, "offset": 0, "text": "Sure, "}),
        ]
    hub.notice(journal.add("CA1", EventType.FINAL_TRANSCRIPT, data={"turn": 1}).to_dict())
    late = await drain(hub.subscribe("CA1", org="default", replay=False))
    assert [item.data["text"] for item in late] == ["Sure, "]
