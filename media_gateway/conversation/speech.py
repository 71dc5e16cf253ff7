"""How dates, times, prices and lists are said aloud: words only, no digits, so that every voice says them alike."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from functools import lru_cache

from num2words import num2words

from media_gateway.conversation.day_words import WEEKDAYS

_kept = lru_cache(maxsize=1024)
"""Every step of every call fills in the same prices, hours and dates."""


@_kept
def say_date(day: date, today: date) -> str:
    """ "tomorrow, Saturday the twenty-first"; "on Monday the twenty-third"; in another month with its name."""
    weekday = WEEKDAYS[day.weekday()].capitalize()
    number = num2words(day.day, to="ordinal")
    away = (day - today).days
    if away in {0, 1}:
        return f"{'today' if away == 0 else 'tomorrow'}, {weekday} the {number}"
    if away > 0 and (day.year, day.month) == (today.year, today.month):
        return f"on {weekday} the {number}"
    month = day.strftime("%B")
    year = "" if day.year == today.year or 0 < away < 300 else f", {num2words(day.year, to='year')}"
    return f"on {weekday}, {month} {number}{year}"


@_kept
def say_year(day: date) -> str:
    """ "twenty nineteen"."""
    return str(num2words(day.year, to="year"))


@_kept
def say_time(moment: time, *, half: bool = True) -> str:
    """ "two in the afternoon", "nine thirty in the morning", "noon"; `half` False leaves the part of the day out."""
    if moment == time(12):
        return "noon"
    if moment == time(0):
        return "midnight"
    hour = num2words(moment.hour % 12 or 12)
    minute = "" if moment.minute == 0 else f" oh {num2words(moment.minute)}" if moment.minute < 10 else (
        " " + num2words(moment.minute).replace("-", " ")
    )  # fmt: skip
    return f"{hour}{minute}" + (f" {_part(moment)}" if half else "")


def _part(moment: time) -> str:
    if moment.hour < 12:
        return "in the morning"
    return "in the afternoon" if moment.hour < 18 else "in the evening"


def say_when(day: date, moment: time, today: date) -> str:
    """ "tomorrow, Saturday the twenty-first, at two in the afternoon"."""
    return f"{say_date(day, today)}, at {say_time(moment)}"


def say_times(moments: Sequence[time]) -> str:
    """ "nine in the morning, noon, or two in the afternoon"; the part of the day once where all share it."""
    halves = {_part(moment) for moment in moments}
    if len(halves) == 1 and len(moments) > 1 and time(12) not in moments:
        return f"{listed([say_time(moment, half=False) for moment in moments], 'or')} {_part(moments[0])}"
    return listed([say_time(moment) for moment in moments], "or")


@_kept
def say_price(amount: Decimal) -> str:
    """ "forty-nine dollars and ninety-five cents"."""
    dollars, cents = int(amount), int((amount % 1) * 100)
    whole = f"{num2words(dollars)} dollar{'' if dollars == 1 else 's'}"
    return f"{whole} and {num2words(cents)} cent{'' if cents == 1 else 's'}" if cents else whole


def say_week(days: Sequence[tuple[time, time] | None]) -> str:
    """Opening hours, monday first, days alike taken together: "Monday to Friday from eight in the morning to six in
    the evening, and Saturday from nine in the morning to three in the afternoon; closed on Sunday"."""
    return _week(tuple(days))


@_kept
def _week(days: tuple[tuple[time, time] | None, ...]) -> str:
    runs: list[tuple[int, int, tuple[time, time] | None]] = []
    for index, hours in enumerate(days):
        if runs and runs[-1][2] == hours:
            runs[-1] = (runs[-1][0], index, hours)
        else:
            runs.append((index, index, hours))
    names = [name.capitalize() for name in WEEKDAYS]

    def span(first: int, last: int) -> str:
        if first == last:
            return names[first]
        return f"{names[first]} {'and' if last == first + 1 else 'to'} {names[last]}"

    opened = [f"{span(a, b)} from {say_time(h[0])} to {say_time(h[1])}" for a, b, h in runs if h]
    closed = [span(a, b) for a, b, h in runs if not h]
    return listed(opened, "and") + (f"; closed on {listed(closed, 'and')}" if closed else "")


def listed(items: Sequence[str], last: str) -> str:
    """ "a", "a or b", "a, b, or c"."""
    if len(items) < 3:
        return f" {last} ".join(items)
    return f"{', '.join(items[:-1])}, {last} {items[-1]}"


def say_count(count: int, name: str) -> str:
    """ "one item", "three items"."""
    return f"{num2words(count)} {name}{'' if count == 1 else 's'}"


def say_digits(digits: str) -> str:
    """ "four zero seven, one one two"."""
    words = [num2words(int(digit)) for digit in digits if digit.isdigit()]
    return ", ".join(" ".join(words[at : at + 3]) for at in range(0, len(words), 3))


def fill(line: str, values: Mapping[str, str]) -> str:
    """The line with its placeholders filled (what is not known is left out), spaces tidied, sentences capitalised.
    A value is text: braces in it mean nothing."""
    parts = [text + (values.get(name, "") if name else "") for text, name, _, _ in string.Formatter().parse(line)]
    said = " ".join("".join(parts).split()).replace(" ,", ",").replace(" .", ".")
    return sentence(said)


_BEGINNING = re.compile(r"(?:\A|(?<=[.?!])(?= ))[\W\d_]*[^\W\d_]")


def sentence(said: str) -> str:
    """First letters of sentences in upper case."""
    return _BEGINNING.sub(lambda found: found[0].upper(), said)
