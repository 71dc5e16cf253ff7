"""What people say when they are asked for a day or a time, and what must be understood, without a language model.

The phrases are as recognisers write them: mostly lower case, number words. `python -m pytest -s` prints the score.
"""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_gateway.conversation.dates import Hours, When, understand
from media_gateway.conversation.day_words import Expect

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 18, 10, 20, tzinfo=ZONE)  # a Wednesday
SHOP = Hours(time(8), time(18))

# phrase -> (day of month in November, or month-day, or None), time, part of the day
TABLE: dict[str, tuple[str | None, str | None, str | None]] = {
    # days
    "tomorrow": ("11-19", None, None),
    "today": ("11-18", None, None),
    "the day after tomorrow": ("11-20", None, None),
    "friday": ("11-20", None, None),
    "this friday": ("11-20", None, None),
    "next friday": ("11-27", None, None),
    "wednesday": ("11-25", None, None),
    "on monday please": ("11-23", None, None),
    "next monday": ("11-23", None, None),
    "monday next week": ("11-23", None, None),
    "next week on thursday": ("11-26", None, None),
    "a week from friday": ("11-27", None, None),
    "two weeks from today": ("12-02", None, None),
    "in two weeks": ("12-02", None, None),
    "in three days": ("11-21", None, None),
    "three days from now": ("11-21", None, None),
    "a week from tomorrow": ("11-26", None, None),
    "the third": ("12-03", None, None),
    "the twentieth": ("11-20", None, None),
    "the twenty first": ("11-21", None, None),
    "on the twenty third": ("11-23", None, None),
    "the thirty first": ("12-31", None, None),
    "saturday the twenty first": ("11-21", None, None),
    "the twelfth of this month": ("11-12", None, None),
    "the third of december": ("12-03", None, None),
    "december third": ("12-03", None, None),
    "december the third": ("12-03", None, None),
    "december fifteenth": ("12-15", None, None),
    "november thirtieth": ("11-30", None, None),
    "the fifth of next month": ("12-05", None, None),
    "the 3rd": ("12-03", None, None),
    "Dec 3": ("12-03", None, None),
    "12/3": ("12-03", None, None),
    "2026-12-03": ("12-03", None, None),
    "how about tuesday": ("11-24", None, None),
    "would thursday be ok": ("11-19", None, None),
    "can i come in on saturday": ("11-21", None, None),
    "the week after next on monday": ("11-30", None, None),
    "thanksgiving": ("11-26", None, None),
    # times
    "at two": (None, "14:00", None),
    "two": (None, "14:00", None),
    "two pm": (None, "14:00", None),
    "two p m": (None, "14:00", None),
    "2 p.m.": (None, "14:00", None),
    "two in the afternoon": (None, "14:00", None),
    "two o'clock": (None, "14:00", None),
    "nine": (None, "09:00", None),
    "nine thirty": (None, "09:30", None),
    "nine thirty a m": (None, "09:30", None),
    "at nine fifteen": (None, "09:15", None),
    "ten in the morning": (None, "10:00", None),
    "half past twelve": (None, "12:30", None),
    "half past 12": (None, "12:30", None),
    "half past nine": (None, "09:30", None),
    "quarter to two in the afternoon": (None, "13:45", None),
    "quarter to 2": (None, "13:45", None),
    "a quarter past eleven": (None, "11:15", None),
    "ten to three": (None, "14:50", None),
    "twenty past four": (None, "16:20", None),
    "eleven forty five": (None, "11:45", None),
    "noon": (None, "12:00", None),
    "twelve": (None, "12:00", None),
    "around three": (None, "15:00", None),
    "let's say four thirty": (None, "16:30", None),
    "sorry make that 11:30": (None, "11:30", None),
    "nine oh five": (None, "09:05", None),
    "14:30": (None, "14:30", None),
    "fourteen thirty": (None, "14:30", None),
    "three would be great": (None, "15:00", None),
    "make it five": (None, "17:00", None),
    "one thirty works for me": (None, "13:30", None),
    # both
    "tomorrow at two": ("11-19", "14:00", None),
    "tomorrow at 2": ("11-19", "14:00", None),
    "monday at nine thirty": ("11-23", "09:30", None),
    "nine thirty on monday": ("11-23", "09:30", None),
    "at nine on monday": ("11-23", "09:00", None),
    "friday at noon": ("11-20", "12:00", None),
    "friday ten thirty": ("11-20", "10:30", None),
    "tomorrow morning at ten": ("11-19", "10:00", None),
    "two o'clock tomorrow": ("11-19", "14:00", None),
    "tomorrow afternoon at three": ("11-19", "15:00", None),
    "the third at half past ten": ("12-03", "10:30", None),
    "saturday the twenty first at nine": ("11-21", "09:00", None),
    "december third at quarter past two": ("12-03", "14:15", None),
    "morning ten and on the twelfth of this month": ("11-12", "10:00", None),
    "next thursday at four in the afternoon": ("11-26", "16:00", None),
    "i need an oil change tomorrow at two": ("11-19", "14:00", None),
    "could i bring it in thursday around eleven": ("11-19", "11:00", None),
    "no thursday": ("11-19", None, None),
    "actually make that three": (None, "15:00", None),
    "today at four": ("11-18", "16:00", None),
    "in two hours": ("11-18", "12:30", None),
    # parts of the day
    "next friday afternoon": ("11-27", None, "afternoon"),
    "tomorrow morning": ("11-19", None, "morning"),
    "in the morning": (None, None, "morning"),
    "monday evening": ("11-23", None, "evening"),
    "this afternoon": ("11-18", None, "afternoon"),
    "as soon as possible": (None, None, "earliest"),
    "the earliest you have tomorrow": ("11-19", None, "earliest"),
    "any time on friday": ("11-20", None, "earliest"),
    "first thing monday": ("11-23", None, "earliest"),
    "first thing in the morning": (None, None, "morning"),
    "tomorrow after lunch": ("11-19", None, "afternoon"),
    "before noon on friday": ("11-20", None, "morning"),
    "late afternoon on tuesday": ("11-24", None, "afternoon"),
}

# Written after the code, by the same hand, to see how it does on what it was not made for: 48 of these 56 came out as
# expected at first sight. The rules were then mended for six of the eight; for the other two the expectation changed
# ("around lunchtime" is noon, "the seventh at seven" has a time), and one mended rule changed a third ("the day after",
# first expected to mean nothing). So today's score is no measure of phrases that nobody has tried: that first one is.
LATER: dict[str, tuple[str | None, str | None, str | None]] = {
    "tomorrow around lunchtime": ("11-19", "12:00", None),
    "could we do friday instead": ("11-20", None, None),
    "let's do the twenty fourth at eleven": ("11-24", "11:00", None),
    "next tuesday in the morning": ("11-24", None, "morning"),
    "friday no wait saturday": ("11-21", None, None),
    "tomorrow sorry i mean thursday next week": ("11-26", None, None),
    "is monday at eight ok": ("11-23", "08:00", None),
    "eight am sharp": (None, "08:00", None),
    "i can be there at quarter past three tomorrow": ("11-19", "15:15", None),
    "um tuesday maybe": ("11-24", None, None),
    "any day next week after four": ("11-23", "16:00", None),
    "four fifteen pm on the twenty seventh": ("11-27", "16:15", None),
    "half eleven": (None, "11:30", None),
    "five to ten": (None, "09:55", None),
    "the first of december": ("12-01", None, None),
    "december first at nine a m": ("12-01", "09:00", None),
    "i'm free wednesday next week": ("11-25", None, None),
    "later today": ("11-18", None, None),
    "this coming saturday": ("11-21", None, None),
    "the last friday of the month": ("11-27", None, None),
    "end of next week": ("11-27", None, None),
    "on the weekend": (None, None, None),
    "a fortnight from today": ("12-02", None, None),
    "the day after": ("11-20", None, None),
    "ten thirty would work": (None, "10:30", None),
    "let's go with eleven o'clock then": (None, "11:00", None),
    "how about three fifteen": (None, "15:15", None),
    "can you do four": (None, "16:00", None),
    "three or so": (None, "15:00", None),
    "half past two in the afternoon on monday": ("11-23", "14:30", None),
    "friday doesn't work what about monday": ("11-23", None, None),
    "not tomorrow the day after": ("11-20", None, None),
    "thursday morning nine thirty": ("11-19", "09:30", None),
    "early tomorrow": ("11-19", None, "morning"),
    "twelve thirty on december the second": ("12-02", "12:30", None),
    "the second of december": ("12-02", None, None),
    "november twenty fifth": ("11-25", None, None),
    "eleven a.m. next Wednesday": ("11-25", "11:00", None),
    "Tuesday, Nov. 24th at 2:30pm": ("11-24", "14:30", None),
    "5pm": (None, "17:00", None),
    "9am tomorrow": ("11-19", "09:00", None),
    "thursday the nineteenth at ten a m": ("11-19", "10:00", None),
    "one in the afternoon": (None, "13:00", None),
    "one": (None, "13:00", None),
    "at one tomorrow": ("11-19", "13:00", None),
    "when you open on friday": ("11-20", None, None),
    "sometime next week": ("11-23", None, None),
    "twenty minutes to three": (None, "14:40", None),
    "ten minutes past nine": (None, "09:10", None),
    "monday or tuesday": ("11-23", None, None),
    "the seventh at seven": ("12-07", "07:00", None),
    "half nine tomorrow": ("11-19", "09:30", None),
    "thursday two thirty p m please": ("11-19", "14:30", None),
    "november nineteenth two o'clock": ("11-19", "14:00", None),
    "i would like to come in on the thirtieth in the morning": ("11-30", None, "morning"),
    "at the beginning of december": (None, None, None),
}

# Not understood yet; no other phrase may join them.
NOT_YET = {"thanksgiving"}

# What sounds like a date or a time and is none.
NOTHING = (
    "may i ask you something", "one second please", "i have two cars", "it has sixty thousand miles on it",
    "good morning", "march on", "i need new tires", "yes", "no", "it is a two door car", "the first one",
    "it is a nineteen ninety nine model", "i need four new tires", "sun roof", "my second car",
)  # fmt: skip


def expected(row: tuple[str | None, str | None, str | None]) -> When:
    day, clock, part = row
    return When(
        date=date.fromisoformat(f"2026-{day}") if day else None,
        time=time.fromisoformat(clock) if clock else None,
        part_of_day=part,  # type: ignore[arg-type]
    )


def asked(row: tuple[str | None, str | None, str | None]) -> Expect:
    """A lone time answers the question for the time; everything else is said freely."""
    return "time" if row[0] is None and row[1] is not None else None


def test_nine_of_ten_phrases_and_more_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    table = {**TABLE, **LATER}
    wrong = {phrase for phrase, row in table.items() if understand(phrase, NOW, SHOP, asked(row)) != expected(row)}
    with capsys.disabled():
        print(f" dates and times from words: {len(table) - len(wrong)} of {len(table)} phrases understood", end=" ")
    assert wrong == NOT_YET
    assert len(table) >= 150


@pytest.mark.parametrize("phrase", NOTHING)
def test_what_only_sounds_like_a_date_is_none(phrase: str) -> None:
    assert not understand(phrase, NOW, SHOP)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("yes but tomorrow", "2026-11-19"),
        ("anything but thursday", None),
        ("i can't come on friday", None),
        ("friday doesn't work", None),
        ("not friday monday", "2026-11-23"),
    ],
)
def test_a_day_that_is_refused_is_not_the_day(said: str, day: str | None) -> None:
    assert understand(said, NOW, SHOP).date == (date.fromisoformat(day) if day else None)


def test_a_bare_number_answers_what_was_asked() -> None:
    assert understand("twenty one", NOW, SHOP, "date") == When(date=date(2026, 11, 21))
    assert understand("ten", NOW, SHOP, "time") == When(time=time(10))
    assert understand("ten", NOW, SHOP) == When()


def test_a_day_that_has_passed_this_year_is_next_year_and_a_day_that_is_not_is_nothing() -> None:
    assert understand("march third", NOW, SHOP).date == date(2027, 3, 3)
    assert understand("february thirtieth", NOW, SHOP).date is None


def test_hours_from_now_are_real_hours_when_the_clocks_change() -> None:
    before = datetime(2026, 11, 1, 0, 30, tzinfo=ZONE)  # at two the clocks go back to one
    assert understand("in three hours", before, SHOP) == When(date=date(2026, 11, 1), time=time(2, 30))


@settings(deadline=None)
@given(st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1)), st.sampled_from(sorted(TABLE | LATER)))
def test_a_day_is_never_in_the_past(moment: datetime, phrase: str) -> None:
    now = moment.replace(tzinfo=ZONE)
    found = understand(phrase, now, SHOP).date
    fixed = any(words in phrase for words in ("2026", "this month", "of the month"))
    assert found is None or fixed or found >= now.date()


@settings(deadline=None)
@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    understand(text, NOW, SHOP, "time")
    understand(text, NOW, SHOP, "date")
