"""Between a browser microphone's sound (16 kHz, signed 16 bit, little endian) and a call's (8 kHz mu-law). Pure
Python: the gateway carries no numeric library, and a phone call's sound never comes here.

Down by a half-band filter (what a telephone cannot carry does not come back as an alias: from 5 kHz on it is down by
more than 40 dB); up by a cubic between the samples.
"""

from __future__ import annotations

import math
import sys
from array import array
from functools import cache

_REACH = 15
"""Samples to each side of the one that is kept; every other tap of a half-band filter is nought."""
_SHIFT = 15
_BIAS, _CLIP = 33, 8159
_LOW, _HIGH = -32768, 32767


@cache
def _taps() -> tuple[int, tuple[int, ...]]:
    """The middle one, and those at the odd distances 1, 3, 5 ...; together 1 << _SHIFT."""
    odd = range(1, _REACH + 1, 2)
    ideal = [math.sin(math.pi * k / 2) / (math.pi * k) for k in odd]
    window = [
        0.42 + 0.5 * math.cos(math.pi * k / (_REACH + 1)) + 0.08 * math.cos(2 * math.pi * k / (_REACH + 1)) for k in odd
    ]
    sides = [tap * part for tap, part in zip(ideal, window, strict=True)]
    scale = (1 << _SHIFT) / (0.5 + 2 * sum(sides))
    whole = tuple(round(tap * scale) for tap in sides)
    return (1 << _SHIFT) - 2 * sum(whole), whole


@cache
def _mulaw() -> bytes:
    """By sample; a negative one counts from the end, as Python's indices do."""

    def code(magnitude: int, sign: int) -> int:
        biased = min(magnitude, _CLIP) + _BIAS
        segment = max(0, biased.bit_length() - 6)
        return 0x7F ^ sign if segment >= 8 else (segment << 4 | (biased >> (segment + 1) & 0x0F)) ^ sign

    positive = b"".join(bytes((code(step, 0xFF),)) * 4 for step in range(8192))
    negative = b"".join(bytes((code(-step, 0x7F),)) * 4 for step in range(-8192, 0))
    return positive + negative


@cache
def _linear() -> tuple[int, ...]:
    def sample(code: int) -> int:
        bits = ~code & 0xFF
        magnitude = (((bits & 0x0F) << 3) + 0x84 << ((bits & 0x70) >> 4)) - 0x84
        return -magnitude if bits & 0x80 else magnitude

    return tuple(sample(code) for code in range(256))


class Down:
    """16 kHz to mu-law, piece by piece; a millisecond late."""

    def __init__(self) -> None:
        self._kept = array("h", bytes(2 * 2 * _REACH))
        self._half = b""

    def feed(self, pcm: bytes) -> bytes:
        """Any number of bytes; half as many samples, within one. Half a sample waits for its other half."""
        pcm = self._half + pcm
        whole = len(pcm) & ~1
        self._half = pcm[whole:]
        samples = self._kept + _native(array("h", pcm[:whole]))
        count = (len(samples) - 2 * _REACH + 1) // 2
        self._kept = samples[2 * count :]
        middle, (a, b, c, d, e, f, g, h) = _taps()

        def both(distance: int) -> list[int]:
            left = samples[_REACH - distance : _REACH - distance + 2 * count : 2]
            right = samples[_REACH + distance : _REACH + distance + 2 * count : 2]
            return [one + other for one, other in zip(left, right, strict=True)]

        pairs = (both(distance) for distance in range(1, _REACH + 1, 2))
        filtered = (
            (m * middle + a * p + b * q + c * r + d * s + e * t + f * u + g * v + h * w) >> _SHIFT
            for m, p, q, r, s, t, u, v, w in zip(samples[_REACH : _REACH + 2 * count : 2], *pairs, strict=True)
        )
        table = _mulaw()
        return bytes([table[_LOW if x < _LOW else _HIGH if x > _HIGH else x] for x in filtered])


class Up:
    """Mu-law to 16 kHz, piece by piece; a quarter of a millisecond late."""

    def __init__(self) -> None:
        self._kept = [0, 0, 0]

    def feed(self, mulaw: bytes) -> bytes:
        """Two samples for each byte."""
        table = _linear()
        samples = self._kept + [table[code] for code in mulaw]
        self._kept = samples[-3:]
        between = (
            (9 * (b + c) - a - d) >> 4
            for a, b, c, d in zip(samples, samples[1:], samples[2:], samples[3:], strict=False)
        )
        doubled = array("h", bytes(4 * len(mulaw)))
        doubled[0::2] = array("h", samples[1:-2])
        doubled[1::2] = array("h", [_LOW if x < _LOW else _HIGH if x > _HIGH else x for x in between])
        return _native(doubled).tobytes()


def _native(samples: array[int]) -> array[int]:
    """From or to little endian."""
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
