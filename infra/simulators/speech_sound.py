"""What a simulated voice sounds like: tone-like syllables at the pace of speech, with pauses at punctuation; and when
each character of the text has been said. The same text sounds the same each time. Pure.
"""

from __future__ import annotations

import math
import random
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate

from infra.simulators import mulaw

MS_PER_CHARACTER = 66.0
"""About 15 characters a second."""
_PAUSES = {",": 160.0, ";": 180.0, ":": 180.0, ".": 280.0, "!": 280.0, "?": 280.0}
_PITCHES = (110.0, 131.0, 147.0, 165.0, 196.0)


@dataclass(frozen=True, slots=True)
class Spoken:
    """`ends_ms[n]` is when character `n` of the text has been said."""

    text: str
    mulaw: bytes
    ends_ms: Sequence[float]

    def between(self, start_ms: float, end_ms: float) -> tuple[int, int]:
        """The characters (from, to) that end in this stretch of the sound."""
        first = sum(end <= start_ms for end in self.ends_ms)
        return first, sum(end <= end_ms for end in self.ends_ms)


@lru_cache(maxsize=2048)
def speak(text: str, *, uneven: float = 0.4) -> Spoken:
    """`uneven` is how much a character's time varies (0: not at all)."""
    rng = random.Random(zlib.crc32(text.encode()))  # noqa: S311 (the same sound for the same text)
    each: list[float] = []
    for at, one in enumerate(text):
        pause = _PAUSES.get(one, 0.0) if at + 1 == len(text) or text[at + 1] == " " else 0.0
        each.append(MS_PER_CHARACTER * rng.uniform(1 - uneven, 1 + uneven) + pause)
    ends = list(accumulate(each))
    sound = bytearray()
    for n, (one, end) in enumerate(zip(text, ends, strict=True)):
        length = round(end * mulaw.BYTES_PER_MS) - len(sound)
        voiced = 0 if one == " " else min(length, round(MS_PER_CHARACTER * mulaw.BYTES_PER_MS * (1 + uneven)))
        sound += _syllable((ord(one) + n) % len(_PITCHES))[:voiced] + mulaw.SILENCE * (length - voiced)
    return Spoken(text, bytes(sound), tuple(ends))


@cache
def _syllable(pitch: int) -> bytes:
    step = 2 * math.pi * _PITCHES[pitch] / mulaw.SAMPLE_RATE
    samples = array("h", (round(5000 * math.sin(step * n) * (0.6 + 0.4 * math.cos(n / 90))) for n in range(1200)))
    return mulaw.encode(samples.tobytes())
