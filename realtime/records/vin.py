"""Vehicle identification numbers: as people say them, and what can be known of one without asking anybody.

49 CFR part 565 and ISO 3779: 17 characters of A-Z and 0-9 without I, O and Q. For vehicles of North America (first
character 1 to 5, or 7) position 9 is a check digit, position 10 the model year (a 30 year cycle; position 7 tells which
cycle it is for cars and light trucks), and positions 14 to 17 are digits.
"""

from __future__ import annotations

import re
from typing import Literal

Problem = Literal["length", "characters", "check_digit", "positions"]

LENGTH = 17
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VALUES = {
    **{str(digit): digit for digit in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    **{"P": 7, "R": 9},
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
_NEVER = str.maketrans({"O": "0", "I": "1", "Q": "0"})
"""Never in a VIN, so whoever says them means the digit that looks like them."""
_YEARS = "ABCDEFGHJKLMNPRSTVWXY123456789"
_SPOKEN = {
    **{word: str(n) for n, word in enumerate(re.findall(r"\w+", "zero one two three four five six seven eight nine"))},
    **{"oh": "0", "ten": "10", "niner": "9"},
    **{
        word: word[0].upper()
        for word in re.findall(
            r"\w+",
            "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec "
            "romeo sierra tango uniform victor whiskey yankee zulu",
        )
    },
    **{"alfa": "A", "juliett": "J", "whisky": "W", "xray": "X", "x-ray": "X", "zee": "Z", "zed": "Z"},
    **{"double-u": "W", "dash": "", "hyphen": "", "space": ""},
}
_LIKE = re.compile(r"\b([A-Za-z]) (?:as in|for|like) [A-Za-z]+")


def from_speech(text: str) -> str:
    """`one H G C M eight two six three three A double zero four three five two` -> `1HGCM82633A004352`."""
    words = re.split(r"[\s,.;:]+", _LIKE.sub(r"\1", text.strip()).lower().replace("double u", "double-u"))
    said, times = "", 1
    for word in words:
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
            continue
        said += _SPOKEN.get(word, re.sub(r"[-_/]", "", word).upper()) * times
        times = 1
    return said.translate(_NEVER)


def problem(vin: str) -> Problem | None:
    """What is wrong with it, None for one that can be."""
    if len(vin) != LENGTH:
        return "length"
    if not all(one in _VALUES for one in vin):
        return "characters"
    if not north_american(vin):
        return None
    if vin[8] != check_digit(vin):
        return "check_digit"
    if vin[9] not in _YEARS or not vin[13:].isdigit():
        return "positions"
    return None


def north_american(vin: str) -> bool:
    """Made under the rules that demand a check digit."""
    return vin[0] in "123457"


def check_digit(vin: str) -> str:
    """What position 9 must be, 0 to 9 or X. Raises KeyError for a character that no VIN has."""
    rest = sum(_VALUES[one] * weight for one, weight in zip(vin, _WEIGHTS, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


def model_year(vin: str) -> int | None:
    """The year that position 10 says, for a car or light truck of North America; None where it does not say."""
    if not north_american(vin) or vin[9] not in _YEARS:
        return None
    return (2010 if vin[6].isalpha() else 1980) + _YEARS.index(vin[9])
