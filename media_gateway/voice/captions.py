"""The words of an answer while a model writes them, for those who watch. Pure: times are ms on the session's clock.

A model gives a word every ten milliseconds, and nobody reads that fast: the first words are shown at once, and from
then on what has come, several times a second. Nothing is lost by it: `flush` shows the rest, and what is kept of the
answer says all of it anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

EVERY_MS = 100.0


class Captions:
    """One a call. `show` is given the turn, how many characters of the answer were shown before, and the text."""

    def __init__(self, show: Callable[[Mapping[str, object]], None]) -> None:
        self._show = show
        self.begin()

    def begin(self) -> None:
        """Another answer; what was not shown of the one before never will be."""
        self._shown, self._waiting, self._last = 0, "", float("-inf")

    def add(self, now: float, turn: int, text: str) -> None:
        """More of it has come."""
        self._waiting += text
        if now - self._last >= EVERY_MS:
            self._last = now
            self.flush(turn)

    def flush(self, turn: int) -> None:
        """Show what has not been shown."""
        if self._waiting:
            text, self._waiting = self._waiting, ""
            self._show({"turn": turn, "offset": self._shown, "text": text})
            self._shown += len(text)
