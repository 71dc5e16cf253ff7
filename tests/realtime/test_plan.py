"""The status machine and the pure part of an append, in whatever order news comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.call import Call, Status, advance
from realtime.events import Draft, EventType
from realtime.plan import AFTER_THE_END, TAIL_BYTES, TAIL_EVENTS, Plan, settle

TS = "2031-01-01T00:00:00.000Z"
RANK = {"initiated": 0, "ringing": 1, "in_progress": 2, "processing": 3}

stati = st.sampled_from(list(Status))
keys = st.sampled_from("abcdefgh")


def rank(status: Status) -> int:
    return RANK.get(status.value, 4)


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    key = draw(keys)
    if draw(st.booleans()):
        return Draft(EventType.CALL_STATUS, {"status": draw(stati).value}, key, TS)
    kind = draw(st.sampled_from([EventType.DTMF, EventType.ANALYSIS_READY, EventType.COMMAND]))
    return Draft(kind, {"digit": "x" * draw(st.integers(0, 9_000))}, key, TS)


COMPLETION = [
    Draft(EventType.CALL_STATUS, {"status": "failed"}, "end", TS),
    Draft(EventType.CALL_COMPLETED, {"call_data": {}}, "call_completed", TS),
]
plans = st.one_of(st.lists(drafts(), max_size=6), st.just(COMPLETION)).map(Plan)


def run(batches: list[Plan]) -> tuple[Call, list[dict[str, Any]], list[str]]:
    """Settle plan after plan, as one journal would: the head, the log and the keys that were spent."""
    call, log, spent = Call(call_id="CA1", epoch="e"), list[dict[str, Any]](), list[str]()
    for plan in batches:
        settled = settle(call, plan, spent=spent, now=TS)
        if settled:
            call = settled.call
            log += [event.to_dict() for event in settled.events]
            spent += settled.keys
    return call, log, spent


@given(st.lists(stati))
def test_status_only_goes_forward_and_ends_once(news: list[Status]) -> None:
    now = Status.INITIATED
    for status in news:
        after = advance(now, status)
        assert after in (now, status)
        assert after is now if now.terminal else rank(after) == max(rank(now), rank(status))
        now = after
    ended = [status for status in news if status.terminal]
    assert now is (ended[0] if ended else now)


@given(st.lists(plans, max_size=8))
def test_any_plans_make_a_whole_log_with_each_key_once(batches: list[Plan]) -> None:
    call, log, spent = run(batches)
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1)) == list(range(1, call.seq + 1))
    assert len(spent) == len(set(spent)) == len(log)


@given(st.lists(plans, max_size=8))
def test_nothing_but_what_was_found_out_later_follows_the_end(batches: list[Plan]) -> None:
    call, log, _ = run(batches)
    types = [EventType(event["type"]) for event in log]
    ends = [n for n, event in enumerate(log) if Status(event["data"].get("status", "initiated")).terminal]
    assert len(ends) == call.status.terminal
    assert set(types[ends[0] + 1 :] if ends else ()) <= AFTER_THE_END
    assert types.count(EventType.CALL_COMPLETED) <= 1


@given(st.lists(plans, max_size=8))
def test_the_log_tells_the_status_of_the_head(batches: list[Plan]) -> None:
    call, log, _ = run(batches)
    said = [Status(event["data"]["status"]) for event in log if event["type"] == "call_status"]
    assert [rank(status) for status in said] == sorted({rank(status) for status in said})
    assert call.status is (said[-1] if said else Status.INITIATED)
    assert (call.ended_at is not None) == call.status.terminal


@given(st.lists(plans, max_size=8))
def test_the_tail_is_the_end_of_the_log_within_its_bounds(batches: list[Plan]) -> None:
    call, log, _ = run(batches)
    assert len(call.tail) <= TAIL_EVENTS
    assert sum(len(json.dumps(event, ensure_ascii=False).encode()) for event in call.tail) <= TAIL_BYTES
    assert list(call.tail) == log[len(log) - len(call.tail) :]
    if len(call.tail) < min(TAIL_EVENTS, len(log)):
        longer = log[len(log) - len(call.tail) - 1 :]
        assert sum(len(json.dumps(event).encode()) for event in longer) > TAIL_BYTES


@given(st.lists(plans, max_size=6))
def test_the_same_plans_again_add_nothing(batches: list[Plan]) -> None:
    call, _, spent = run(batches)
    for plan in batches:
        unsaid = [draft for draft in plan.drafts if draft.idem not in spent]
        settled = settle(call, plan, spent=spent, now=TS)
        # What was dropped as stale or late has no key to be known by, and is dropped as such again.
        assert settled is None or all(draft.type is EventType.CALL_STATUS for draft in unsaid)
        assert settled is None or settled.events == ()


def test_a_plan_that_changes_nothing_needs_no_commit() -> None:
    call = Call(call_id="CA1", status=Status.IN_PROGRESS, flow="x", seq=1)
    stale = Draft(EventType.CALL_STATUS, {"status": "ringing"}, "k", TS)
    for plan in (Plan(), Plan([stale]), Plan(change={"flow": "x"}), Plan([stale], {"status": "ringing"})):
        assert settle(call, plan, spent=(), now=TS) is None


def test_a_status_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="dancing"):
        settle(Call(call_id="CA1"), Plan(change={"status": "dancing"}), spent=(), now=TS)
