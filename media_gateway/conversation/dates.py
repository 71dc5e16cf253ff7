"""Dates and times of day from what people say, in the shop's own calendar.

parsedatetime does the calendar ("next friday", "in 2 weeks", "december 3rd"). It does not know how people speak of a
clock ("half past twelve", "at two") nor of days of a month ("the third"), so those idioms are brought into its shape
first, and only a phrase that clearly is a date is given to it ("may I" and "one second" are not dates).

All arithmetic is on the local calendar (naive), so daylight saving cannot move a day or an hour.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Literal

import parsedatetime

from media_gateway.conversation.clock_words import find_time
from media_gateway.conversation.words import with_digits

PartOfDay = Literal["morning", "afternoon", "evening", "earliest"]
Expect = Literal["date", "time"] | None

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
          "november", "december")  # fmt: skip
_SHORT = {"mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "weds": "wednesday",
          "thu": "thursday", "thur": "thursday", "thurs": "thursday", "fri": "friday",
          "jan": "january", "feb": "february", "apr": "april", "jun": "june", "jul": "july", "aug": "august",
          "sept": "september", "sep": "september", "oct": "october", "nov": "november", "dec": "december",
          "tmrw": "tomorrow", "tomorow": "tomorrow"}  # fmt: skip
_DAY = "(?:" + "|".join(WEEKDAYS) + ")"
_MONTH = "(?:" + "|".join(MONTHS) + ")"
_ORDINAL = r"(\d{1,2})(?:st|nd|rd|th)"
_PARTS: Mapping[str, PartOfDay] = {"morning": "morning", "afternoon": "afternoon", "evening": "evening",
                                   "tonight": "evening", "lunchtime": "afternoon"}  # fmt: skip
_EARLIEST = re.compile(
    r"\b(?:earliest|soonest|asap|as soon as (?:possible|you can)|first (?:available|opening|thing|slot)|"
    r"1st (?:available|opening|thing|slot)|any ?time|whenever|next (?:available|opening))\b"
)
_CORRECTED = re.compile(r"\b(?:no|sorry|actually|wait|rather|i mean|make (?:it|that)|instead|scratch that)\b")
_REFUSED = re.compile(
    rf"\b(?:not|can't|cannot|except|but|don't want|won't)(?: (?:do|make|come|be|on|there|it|in|this|the|next)){{0,4}} "
    rf"(?:{_DAY}|tomorrow|today)s?\b|\b(?:this |next |on )?(?:{_DAY}|tomorrow|today|that day|that time)s?(?: at \d+)? "
    r"(?:does not|doesn't|won't|will not|is not|isn't|is no|is bad|is impossible)(?: work| good)?\b"
)


@dataclass(frozen=True, slots=True)
class Hours:
    """The earliest opening and the latest closing of a week: what decides that "at two" is 14:00."""

    opens: time = time(8)
    closes: time = time(18)


@dataclass(frozen=True, slots=True)
class When:
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
    day, rest = _find_date(said, today, expect)
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


# --- days ------------------------------------------------------------------------------------------------------------


def _find_date(said: str, today: datetime, expect: Expect) -> tuple[date | None, str]:
    """The day, and what is left of `said` without it (so that "the 3rd" is not heard as three o'clock)."""
    for pattern, resolve in _day_rules():
        if found := pattern.search(said):  # a day that is not ("february thirtieth") is not looked for elsewhere
            return resolve(found, today), f"{said[: found.start()]} , {said[found.end() :]}"
    bare = re.fullmatch(r"(?:on |the |how about |maybe |say )*(\d{1,2})(?: please)?", said)
    if expect == "date" and bare:
        return _day_of_month(int(bare.group(1)), today), ""
    return None, said


@cache
def _calendar() -> parsedatetime.Calendar:
    constants = parsedatetime.Constants(usePyICU=False)
    constants.DOWParseStyle = 1  # a bare weekday is the next one to come
    constants.CurrentDOWParseStyle = False  # and never today
    return parsedatetime.Calendar(constants, version=parsedatetime.VERSION_CONTEXT_STYLE)


def _parsed(phrase: str, today: datetime) -> date | None:
    moment, context = _calendar().parseDT(phrase, sourceTime=today)
    return moment.date() if context.hasDate else None


Resolve = Callable[[re.Match[str], datetime], date | None]


@cache
def _day_rules() -> tuple[tuple[re.Pattern[str], Resolve], ...]:
    """Each idiom with how it becomes a day; the most specific first."""
    rules: list[tuple[str, Resolve]] = [
        (r"\b(\d{4})-(\d{2})-(\d{2})\b", lambda m, _: _real_day(int(m[1]), int(m[2]), int(m[3]))),
        (rf"\b(?:the )?{_ORDINAL}(?: day)? of (this|next|the) month\b", _of_relative_month),
        (rf"\b(this|next) month on (?:the )?{_ORDINAL}\b", lambda m, t: _month_day(t, int(m[2]), m[1])),
        (rf"\b(?:the )?{_ORDINAL}(?: of)? ({_MONTH})\b", lambda m, t: _in_month(m[2], int(m[1]), t)),
        (rf"\b({_MONTH})(?: the)? (\d{{1,2}})(?:st|nd|rd|th)? 20 ?(2[5-9]|3\d)\b",
         lambda m, _: _real_day(2000 + int(m[3]), MONTHS.index(m[1]) + 1, int(m[2]))),
        (rf"\b({_MONTH})(?: the)? (\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)", lambda m, t: _in_month(m[1], int(m[2]), t)),
        (rf"\b(?:{_DAY})(?: on)?(?: the)? {_ORDINAL}\b", lambda m, t: _day_of_month(int(m[1]), t)),
        (r"\b(?:the )?day after tomorrow\b", lambda _, t: _parsed("in 2 days", t)),
        (rf"\b(a|1|2|3|4) weeks? (?:from|after) ({_DAY}|today|tomorrow|now)\b", _weeks_from),
        (rf"\blast ({_DAY}) (?:of|in) (this|next|the) month\b", _last_of_month),
        (r"\bend of next week\b", lambda _, t: _weekday_of_week("friday", t, 1)),
        (r"\b(?:in )?a fortnight(?: (?:from|after) (?:now|today))?\b", lambda _, t: _parsed("in 2 weeks", t)),
        (rf"\b(?:the )?week after next(?: on)? ({_DAY})\b", lambda m, t: _weekday_of_week(m[1], t, 2)),
        (rf"\b({_DAY}) (?:after next|week)\b", lambda m, t: _weekday_of_week(m[1], t, 2 if "next" in m[0] else 1)),
        (rf"\b({_DAY})(?: of)? next week\b", lambda m, t: _weekday_of_week(m[1], t, 1)),
        (rf"\bnext week(?: on)? ({_DAY})\b", lambda m, t: _weekday_of_week(m[1], t, 1)),
        (rf"\bnext ({_DAY})\b", lambda m, t: _parsed(f"next {m[1]}", t)),
        (rf"\bthis (?:coming )?({_DAY})\b", _this_weekday),
        (rf"\b({_DAY})s?\b(?:'s)?", lambda m, t: _parsed(m[1], t)),
        (r"\bin (a|an|\d{1,2}) (days?|weeks?|months?)\b", _in_some),
        (r"\b(\d{1,2}|a) (days?|weeks?|months?) from (?:now|today)\b", _in_some),
        (r"\b(today|tonight|this (?:morning|afternoon|evening))\b", lambda _, t: t.date()),
        (r"\b(tomorrow)\b", lambda _, t: _parsed("tomorrow", t)),
        (r"\b(\d{1,2})/(\d{1,2})\b", lambda m, t: _in_month(MONTHS[int(m[1]) - 1], int(m[2]), t)
         if 1 <= int(m[1]) <= 12 else None),
        (rf"\b(?:on )?(?:the )?{_ORDINAL}\b(?! (?:one|1|option|time|slot|second|car|truck|van|vehicle|visit|thing)\b)"
         r"(?<!\b1 2nd)(?<!\bmy \dnd)(?<!\bmy \dst)", lambda m, t: _day_of_month(int(m[1]), t)),
        (r"\bon the (\d{1,2})\b", lambda m, t: _day_of_month(int(m[1]), t)),
        (r"\b(?:the )?end of (?:the |this )(week)\b", lambda _, t: _weekday_of_week("friday", t, 0)),
        (r"\bday after\b(?! tomorrow)", lambda _, t: _parsed("in 2 days", t)),
        (r"\bnext week\b", lambda _, t: _weekday_of_week("monday", t, 1)),
    ]  # fmt: skip
    return tuple((re.compile(pattern), resolve) for pattern, resolve in rules)


def _weeks_from(found: re.Match[str], today: datetime) -> date | None:
    start = today.date() if found[2] in {"now", "today"} else _parsed(found[2], today)
    return start + timedelta(weeks=1 if found[1] == "a" else int(found[1])) if start else None


def _in_some(found: re.Match[str], today: datetime) -> date | None:
    count = "1" if found[1] in {"a", "an"} else found[1]
    return _parsed(f"in {count} {found[2]}", today)


def _this_weekday(found: re.Match[str], today: datetime) -> date | None:
    """ "This friday" said on a friday is today."""
    if WEEKDAYS[today.weekday()] == found[1]:
        return today.date()
    return _parsed(found[1], today)


def _weekday_of_week(name: str, today: datetime, weeks: int) -> date:
    """That weekday in the calendar week (from monday) `weeks` ahead; "monday week" counts from the coming monday."""
    monday = today.date() - timedelta(days=today.weekday())
    return monday + timedelta(weeks=weeks, days=WEEKDAYS.index(name))


def _of_relative_month(found: re.Match[str], today: datetime) -> date | None:
    return _month_day(today, int(found[1]), "next" if found[2] == "next" else "this")


def _month_day(today: datetime, day: int, which: str) -> date | None:
    index = today.month - 1 + (1 if which == "next" else 0)
    return _real_day(today.year + index // 12, index % 12 + 1, day)


def _last_of_month(found: re.Match[str], today: datetime) -> date | None:
    month = today.month - 1 + (2 if found[2] == "next" else 1)
    end = date(today.year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return end - timedelta(days=(end.weekday() - WEEKDAYS.index(found[1])) % 7)


def _in_month(name: str, day: int, today: datetime) -> date | None:
    month = MONTHS.index(name) + 1
    wanted = _real_day(today.year, month, day)
    if wanted is not None and wanted < today.date():
        wanted = _real_day(today.year + 1, month, day)
    return wanted


def _day_of_month(day: int, today: datetime) -> date | None:
    """The next such day to come, today included: "the 31st" said in November is in December."""
    for ahead in range(4):
        index = today.month - 1 + ahead
        wanted = _real_day(today.year + index // 12, index % 12 + 1, day)
        if wanted is not None and wanted >= today.date():
            return wanted
    return None


def _real_day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None  # "february thirtieth": no such day, so nothing was understood
