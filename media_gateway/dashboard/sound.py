"""A supervisor's microphone as a telephone's: 16 kHz linear samples to 8 kHz mu-law, in the standard library alone. One
supervisor speaks at a time, so a table and a pass over 160 samples a frame will do."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from functools import cache

_BIAS, _CLIP, _HALF = 33, 8159, 8192


def _steps() -> Iterator[tuple[int, int]]:
    """(code, the smallest biased magnitude that has it), by magnitude."""
    for segment in range(8):
        for step in range(16):
            yield (segment << 4) | step, (16 + step) << (segment + 1)


@cache
def _table() -> bytes:
    """Mu-law by 14-bit sample + 8192. Built step by step, not sample by sample: it costs no time that is felt."""
    magnitudes = bytearray()
    steps = list(_steps())
    for (code, low), (_, high) in zip(steps, [*steps[1:], (0, _HALF)], strict=True):
        magnitudes += bytes([code]) * (high - max(low, _BIAS))
    magnitudes += bytes([0x7F]) * (_HALF + 1 - len(magnitudes))
    above = bytes(code ^ 0xFF for code in magnitudes[:_HALF])
    below = bytes(code ^ 0x7F for code in reversed(magnitudes[1 : _HALF + 1]))
    return below + above


class Narrow:
    """16 kHz 16-bit little-endian samples in any pieces, 8 kHz mu-law out. Pairs are averaged: speech loses nothing
    that a telephone would have kept."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, pcm: bytes) -> bytes:
        """The mu-law of all whole pairs so far."""
        pcm = self._rest + pcm
        whole = len(pcm) & ~3
        self._rest = pcm[whole:]
        samples = array("h")
        samples.frombytes(pcm[:whole])
        if sys.byteorder == "big":
            samples.byteswap()
        table = _table()
        # The mean of two, and down to 14 bits.
        return bytes([table[((a + b) >> 3) + _HALF] for a, b in zip(samples[::2], samples[1::2], strict=True)])
