"""When somebody may be called, on the clock of the place they live in."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.reminders.windows import is_open, known_zone, last_open, next_open, zones_of
from tests.realtime.reminders.worlds import clocks, moments, zones

NINE, EIGHT = time(9), time(20)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        pytest.param("+14155550123", {"America/Los_Angeles"}, id="an area code"),
        pytest.param("+919876543210", {"Asia/Calcutta"}, id="half an hour off"),
        pytest.param("+12125550123", {"America/New_York"}, id="another coast"),
        pytest.param("+18005550123", {"America/Chicago"}, id="toll-free: nowhere, so the shop's"),
        pytest.param("+15555550123", {"America/Chicago"}, id="unknown: the shop's"),
        pytest.param("+881612345678", {"America/Chicago"}, id="a satellite: the shop's"),
        pytest.param("nonsense", {"America/Chicago"}, id="no number: the shop's"),
    ],
)
def test_the_zone_of_a_number(phone: str, expected: set[str]) -> None:
    assert set(zones_of(phone, "America/Chicago")) == expected


def test_a_number_of_several_zones_has_them_all() -> None:
    assert {"Europe/Moscow", "Asia/Vladivostok"} <= set(zones_of("+79161234567", "America/Chicago"))


def test_every_zone_that_a_number_can_have_is_one_this_machine_knows() -> None:
    for phone in ("+79161234567", "+447911123456", "+61412345678", "+919876543210", "+17015550100"):
        assert all(known_zone(name) for name in zones_of(phone, "UTC"))
    assert not known_zone("Mars/Olympus")


# (zone, moment, opens, closes, expected)
@pytest.mark.parametrize(
    ("zone", "moment", "opens", "closes", "expected"),
    [
        # New York goes forward on 8 March 2026: 9:00 is 14:00Z the day before and 13:00Z that day.
        pytest.param("America/New_York", "2026-03-07T01:00", NINE, EIGHT, "2026-03-07T14:00", id="before spring"),
        pytest.param("America/New_York", "2026-03-08T05:00", NINE, EIGHT, "2026-03-08T13:00", id="that morning"),
        # ... and back on 1 November 2026.
        pytest.param("America/New_York", "2026-10-31T05:00", NINE, EIGHT, "2026-10-31T13:00", id="before autumn"),
        pytest.param("America/New_York", "2026-11-01T05:00", NINE, EIGHT, "2026-11-01T14:00", id="that one, too"),
        # In the hour that comes twice the window is open twice.
        pytest.param("America/New_York", "2026-11-01T05:45", time(1), time(1, 30), "2026-11-01T06:00", id="twice"),
        # An opening that the clock jumps over: 2:30 shows as 3:30.
        pytest.param("America/New_York", "2026-03-08T06:00", time(2, 30), NINE, "2026-03-08T07:30", id="jumped over"),
        # A window that the clock jumps over whole does not open that day.
        pytest.param("America/New_York", "2026-03-08T06:00", time(2, 10), time(2, 50), "2026-03-09T06:10", id="lost"),
        pytest.param("Asia/Kolkata", "2026-06-01T00:00", NINE, EIGHT, "2026-06-01T03:30", id="half an hour"),
        pytest.param("Asia/Kathmandu", "2026-06-01T00:00", NINE, EIGHT, "2026-06-01T03:15", id="a quarter"),
        # Lord Howe goes forward by half an hour, on 4 October 2026, from +10:30 to +11.
        pytest.param("Australia/Lord_Howe", "2026-10-03T10:00", NINE, EIGHT, "2026-10-03T22:00", id="half an hour on"),
        pytest.param("Pacific/Kiritimati", "2026-06-01T09:00", NINE, EIGHT, "2026-06-01T19:00", id="a day ahead"),
        pytest.param("Pacific/Apia", "2011-12-30T06:00", NINE, EIGHT, "2011-12-30T19:00", id="a day that never was"),
    ],
)
def test_the_next_opening(zone: str, moment: str, opens: time, closes: time, expected: str) -> None:
    start = utc(moment)
    assert next_open(start, (zone,), opens, closes, start + timedelta(days=3)) == utc(expected)


def test_several_zones_are_open_together_or_not_at_all() -> None:
    start = utc("2026-06-01T00:00")
    coasts = ("America/New_York", "America/Los_Angeles")
    assert next_open(start + timedelta(hours=6), coasts, NINE, EIGHT, start + timedelta(days=2)) == utc(
        "2026-06-01T16:00"
    )
    apart = ("Pacific/Auckland", "Europe/London")
    assert next_open(start, apart, NINE, time(17), start + timedelta(days=5)) is None


@given(moments(), st.lists(zones(), min_size=1, max_size=3), clocks())
def test_what_is_found_is_open_and_nothing_before_it_was(
    moment: datetime, names: list[str], window: tuple[time, time]
) -> None:
    until = moment + timedelta(hours=30)
    found = next_open(moment, names, *window, until)
    end = found or until
    if found:
        assert moment <= found <= until
        assert is_open(found, names, *window)
    # Looked at every few minutes. In a night when a clock changes the opening may be found up to an hour late.
    changes = any(
        (moment + timedelta(hours=h)).astimezone(ZoneInfo(name)).utcoffset()
        != (moment + timedelta(hours=h + 1)).astimezone(ZoneInfo(name)).utcoffset()
        for name in names
        for h in range(-1, 30)
    )
    at = moment
    while at < end - (timedelta(minutes=61) if changes else timedelta()):
        if not changes:
            assert not is_open(at, names, *window)
        at += timedelta(minutes=7)


@given(moments(), zones(), clocks(), st.integers(0, 40))
def test_the_grace_ends_with_the_window(moment: datetime, zone: str, window: tuple[time, time], minutes: int) -> None:
    start = next_open(moment, (zone,), *window, moment + timedelta(days=3))
    if start is None:
        return
    end = last_open(start, (zone,), *window, timedelta(minutes=minutes))
    assert start <= end <= start + timedelta(minutes=minutes)
    for minute in range(int((end - start).total_seconds()) // 60 + 1):
        assert is_open(start + timedelta(minutes=minute), (zone,), *window)
    assert is_open(end, (zone,), *window)
