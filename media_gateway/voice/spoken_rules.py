"""How numbers, times, prices, telephone numbers, units and abbreviations are said in American English: one rule each,
in the order in which they are tried. Patterns have no capturing groups of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from datetime import time as Time
from functools import lru_cache

from num2words import num2words

from media_gateway.conversation.speech import say_digits, say_time
from media_gateway.voice.spoken_words import ABBREVIATIONS, CURRENCIES, MONTHS, SYMBOLS, TITLES, UNITS


@dataclass(frozen=True, slots=True)
class Rule:
    """What it looks like, and how it is said (None: as it is written)."""

    pattern: str
    say: Callable[[re.Match[str]], str | None]


MOST_DIGITS = 15
"""A longer number is said digit by digit."""
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_AFTER = r"(?![\w]|[.,:/-]\d)"
"""The number ends here; a full stop behind it is the sentence's."""
_MONTH = (
    "(?:" + "|".join(f"{name}|{name[:3]}\\.?" + ("|Sept\\.?" if name == "September" else "") for name in MONTHS) + ")"
)
_COUNTED = re.compile(r"\s(?:miles|dollars|cents|kilometers|points|people|times|items|cars|more|of)\b")
_SCALES = {"k": "thousand", "K": "thousand", "M": "million"}
_FRACTIONS = {"1/2": "half", "1/4": "quarter", "3/4": "three quarters"}


@lru_cache(maxsize=4096)
def number(text: str) -> str:
    """ "1,250.5" is "one thousand, two hundred and fifty point five", without the comma and the "and"."""
    whole, _, decimals = text.replace(",", "").partition(".")
    if len(whole) > MOST_DIGITS:
        return say_digits(whole)
    said = str(num2words(int(whole))).replace(",", "").replace(" and ", " ")
    return f"{said} point {' '.join(num2words(int(digit)) for digit in decimals)}" if decimals else said


@lru_cache(maxsize=512)
def ordinal(value: int) -> str:
    """ "twenty-third"."""
    return str(num2words(value, to="ordinal")).replace(",", "").replace(" and ", " ")


def year(value: int) -> str:
    """ "twenty twenty-six"."""
    return str(num2words(value, to="year"))


def _ends(found: re.Match[str]) -> str:
    """A full stop if the sentence ends with this abbreviation: its own was taken for it."""
    rest = found.string[found.end() :].lstrip()
    return "." if found.group().endswith(".") and (not rest or rest[0].isupper()) else ""


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _phone(found: re.Match[str]) -> str:
    """Country, area, exchange, line; the last four together."""
    figures = _digits(found.group())
    groups = [figures[-4:], figures[-7:-4], figures[-10:-7], figures[:-10]]
    said = [" ".join(num2words(int(figure)) for figure in group) for group in reversed(groups) if group]
    return ", ".join(said)


def _price(found: re.Match[str]) -> str:
    text = found.group()
    names = CURRENCIES[text[0]]
    amount, *magnitude = re.findall(rf"{_NUMBER}|[a-zA-Z]+", text)
    if magnitude:
        return f"{number(amount)} {_SCALES.get(magnitude[0], magnitude[0])} {names[1]}"
    whole, _, part = amount.partition(".")
    if len(part) not in (0, 2):
        return f"{number(amount)} {names[1]}"
    said = f"{number(whole)} {names[0] if whole == '1' else names[1]}"
    if not int(part or 0):
        return said
    cents = f"{num2words(int(part))} {names[2].removesuffix('s') if int(part) == 1 else names[2]}"
    return f"{said} and {cents}" if int(whole.replace(",", "")) else cents


def _clock(found: re.Match[str]) -> str | None:
    """ "2:05 p.m." is "two oh five PM"."""
    text = found.group()
    hour, *minutes = (int(part) for part in re.findall(r"\d+", text))
    minute = minutes[0] if minutes else 0
    half = re.search(r"[ap]", text, re.IGNORECASE)
    if hour > 23 or (half and not 1 <= hour <= 12):
        return None
    if half:
        return f"{_oclock(hour, minute)} {half.group().upper()}M{_ends(found)}"
    if hour > 12 or hour == 0 or text.startswith("0"):
        return say_time(Time(hour, minute))
    return _oclock(hour, minute) if minute else f"{num2words(hour)} o'clock"


def _oclock(hour: int, minute: int) -> str:
    said = num2words(hour)
    if not minute:
        return str(said)
    return f"{said} {'oh ' if minute < 10 else ''}{num2words(minute).replace('-', ' ')}"


def _date(found: re.Match[str]) -> str | None:
    """2026-11-23, 11/23/2026: with the weekday people would add if they had a calendar at hand, so without."""
    parts = [int(part) for part in re.findall(r"\d+", found.group())]
    y, m, d = parts if parts[0] > 31 else (parts[2], parts[0], parts[1])
    try:
        day = date(y, m, d)
    except ValueError:
        return None
    return f"{MONTHS[day.month - 1]} {ordinal(day.day)}, {year(day.year)}"


def _month_day(found: re.Match[str]) -> str | None:
    name, figure = re.findall(r"[A-Z][a-z]+|\d+", found.group())[:2]
    if not 1 <= int(figure) <= 31:
        return None
    return f"{next(month for month in MONTHS if month.startswith(name[:3]))} {ordinal(int(figure))}"


def _slashed(found: re.Match[str]) -> str | None:
    """ "24/7", "1/2", "2 1/2", "11/23"."""
    whole, _, fraction = found.group().rpartition(" ")
    if said := _FRACTIONS.get(fraction):
        if said.startswith("three"):
            return f"{number(whole)} and {said}" if whole else said
        return f"{number(whole)} and a {said}" if whole else f"a {said}" if said == "quarter" else "one half"
    above, below = (int(part) for part in fraction.split("/"))
    if (above, below) == (24, 7):
        return "twenty-four seven"
    if not whole and 1 <= above <= 12 and 13 <= below <= 31:
        return f"{MONTHS[above - 1]} {ordinal(below)}"
    return None


def _measured(found: re.Match[str]) -> str:
    amount, unit = re.findall(rf"{_NUMBER}|[^\d\s.,]+", found.group())
    one, many = UNITS[unit if unit in UNITS else unit.lower()]
    return f"{number(amount)} {one if amount == '1' else many}"


def _code(found: re.Match[str]) -> str:
    """A reference or VIN, figure by figure."""
    return " ".join(num2words(int(one)) if one.isdigit() else one for one in found.group())


def _long(found: re.Match[str]) -> str:
    """A number without commas, long or with a zero in front, is an identifier unless something is counted."""
    text = found.group()
    counted = _COUNTED.match(found.string, found.end())
    return number(text) if counted and not text.startswith("0") else say_digits(text)


def _year(found: re.Match[str]) -> str:
    counted = _COUNTED.match(found.string, found.end())
    return number(found.group()) if counted else year(int(found.group()))


def _number(found: re.Match[str]) -> str:
    text = found.group()
    return f"minus {number(text[1:])}" if text.startswith("-") else number(text)


def _street(found: re.Match[str]) -> str:
    """ "5 Main St." is a street, "St. Louis" a saint; "5 Elm Dr." a drive, "Dr. Jones" a doctor."""
    text = found.group()
    road = re.search(r"\d\s(?:[A-Z][a-z]+\s)+$", found.string[: found.start()])
    named = {"St.": ("Saint", "Street"), "Dr.": ("Doctor", "Drive")}[text]
    return named[1] + _ends(found) if road else named[0]


def _abbreviation(found: re.Match[str]) -> str:
    text = found.group()
    return ABBREVIATIONS[text if text in ABBREVIATIONS else text.lower()] + _ends(found)


def _address(found: re.Match[str]) -> str:
    """An e-mail or web address."""
    bare = re.sub(r"^https?://", "", found.group())
    for sign, word in (("@", " at "), (".", " dot "), ("/", " slash "), ("_", " underscore "), ("-", " dash ")):
        bare = bare.replace(sign, word)
    return " ".join(bare.split())


def _any_of(words: Mapping[str, object]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


SHORT = frozenset({*(name.lower() for name in (*ABBREVIATIONS, *TITLES)), "st.", "dr."})
"""All that is written short with a full stop, in lower case."""
RULES: Mapping[str, Rule] = {
    "markup": Rule(r"\*+|`+|~~|(?:^|(?<=\n))\s*(?:#+|[-•])\s+|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)", lambda _: ""),
    "picture": Rule("[\u2190-\u21ff\u2300-\u27bf\ufe0f\U0001f000-\U0001faff]+ ?", lambda _: ""),
    "address": Rule(r"(?:\b[\w.+-]{1,64}@|\bhttps?://|\bwww\.)\w[\w-]*(?:\.[\w-]+)*(?:/[\w-]+)*", _address),
    "phone": Rule(
        r"(?<![\w.])(?:\+\d{1,3}[-. ]?|1[-. ])?\(?\d{3}(?:\) ?|[-. ])\d{3}[-. ]\d{4}(?!\w)"
        r"|(?<!\w)\+\d{8,15}(?!\w)|(?<![\w.-])\d{3}-\d{4}(?![\w-])",
        _phone,
    ),
    "date": Rule(r"(?<!\w)(?:\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{4})(?!\w)", _date),
    "price": Rule(rf"[$€£] ?{_NUMBER}(?: ?(?:thousand|million|billion|k|K|M)\b)?", _price),
    "clock": Rule(
        r"(?<![\w:.])\d\d?(?::[0-5]\d)? ?(?:[aApP]\. ?[mM]\.|[aApP][mM]\b)|(?<![\w:.])\d\d?:[0-5]\d(?![\w:])", _clock
    ),
    "month_day": Rule(rf"\b{_MONTH} \d\d?(?:st|nd|rd|th)?(?!\w|:)", _month_day),
    "percent": Rule(rf"(?<![\w.]){_NUMBER} ?%", lambda found: f"{number(found.group().rstrip(' %'))} percent"),
    "measured": Rule(rf"(?<![\w.]){_NUMBER}(?: ?°[FC]?| ?(?:{_any_of(UNITS)})\b(?:\.(?= [a-z]))?)", _measured),
    "ordinal": Rule(r"\b\d{1,4}(?:st|nd|rd|th)\b", lambda found: ordinal(int(found.group()[:-2]))),
    "to": Rule(r"(?:(?<=\d)|(?<=\d[ap]m)|(?<=\d [AaPp][Mm])|(?<=[ap]\.m\.)) ?[-–—] ?(?=\$?\d)", lambda _: " to "),
    "slashed": Rule(r"(?<![\w/.])(?:\d+ )?\d\d?/\d\d?(?![\w/])", _slashed),
    "figure": Rule(r"#\s?(?=\d)|\b[Nn]o\.\s(?=\d)", lambda _: "number "),
    "code": Rule(r"(?<![\w-])(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z0-9]{5,}(?![\w-])", _code),
    "long": Rule(rf"(?<![\w.,])(?:0\d+|\d{{5,}}){_AFTER}", _long),
    "year": Rule(rf"(?<![\w.,])(?:19|20)\d\d{_AFTER}", _year),
    "number": Rule(rf"(?<![\w.:])(?:(?<![^\s(])-)?{_NUMBER}(?!\w|[.:]\w)", _number),
    "street": Rule(r"\b(?:St|Dr)\.", _street),
    "title": Rule(rf"\b(?:{_any_of(TITLES)})", lambda found: TITLES[found.group()]),
    "abbreviation": Rule(rf"\b(?i:{_any_of(ABBREVIATIONS)})", _abbreviation),
    "symbol": Rule(rf"(?: ?(?:{_any_of(SYMBOLS)}) ?)", lambda found: f" {SYMBOLS[found.group().strip()]} "),
}
