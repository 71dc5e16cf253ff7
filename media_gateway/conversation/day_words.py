"""The day in a phrase: "the third", "next friday", "december third", "a week from monday".

parsedatetime does the calendar; each idiom says which phrase is given to it, so that only what clearly is a date is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from typing import Literal

import parsedatetime

Expect = Literal["date", "time"] | None

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
          "november", "december")  # fmt: skip
DAY = "(?:" + "|".join(WEEKDAYS) + ")"
_MONTH = "(?:" + "|".join(MONTHS) + ")"
_ORDINAL = r"(\d{1,2})(?:st|nd|rd|th)"


def find_date(said: str, today: datetime, expect: Expect) -> tuple[date | None, str]:
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
        (rf"\b(?:{DAY})(?: on)?(?: the)? {_ORDINAL}\b", lambda m, t: _day_of_month(int(m[1]), t)),
        (r"\b(?:the )?day after tomorrow\b", lambda _, t: _parsed("in 2 days", t)),
        (rf"\b(a|1|2|3|4) weeks? (?:from|after) ({DAY}|today|tomorrow|now)\b", _weeks_from),
        (rf"\blast ({DAY}) (?:of|in) (this|next|the) month\b", _last_of_month),
        (r"\bend of next week\b", lambda _, t: _weekday_of_week("friday", t, 1)),
        (r"\b(?:in )?a fortnight(?: (?:from|after) (?:now|today))?\b", lambda _, t: _parsed("in 2 weeks", t)),
        (rf"\b(?:the )?week after next(?: on)? ({DAY})\b", lambda m, t: _weekday_of_week(m[1], t, 2)),
        (rf"\b({DAY}) (?:after next|week)\b", lambda m, t: _weekday_of_week(m[1], t, 2 if "next" in m[0] else 1)),
        (rf"\b({DAY})(?: of)? next week\b", lambda m, t: _weekday_of_week(m[1], t, 1)),
        (rf"\bnext week(?: on)? ({DAY})\b", lambda m, t: _weekday_of_week(m[1], t, 1)),
        (rf"\bnext ({DAY})\b", lambda m, t: _parsed(f"next {m[1]}", t)),
        (rf"\bthis (?:coming )?({DAY})\b", _this_weekday),
        (rf"\b({DAY})s?\b(?:'s)?", lambda m, t: _parsed(m[1], t)),
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
    years = range(today.year, today.year + 9)  # a leap day may be that far away
    days = (_real_day(year, month, day) for year in years)
    return next((wanted for wanted in days if wanted is not None and wanted >= today.date()), None)


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
