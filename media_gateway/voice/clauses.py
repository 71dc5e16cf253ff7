"""Text on its way to the voice, clause by clause: cut on the terminator itself, without waiting for the next word, and
never inside a word, a number, an address or an abbreviation. Pure."""

from __future__ import annotations

import re

from media_gateway.voice.spoken_words import ABBREVIATIONS, TITLES

LONG = 90
"""From this many characters on a comma ends a clause too: better a breath than a wait."""
FIRST = 24
"""The same for the first clause of an answer, for which a caller waits in silence: a model takes half a second to write
a sentence of ninety characters, and who begins to speak breathes at the first comma."""
LONGEST = 240
"""From this many on any space does: voices take no more at once, and nobody speaks so long without a breath."""

_CLOSERS = ".!?\"')]"
_SAYABLE = re.compile(r"\w")
_BELONG = "|".join(sorted(name[:-1].lower() for name in (*TITLES, "Dr.", "St.")))
_TITLE = re.compile(rf"\b(?:{_BELONG}|vs|e\.g|i\.e|approx)\.$", re.IGNORECASE)
"""What follows belongs to it, capital or not: "Dr. Jones"."""
_SHORT = "|".join(sorted(re.escape(name[:-1].lower()) for name in ABBREVIATIONS if name.count(".") == 1))
_ABBREVIATION = re.compile(rf"(?:\b(?:no|{_SHORT})|\b[a-z]|\d)\.$", re.IGNORECASE)
"""Ends a clause only if a new sentence follows: "2." may become "2.30", "a." "a.m.", "no." "no. 5", "Nov." "Nov. 3"."""
_ADDRESS = re.compile(r"(?:\S@\S*|\bwww\S*|://\S*)[.?!]$")
"""More of it may come: "joe@shop." becomes "joe@shop.com"."""


class Clauser:
    """Takes the model's text as it streams and gives whole clauses."""

    def __init__(self) -> None:
        self._text = ""
        self._tail = False
        self._long = FIRST

    def feed(self, text: str) -> list[str]:
        """More text; the clauses that are complete now."""
        self._text += text
        self._drop_tail()
        clauses: list[str] = []
        while (end := self._end()) is not None:
            clause, self._text = self._text[:end].strip(), self._text[end:]
            self._tail = True
            self._drop_tail()
            if _SAYABLE.search(clause):
                clauses.append(clause)
                self._long = LONG
        return clauses

    def _drop_tail(self) -> None:
        """Marks that belong to a clause that was given away already ("Yes." of "Yes...") have no sound."""
        if self._tail and self._text:
            self._text = self._text.lstrip(_CLOSERS)
            self._tail = not self._text
        if not self._tail:
            self._text = self._text.lstrip()

    def flush(self) -> list[str]:
        """The text is over: what is left is a clause."""
        rest, self._text = self._text.strip(), ""
        return [rest] if _SAYABLE.search(rest) else []

    def _end(self) -> int | None:
        for found in re.finditer(r"[.!?]+[\"')\]]*|[;:,]\s", self._text):
            if found.end() > LONGEST:
                break
            end = found.end()
            mark = found.group()[0]
            before, rest = self._text[: found.start() + 1], self._text[end:]
            if mark == "," and (end <= self._long or self._text[found.start() - 1 : found.start()].isdigit()):
                continue  # "March 3, 2026" is one thing to say
            if mark == "." and _TITLE.search(before):
                continue
            if (mark == "." and _ABBREVIATION.search(before)) or (mark in ".!?" and _ADDRESS.search(before)):
                if not rest.strip():
                    break
                if not rest[0].isspace() or not rest.lstrip()[0].isupper():
                    continue
            elif mark in ".!?" and rest and not rest[0].isspace():
                continue
            return end
        return self._breath()

    def _breath(self) -> int | None:
        """The last space of a text that is too long without a stop; a word without end is cut at its length."""
        if len(self._text) <= LONGEST:
            return None
        space = self._text.rfind(" ", 1, LONGEST)
        return space + 1 if space > 0 else LONGEST
