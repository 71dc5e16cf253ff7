"""What is written, as people say it: "$49.95" is "forty-nine dollars and ninety-five cents", "Dr." is "Doctor". Pure.

With it comes a map between the two, so that what was heard of the sound can be found in what was written: history and
transcript keep the written form, the voice gets the spoken one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from media_gateway.voice.spoken_rules import RULES, SHORT


@dataclass(frozen=True, slots=True)
class Span:
    """A piece that is said otherwise than it is written: `[start, end)` in the written and in the spoken text. What
    lies between two of them is the same in both."""

    written: tuple[int, int]
    spoken: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spoken:
    """`text` is for the voice; `written` is what it was made of."""

    text: str
    written: str
    spans: tuple[Span, ...] = ()

    def written_at(self, offset: int) -> int:
        """How far into the written text one is after `offset` characters of the spoken one. Half a number is none of
        it: inside a piece that is said otherwise this is the beginning of that piece."""
        shift = 0
        for span in self.spans:
            if offset < span.spoken[1]:
                return min(max(0, offset) + shift, span.written[0])
            shift = span.written[1] - span.spoken[1]
        return min(max(0, offset) + shift, len(self.written))


_ANY = re.compile("|".join(f"(?P<{name}>{rule.pattern})" for name, rule in RULES.items()))
_PLAIN = re.compile(r"[A-Za-z ,;:!?'\"]*[.!?]?")
"""Most of what is said: words alone. Only its last one can be an abbreviation."""


def to_spoken(text: str) -> Spoken:
    """What nobody knows how to say otherwise stays as it is written."""
    if _PLAIN.fullmatch(text) and text.rpartition(" ")[2].lower() not in SHORT:
        return Spoken(text, text)
    pieces: list[str] = []
    spans: list[Span] = []
    at = length = 0
    for found in _ANY.finditer(text):
        said = RULES[found.lastgroup or ""].say(found)
        start, end = found.span()
        if said is None or said == text[start:end]:
            continue
        pieces += (text[at:start], said)
        length += start - at + len(said)
        spans.append(Span((start, end), (length - len(said), length)))
        at = end
    if not spans:
        return Spoken(text, text)
    return Spoken("".join((*pieces, text[at:])), text, tuple(spans))
