"""What the reminders never do, whatever the clock, the zone and what was tried before; and that they do call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.reminders.machine import decide
from realtime.reminders.model import SETTLED, Attempt, Due, Outcome, Placed, Planned, Rules, Why
from tests.realtime.reminders.worlds import worlds, zones

World = tuple[datetime, Rules, list[Due], list[Placed], int]
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)  # ten in the morning in New York
GRACE = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)


def due(n: int = 1, **more: object) -> Due:
    start: dict[str, object] = {
        "reminder_id": f"R{n}",
        "appointment_id": f"A{n}",
        "starts": NOW + timedelta(days=1),
        "status": "booked",
        "phone_key": f"p{n}",
        "zones": ("America/New_York",),
    }
    return Due(**{**start, **more})  # type: ignore[arg-type]


def attempt(n: int, ago: timedelta, outcome: Outcome = Outcome.UNREACHED) -> Attempt:
    return Attempt(n, NOW - ago, NOW - ago + GRACE, outcome)


# -- what never happens --------------------------------------------------------------------------------------------


@given(worlds())
def test_a_call_starts_in_the_window_on_the_callees_own_clock_and_may_not_be_late_beyond_it(world: World) -> None:
    now, rules, people, placed, busy = world
    zones_of = {one.reminder_id: one.zones for one in people}
    for call in decide(now, rules, people, placed=placed, busy=busy).calls:
        moments = [call.at, call.until]
        moments += [call.at + timedelta(minutes=n) for n in range(20) if call.at + timedelta(minutes=n) < call.until]
        for moment in moments:
            for zone in zones_of[call.reminder_id]:
                assert rules.opens <= moment.astimezone(ZoneInfo(zone)).time() < rules.closes
        assert now <= call.at <= call.until <= call.at + rules.grace


@given(worlds())
def test_nobody_is_called_who_should_not_be(world: World) -> None:
    now, rules, people, placed, busy = world
    by_id = {one.reminder_id: one for one in people}
    decision = decide(now, rules, people, placed=placed, busy=busy)
    assert not (rules.stopped and decision.calls)
    for call in decision.calls:
        one = by_id[call.reminder_id]
        outcomes = {attempt.outcome for attempt in one.attempts}
        assert not one.listed
        assert one.phone_key is not None
        assert one.status == "booked"
        assert not outcomes & SETTLED
        assert Outcome.PENDING not in outcomes
        assert sum(1 for attempt in one.attempts if attempt.counts) < rules.most_attempts
        assert call.n not in {attempt.n for attempt in one.attempts}
        assert call.at <= one.starts - rules.lead
        assert call.at <= now + rules.ahead + timedelta(seconds=1)


@given(worlds())
def test_everyone_is_called_once_or_told_why_not(world: World) -> None:
    now, rules, people, placed, busy = world
    decision = decide(now, rules, people, placed=placed, busy=busy)
    told = [*(call.reminder_id for call in decision.calls), *decision.skipped]
    assert sorted(told) == sorted(one.reminder_id for one in people)


@given(worlds())
def test_a_number_is_never_called_twice_within_the_spacing(world: World) -> None:
    now, rules, people, placed, busy = world
    keys = {one.reminder_id: one.phone_key for one in people}
    calls = decide(now, rules, people, placed=placed, busy=busy).calls
    for call in calls:
        key = keys[call.reminder_id]
        others = [one.at for one in placed if one.phone_key == key]
        others += [a.at for one in people if one.phone_key == key for a in one.attempts if a.counts]
        others += [one.at for one in calls if keys[one.reminder_id] == key and one is not call]
        assert all(abs(call.at - other) >= rules.spacing for other in others)


@given(worlds())
def test_there_are_never_more_calls_than_lines_nor_more_a_minute_than_allowed(world: World) -> None:
    now, rules, people, placed, busy = world
    calls = decide(now, rules, people, placed=placed, busy=busy).calls
    whole = (now + timedelta(microseconds=999_999)).replace(microsecond=0)
    before = set(placed)
    before |= {Placed(one.phone_key, a.at) for one in people if one.phone_key for a in one.attempts if a.counts}
    old, new = [(one.at, False) for one in before], [(call.at, True) for call in calls]
    everyone = [*old, *new, *([(whole, False)] * busy)]
    for starts, limit, width in ((everyone, rules.lines, rules.hold), ([*old, *new], rules.per_minute, MINUTE)):
        row = sorted(starts)
        for n in range(len(row) - limit):
            together = row[n : n + limit + 1]
            if any(ours for _, ours in together):  # what was there before is not ours to mend
                assert together[-1][0] - together[0][0] >= width


@given(worlds(stopped=False))
def test_the_same_world_gives_the_same_plan_and_stopping_only_stops(world: World) -> None:
    now, rules, people, placed, busy = world
    plan = decide(now, rules, people, placed=placed, busy=busy)
    assert decide(now, rules, list(reversed(people)), placed=placed, busy=busy) == plan
    stopped = decide(now, replace(rules, stopped=True), people, placed=placed, busy=busy)
    assert stopped.calls == ()
    assert set(stopped.skipped.values()) <= {Why.STOPPED}


# -- over a whole day, run by run --------------------------------------------------------------------------------------


def simulate(
    rules: Rules, people: list[Due], start: datetime, hours: int, answer: dict[str, list[Outcome]], off: set[int]
) -> dict[str, list[Planned]]:
    """A run every ten minutes; a call's outcome is known five minutes after it began. During `off` (numbers of runs)
    the switch is off. The calls by reminder."""
    made: dict[str, list[Planned]] = {one.reminder_id: [] for one in people}
    for n in range(hours * 6):
        now = start + timedelta(minutes=10 * n)
        known = []
        for one in people:
            answers = answer.get(one.reminder_id, [])
            tried = []
            for index, call in enumerate(made[one.reminder_id]):
                over = call.at + timedelta(minutes=5) <= now
                said = answers[index] if index < len(answers) else Outcome.UNREACHED
                tried.append(Attempt(call.n, call.at, call.until, said if over else Outcome.PENDING))
            known.append(replace(one, attempts=tuple(tried)))
        plan = decide(now, replace(rules, stopped=n in off), known).calls
        assert not (n in off and plan)
        for call in plan:
            made[call.reminder_id].append(call)
    return made


@st.composite
def days(draw: st.DrawFn) -> tuple[Rules, list[Due], datetime, dict[str, list[Outcome]], set[int]]:
    """A day of an ordinary shop: hours enough for everybody, people anywhere, each with a fate."""
    start = draw(st.sampled_from([NOW, datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 10, 31, 12, tzinfo=UTC)]))
    rules = Rules(
        opens=time(draw(st.integers(6, 10))),
        closes=time(draw(st.integers(16, 21))),
        spacing=timedelta(minutes=draw(st.integers(0, 120))),
        most_attempts=draw(st.integers(1, 3)),
        lines=draw(st.integers(1, 3)),
    )
    fates = st.lists(st.sampled_from([Outcome.UNREACHED, Outcome.UNDECIDED, *sorted(SETTLED)]), max_size=3)
    people, answer = [], {}
    for n in range(draw(st.integers(1, 12))):
        people.append(due(n, starts=start + timedelta(hours=30), zones=(draw(zones()),)))
        answer[f"R{n}"] = draw(fates)
    return rules, people, start, answer, draw(st.sets(st.integers(0, 40), max_size=20))


@given(days())
def test_whoever_can_be_called_is_called_until_it_is_settled_and_never_again(
    day: tuple[Rules, list[Due], datetime, dict[str, list[Outcome]], set[int]],
) -> None:
    rules, people, start, answer, off = day
    made = simulate(rules, people, start, 30, answer, off)
    for one in people:
        calls = made[one.reminder_id]
        assert calls, "there was a window and a line"
        assert [call.n for call in calls] == list(range(1, len(calls) + 1))
        assert len(calls) <= rules.most_attempts
        assert all(later.at - sooner.at >= rules.spacing for sooner, later in pairwise(calls))
        said = answer[one.reminder_id][: len(calls)]
        assert not set(said[:-1]) & SETTLED, "called again after it was settled"
        local = [call.at.astimezone(ZoneInfo(one.zones[0])).time() for call in calls]
        assert all(rules.opens <= clock < rules.closes for clock in local)


# -- one by one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "why"),
    [
        pytest.param(due(status="canceled"), Why.NOT_BOOKED, id="canceled"),
        pytest.param(due(status="confirmed"), Why.CONFIRMED, id="confirmed elsewhere"),
        pytest.param(due(attempts=(attempt(1, GRACE, Outcome.CONFIRMED),)), Why.CONFIRMED, id="confirmed by call"),
        pytest.param(due(attempts=(attempt(1, GRACE, Outcome.MOVED),)), Why.SETTLED, id="moved"),
        pytest.param(due(attempts=(attempt(1, GRACE, Outcome.VOICEMAIL),)), Why.SETTLED, id="message left"),
        pytest.param(due(phone_key=None), Why.NO_NUMBER, id="no number"),
        pytest.param(due(listed=True), Why.DO_NOT_CALL, id="on the list"),
        pytest.param(due(attempts=(attempt(1, -GRACE, Outcome.PENDING),)), Why.IN_PROGRESS, id="on its way"),
        pytest.param(
            due(attempts=tuple(attempt(n, timedelta(hours=9 - 2 * n)) for n in (1, 2, 3))),
            Why.TOO_MANY_ATTEMPTS,
            id="three times",
        ),
        pytest.param(due(starts=NOW + timedelta(minutes=59)), Why.TOO_LATE, id="in an hour"),
        pytest.param(due(zones=("Asia/Kolkata",)), Why.LATER, id="night in India"),
        pytest.param(due(attempts=(attempt(1, timedelta(minutes=30)),)), Why.LATER, id="half an hour ago"),
    ],
)
def test_the_reasons(one: Due, why: Why) -> None:
    decision = decide(NOW, Rules(), [one])
    assert (decision.calls, decision.skipped) == ((), {"R1": why})


def test_a_call_taken_back_does_not_count_and_its_number_is_not_used_again() -> None:
    gone = attempt(1, timedelta(minutes=1), Outcome.WITHDRAWN)
    (call,) = decide(NOW, Rules(most_attempts=1), [due(attempts=(gone,))]).calls
    assert (call.n, call.at) == (2, NOW)


def test_lines_that_others_talk_on_are_not_for_reminders() -> None:
    assert decide(NOW, Rules(lines=2), [due()], busy=1).calls[0].at == NOW
    assert decide(NOW, Rules(lines=2), [due()], busy=2).calls[0].at == NOW + Rules().hold
    short = Rules(lines=1, ahead=timedelta(minutes=2))
    assert decide(NOW, short, [due()], busy=1).skipped == {"R1": Why.NO_LINE}


def test_a_call_that_is_planned_already_keeps_its_line() -> None:
    planned = NOW + timedelta(seconds=30)
    (call,) = decide(NOW, Rules(lines=1), [due()], placed=[Placed("x", planned)]).calls
    assert call.at == planned + Rules().hold


def test_calls_begin_two_a_minute_on_four_lines() -> None:
    calls = decide(NOW, Rules(), [due(n) for n in range(1, 8)]).calls
    assert [(call.at - NOW).total_seconds() for call in calls] == [0, 0, 60, 60, 180, 180, 240]


def test_two_appointments_of_one_number_are_spaced_too() -> None:
    pair = [due(1, phone_key="same"), due(2, phone_key="same")]
    decision = decide(NOW, Rules(), pair)
    assert [call.reminder_id for call in decision.calls] == ["R1"]
    assert decision.skipped == {"R2": Why.LATER}


def test_a_call_at_the_end_of_the_window_may_not_be_late() -> None:
    late = NOW.replace(hour=0) + timedelta(days=1, minutes=56)  # 19:56 in New York
    (call,) = decide(late, Rules(), [due(starts=late + timedelta(days=1))]).calls
    assert (call.at, call.until) == (late, late + timedelta(minutes=3))


def test_in_the_last_minute_of_the_window_nobody_is_called_any_more() -> None:
    late = NOW.replace(hour=0) + timedelta(days=1, minutes=59, seconds=30)  # 19:59:30 in New York
    assert decide(late, Rules(), [due(starts=late + timedelta(days=1))]).skipped == {"R1": Why.LATER}


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({"grace": 0}, "grace"),
        ({"ahead": 0.5}, "ahead"),
        ({"opens": "20:00", "closes": "09:00"}, "opens"),
        ({"opens": "nine"}, "opens"),
        ({"stopped": "yes"}, "stopped"),
        ({"lines": 0}, "lines"),
        ({"lines": 1.5}, "lines"),
        ({"spacing": -1}, "spacing"),
        ({"spacing": "2h"}, "spacing"),
    ],
)
def test_rules_that_cannot_be_read_are_named(data: dict[str, object], wrong: str) -> None:
    with pytest.raises(ValueError, match=f"`{wrong}`"):
        Rules.from_dict(data)


def test_rules_are_kept_and_read_again() -> None:
    rules = Rules(stopped=True, opens=time(8, 30), spacing=timedelta(minutes=90), lines=7)
    assert Rules.from_dict(rules.to_dict()) == rules
    assert Rules.from_dict({}) == Rules()
