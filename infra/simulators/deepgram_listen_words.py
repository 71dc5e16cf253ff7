"""What the simulated recogniser takes the caller's sound for. Two ways, both without decoding anything:

`Script`: the caller says the utterances of a script, one after the other; the words of one come as their sound passes
(loud or not is all that matters), what is left of them when it falls silent. An empty utterance is a cough.

`Legible`: sound that spells. `speak` makes it: every word is a number in the bytes of its frames, so that whoever reads
them knows each word by its sound alone, wherever a connection begins or breaks. That is how a test knows that nothing
was lost and nothing heard twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from infra.simulators.mulaw import is_loud

FRAME_MS = 20
BYTES_PER_MS = 8
WORD_MS = 280
GAP_MS = 20
SILENCE = b"\xff" * (FRAME_MS * BYTES_PER_MS)
_MAGIC = b"\x01\x81"


@dataclass(slots=True)
class HeardWord:
    """A word and when it was said, in ms of the connection."""

    text: str
    start_ms: float
    end_ms: float


class Source(Protocol):
    """Which word is this?"""

    def hear(self, mulaw: bytes, at_ms: float, ms: float) -> Sequence[HeardWord]:
        """The words that are certain with this frame, which begins at `at_ms`."""


@dataclass(slots=True)
class Script:
    """The utterances in order. `gap_ms` of silence are between two; `least_ms` of sound make one."""

    utterances: Sequence[str]
    word_ms: int = WORD_MS
    gap_ms: int = 700
    flush_ms: int = 200
    least_ms: int = 120
    _next: int = 0
    _said: int = 0
    _loud: float = 0.0
    _silence: float = 0.0

    def hear(self, mulaw: bytes, at_ms: float, ms: float) -> Sequence[HeardWord]:
        """See Source."""
        words = self.utterances[self._next].split() if self._next < len(self.utterances) else []
        if is_loud(mulaw):
            self._loud += ms
            self._silence = 0.0
            if self._loud < self.least_ms:
                return ()
            return self._say(words, int(self._loud // self.word_ms), at_ms + ms)
        self._silence += ms
        if self._loud < self.least_ms:
            self._loud = 0.0 if self._silence >= self.flush_ms else self._loud
            return ()
        if self._silence >= self.gap_ms:
            self._next, self._said, self._loud = self._next + 1, 0, 0.0
            return ()
        if self._silence >= self.flush_ms:
            return self._say(words, len(words), at_ms + ms - self._silence)
        return ()

    def _say(self, words: Sequence[str], upto: int, end_ms: float) -> Sequence[HeardWord]:
        new = words[self._said : upto]
        self._said += len(new)
        start = max(0.0, end_ms - self.word_ms)
        step = (end_ms - start) / max(len(new), 1)
        return [HeardWord(word, start + n * step, start + (n + 1) * step) for n, word in enumerate(new)]


@dataclass(slots=True)
class Legible:
    """Reads what `speak` wrote. A word counts once half of it has been heard."""

    vocabulary: Sequence[str]
    _current: int | None = None
    _since: float = 0.0
    _counted: bool = False
    _word: HeardWord | None = None

    def hear(self, mulaw: bytes, at_ms: float, ms: float) -> Sequence[HeardWord]:
        """See Source."""
        number = _read(mulaw)
        if number is None or number >= len(self.vocabulary):
            self._current = self._word = None
            return ()
        if number != self._current:
            self._current, self._since, self._counted, self._word = number, at_ms, False, None
        if self._word:
            self._word.end_ms = at_ms + ms
        if self._counted or at_ms + ms - self._since < WORD_MS / 2:
            return ()
        self._counted = True
        self._word = HeardWord(self.vocabulary[number], self._since, at_ms + ms)
        return (self._word,)


def speak(numbers: Iterable[int], *, word_ms: int = WORD_MS) -> list[bytes]:
    """Frames of 20 ms that spell these words of a vocabulary, a short gap after each."""
    frames: list[bytes] = []
    for number in numbers:
        if not 0 <= number < 4096:
            raise ValueError("a vocabulary has 4,096 words at most")
        pattern = _MAGIC + bytes((number >> 6, number & 0x3F))
        frames += [pattern * (len(SILENCE) // 4)] * (word_ms // FRAME_MS)
        frames += [SILENCE] * (GAP_MS // FRAME_MS)
    return frames


def silence(ms: int) -> list[bytes]:
    """Frames in which nothing is said."""
    return [SILENCE] * (ms // FRAME_MS)


def _read(mulaw: bytes) -> int | None:
    if len(mulaw) < 4 or mulaw[:2] != _MAGIC:
        return None
    return mulaw[2] << 6 | mulaw[3]


@dataclass(slots=True)
class Nobody:
    """Hears nothing: the test says by itself what is recognised."""

    ignored: int = field(default=0)

    def hear(self, mulaw: bytes, at_ms: float, ms: float) -> Sequence[HeardWord]:
        """See Source."""
        self.ignored += 1
        return ()
