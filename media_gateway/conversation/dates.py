"""Dates and times of day from what people say, in the shop's own calendar.

parsedatetime does the calendar ("next friday", "in 2 weeks", "december 3rd"). It does not know how people speak of a
clock ("half past twelve", "at two") nor of days of a month ("the third"), so those idioms are brought into its shape
first, and only a phrase that clearly is a date is given to it ("may I" and "one second" are not dates).

All arithmetic is on the local calendar (naive), so daylight saving cannot move a day or an hour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal

import msgspec

from media_gateway.conversation.clock_words import find_time
from media_gateway.conversation.day_words import DAY, Expect, find_date
from media_gateway.conversation.words import with_digits

PartOfDay = Literal["morning", "afternoon", "evening", "earliest"]

_SHORT = {"mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "weds": "wednesday",
          "thu": "thursday", "thur": "thursday", "thurs": "thursday", "fri": "friday",
          "jan": "january", "feb": "february", "apr": "april", "jun": "june", "jul": "july", "aug": "august",
          "sept": "september", "sep": "september", "oct": "october", "nov": "november", "dec": "december",
          "tmrw": "tomorrow", "tomorow": "tomorrow"}  # fmt: skip
_PARTS: Mapping[str, PartOfDay] = {"morning": "morning", "afternoon": "afternoon", "evening": "evening",
                                   "tonight": "evening", "lunchtime": "afternoon"}  # fmt: skip
_EARLIEST = re.compile(
    r"\b(?:earliest|soonest|asap|as soon as (?:possible|you can)|first (?:available|opening|thing|slot)|"
    r"1st (?:available|opening|thing|slot)|any ?time|whenever|next (?:available|opening))\b"
)
_CORRECTED = re.compile(r"\b(?:no|sorry|actually|wait|rather|i mean|make (?:it|that)|instead|scratch that)\b")
_REFUSED = re.compile(
    r"\b(?:not|can't|cannot|except|anything but|don't want|won't)"
    r"(?: (?:do|make|come|be|on|there|it|in|this|the|next)){0,4} "
    rf"(?:{DAY}|tomorrow|today)s?\b|\b(?:this |next |on )?(?:{DAY}|tomorrow|today|that day|that time)s?(?: at \d+)? "
    r"(?:does not|doesn't|won't|will not|is not|isn't|is no|is bad|is impossible)(?: work| good)?\b"
)


@dataclass(frozen=True, slots=True)
class Hours:
    """The earliest opening and the latest closing of a week: what decides that "at two" is 14:00."""

    opens: time = time(8)
    closes: time = time(18)


class When(msgspec.Struct, frozen=True):
    """What was understood. `time` is on the half of the day that the shop is open when the caller did not say which."""

    date: date | None = None
    time: time | None = None
    part_of_day: PartOfDay | None = None

    def __bool__(self) -> bool:
        return self.date is not None or self.time is not None or self.part_of_day is not None


def understand(text: str, now: datetime, hours: Hours, expect: Expect = None) -> When:
    """The date and the time in `text`. `now` is the shop's local time; a bare day ("friday", "the third") is the next
    one to come. `expect` says what was asked: then a bare number is an answer to it ("two" is a time, "twenty one" a
    day of the month)."""
    said = _REFUSED.sub(" , ", _spelled_out(with_digits(text)))
    meant = _CORRECTED.split(said)
    if expect is None and re.search(r"\bmake (?:it|that) \d", said):
        expect = "time"
    found = _understood(meant[-1], now, hours, expect)
    if len(meant) > 1 and not (found.date and found.time):
        before = _understood(" , ".join(meant[:-1]), now, hours, expect)
        clock = found.time or (None if found.part_of_day else before.time)
        part = found.part_of_day if clock is None else None
        found = When(found.date or before.date, clock, part or (before.part_of_day if clock is None else None))
    return found


def _understood(said: str, now: datetime, hours: Hours, expect: Expect) -> When:
    today = now.replace(tzinfo=None)
    earliest = _EARLIEST.search(said)
    if earliest:
        said = f"{said[: earliest.start()]} {said[earliest.end() :]}"
    day, rest = find_date(said, today, expect)
    part = _part_of_day(said)
    rest = re.sub(r"\b(?:before|after) (?:noon|12)\b", " ", rest)
    moment = find_time(rest, now, hours.opens, hours.closes, part, bare=expect == "time")
    if moment is not None and moment.date is not None and day is None:
        day = moment.date
    clock = moment.time if moment is not None else None
    if earliest and clock is None and part is None:
        part = "earliest"
    return When(date=day, time=clock, part_of_day=part if clock is None else None)


def _spelled_out(said: str) -> str:
    return " ".join(_SHORT.get(word, word) for word in said.split())


def _part_of_day(said: str) -> PartOfDay | None:
    if re.search(r"\b(?:before (?:noon|lunch|12)|am)\b", said):
        return "morning"
    if re.search(r"\b(?:after (?:noon|lunch|work|12)|pm)\b", said):
        return "evening" if "after work" in said else "afternoon"
    if re.search(r"\bearly\b", said):
        return "morning"
    found = re.search(r"(?<!good )\b(morning|afternoon|evening|tonight|lunchtime)s?\b", said)
    return _PARTS[found.group(1)] if found else None
