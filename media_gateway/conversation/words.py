"""Spoken words to one plain shape: lower case, no punctuation, numbers as digits.

Recognisers differ: one writes "Tomorrow at 2:30 p.m.", another "tomorrow at two thirty p m". Everything that reads what
the caller said reads it in this shape.
"""

from __future__ import annotations

import re
from functools import cache

from num2words import num2words

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'"})
_MERIDIEM = re.compile(r"(?:\b|(?<=\d))([ap])\s?\.?\s?m\b\.?")
_PUNCTUATION = re.compile(r"[^\w\s:'/-]|(?<!\d)[:/]|[:/](?!\d)")
_HYPHEN = re.compile(r"(?<!\d)-|-(?!\d)")
_HOMOPHONES = {"oh": "0", "o": "0"}


@cache
def numbers() -> dict[str, str]:
    """Spoken numbers 0..59 and ordinals 1st..31st with their digits, the longest first."""
    table: dict[str, str] = {}
    for value in range(60):
        table[num2words(value).replace("-", " ")] = str(value)
    for value in range(1, 32):
        table[num2words(value, to="ordinal").replace("-", " ")] = num2words(value, to="ordinal_num")
    return dict(sorted(table.items(), key=lambda item: -len(item[0])))


@cache
def _number_pattern() -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(map(re.escape, numbers())) + r")\b")


def plain(text: str) -> str:
    """`text` in lower case without punctuation, a.m. and p.m. as "am" and "pm", single spaces.

    "Tomorrow, at 2:30 P.M.!" -> "tomorrow at 2:30 pm"
    """
    lowered = text.lower().translate(_APOSTROPHES)
    lowered = _MERIDIEM.sub(r" \1m ", lowered)
    lowered = re.sub(r"\bo['\s]?clock\b", " oclock ", lowered)
    lowered = _HYPHEN.sub(" ", _PUNCTUATION.sub(" ", lowered))
    return " ".join(lowered.split())


def with_digits(text: str) -> str:
    """`plain(text)` with number words as digits: "nine thirty" -> "9 30", "twenty first" -> "21st"."""
    return _number_pattern().sub(lambda found: numbers()[found.group()], plain(text))


def clock_zero(text: str) -> str:
    """ "9 oh 5" -> "9 0 5": the o of a spoken clock. Only for time parsing; "oh" is a sigh elsewhere."""
    return re.sub(r"(?<=\d )(?:oh|o)(?= \d)", lambda found: _HOMOPHONES[found.group()], text)
