"""Text on its way to the voice, clause by clause: cut on the terminator itself, without waiting for the next word, and
never inside a word, a number or an abbreviation. Pure."""

from __future__ import annotations

import re

LONG = 90
"""From this many characters on a comma ends a clause too: better a breath than a wait."""

_CLOSERS = ".!?\"')]"
_SAYABLE = re.compile(r"\w")
_TITLE = re.compile(r"\b(?:mr|mrs|ms|dr|st|vs|e\.g|i\.e|approx)\.$", re.IGNORECASE)
"""What follows belongs to it, capital or not: "Dr. Jones"."""
_ABBREVIATION = re.compile(r"(?:\b(?:no|etc)|\b[a-z]|\d)\.$", re.IGNORECASE)
"""Ends a clause only if a new sentence follows: "2." may become "2.30", "a." "a.m." and "no." "no. 5"."""


class Clauser:
    """Takes the model's text as it streams and gives whole clauses."""

    def __init__(self) -> None:
        self._text = ""
        self._tail = False

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
            end = found.end()
            mark = found.group()[0]
            before, rest = self._text[: found.start() + 1], self._text[end:]
            if mark == "," and end <= LONG:
                continue
            if mark == "." and _TITLE.search(before):
                continue
            if mark == "." and _ABBREVIATION.search(before):
                if not rest.strip():
                    return None
                if not rest[0].isspace() or not rest.lstrip()[0].isupper():
                    continue
            elif mark in ".!?" and rest and not rest[0].isspace():
                continue
            return end
        return None
