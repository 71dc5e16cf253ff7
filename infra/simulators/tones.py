"""What Twilio itself puts on a line: the ring that a caller hears, and its announcing voice (as a hum: what it said is
in the report as text)."""

from __future__ import annotations

import math
from array import array
from functools import cache

from infra.simulators import mulaw

WORDS_PER_S = 3.0
"""The pace of Twilio's voice."""
RING_ON_MS = 2000
RING_OFF_MS = 4000


def spoken_s(text: str) -> float:
    """How long Twilio's voice takes for this."""
    return len(text.split()) / WORDS_PER_S


@cache
def _ring_cycle() -> bytes:
    on = _tone((440.0, 480.0), RING_ON_MS)
    return on + mulaw.SILENCE * (RING_OFF_MS * mulaw.BYTES_PER_MS)


def ringing(us: int) -> bytes:
    """So many microseconds of the ring (North American: two seconds on, four off)."""
    size, cycle = us * mulaw.BYTES_PER_MS // 1000, _ring_cycle()
    return (cycle * (size // len(cycle) + 1))[:size]


def humming(us: int) -> bytes:
    """So many microseconds of somebody announcing something."""
    size = us * mulaw.BYTES_PER_MS // 1000
    tone = _tone((180.0, 270.0), 100)
    return (tone * (size // len(tone) + 1))[:size]


def _tone(frequencies: tuple[float, ...], ms: int) -> bytes:
    step = 2 * math.pi / mulaw.SAMPLE_RATE
    samples = (
        sum(math.sin(step * frequency * at) for frequency in frequencies) for at in range(ms * mulaw.BYTES_PER_MS)
    )
    return mulaw.encode(array("h", [round(4000 * sample) for sample in samples]).tobytes())
