"""How dates, times, prices and lists are said aloud."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_gateway.conversation import speech
from media_gateway.conversation.dates import Hours, understand
from tests.media_gateway.conversation.calls import NOW, ZONE

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(2026, 11, 20), "today, Friday the twentieth"),
        (date(2026, 11, 21), "tomorrow, Saturday the twenty-first"),
        (date(2026, 11, 23), "on Monday the twenty-third"),
        (date(2026, 12, 3), "on Thursday, December third"),
        (date(2027, 1, 5), "on Tuesday, January fifth"),
        (date(2027, 11, 5), "on Friday, November fifth, twenty twenty-seven"),
    ],
)
def test_a_day(day: date, said: str) -> None:
    assert speech.say_date(day, TODAY) == said


@pytest.mark.parametrize(
    ("clock", "said"),
    [
        ("09:00", "nine in the morning"),
        ("12:00", "noon"),
        ("12:30", "twelve thirty in the afternoon"),
        ("14:05", "two oh five in the afternoon"),
        ("18:45", "six forty five in the evening"),
        ("00:00", "midnight"),
    ],
)
def test_a_time(clock: str, said: str) -> None:
    assert speech.say_time(time.fromisoformat(clock)) == said


def test_times_share_the_part_of_the_day() -> None:
    assert speech.say_times([time(13), time(14), time(15)]) == "one, two, or three in the afternoon"
    assert speech.say_times([time(9), time(14)]) == "nine in the morning or two in the afternoon"
    assert speech.say_times([time(9)]) == "nine in the morning"


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("49.95", "forty-nine dollars and ninety-five cents"),
        ("1", "one dollar"),
        ("0.01", "zero dollars and one cent"),
        ("189.00", "one hundred and eighty-nine dollars"),
    ],
)
def test_a_price(amount: str, said: str) -> None:
    assert speech.say_price(Decimal(amount)) == said


def test_a_value_is_text_and_never_a_template() -> None:
    assert speech.fill("hi {first_name}, {missing} bye.", {"first_name": "{shop}"}) == "Hi {shop}, bye."


@settings(deadline=None)
@given(
    st.datetimes(datetime(2026, 11, 20), datetime(2030, 1, 1)), st.integers(0, 300), st.sampled_from([0, 5, 15, 30, 45])
)
def test_what_is_said_is_understood_again(base: datetime, ahead: int, minute: int) -> None:
    """A caller may repeat the assistant's own words."""
    now = base.replace(tzinfo=ZONE)
    day = date.fromordinal(now.date().toordinal() + ahead)
    moment = time(8 + ahead % 10, minute)
    said = speech.say_when(day, moment, now.date())
    found = understand(said, now, Hours())
    assert (found.date, found.time) == (day, moment), said
    assert NOW.tzinfo == ZONE
