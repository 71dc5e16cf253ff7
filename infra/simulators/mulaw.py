"""G.711 mu-law in pure Python: what a telephone line carries. 8,000 samples a second, one byte a sample, 8 bytes a
millisecond. Linear samples are signed 16 bit, little endian.

Bit exact with the reference (Sun's g711.c, which CPython's audioop carried): the encoder drops to 14 bits first
(`>> 2`), clips at 8159 and adds a bias of 33. The common 16-bit formula with a bias of 132 differs on 381 inputs.
"""

from __future__ import annotations

import sys
from array import array
from functools import cache

SAMPLE_RATE = 8000
BYTES_PER_MS = 8
FRAME_MS = 20
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
SILENCE = b"\xff"

_BIAS = 33
_CLIP = 8159
_SEGMENT_ENDS = (0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF, 0x1FFF)
_LINE_NOISE = bytes([*range(0x70, 0x80), *range(0xF0, 0x100)])
"""The softest codes."""
_QUIET_LEVEL = 64
"""Below this amplitude (of 32,124) nobody hears anything: dither and line noise, not speech."""


def encode_sample(linear: int) -> int:
    """One 16-bit sample to its mu-law byte."""
    value = linear >> 2
    mask = 0xFF
    if value < 0:
        value, mask = -value, 0x7F
    value = min(value, _CLIP) + _BIAS
    for segment, end in enumerate(_SEGMENT_ENDS):
        if value <= end:
            return ((segment << 4) | ((value >> (segment + 1)) & 0x0F)) ^ mask
    return 0x7F ^ mask


def decode_sample(code: int) -> int:
    """One mu-law byte to its 16-bit sample."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return 0x84 - magnitude if code & 0x80 else magnitude - 0x84


_DECODED = tuple(decode_sample(code) for code in range(256))
_LOW = bytes(value & 0xFF for value in _DECODED)
_HIGH = bytes((value >> 8) & 0xFF for value in _DECODED)
QUIET = bytes(code for code in range(256) if abs(_DECODED[code]) < _QUIET_LEVEL)
"""The codes that are not heard."""


@cache
def _encode_table() -> bytes:
    """Indexed by the sample modulo 65,536."""
    return bytes(encode_sample(value - 65536 if value > 32767 else value) for value in range(65536))


def decode(mulaw: bytes) -> bytes:
    """Mu-law to 16-bit little-endian samples (twice as many bytes). Two table look-ups in C, no loop in Python."""
    linear = bytearray(2 * len(mulaw))
    linear[0::2] = mulaw.translate(_LOW)
    linear[1::2] = mulaw.translate(_HIGH)
    return bytes(linear)


def encode(linear: bytes) -> bytes:
    """16-bit little-endian samples to mu-law (half as many bytes)."""
    samples = array("H")
    samples.frombytes(linear)
    if sys.byteorder == "big":
        samples.byteswap()
    table = _encode_table()
    return bytes([table[sample] for sample in samples])


def audible_end(mulaw: bytes) -> int:
    """Offset just past the last byte that is heard; 0 if none is."""
    return len(mulaw.rstrip(QUIET))


def is_loud(mulaw: bytes) -> bool:
    """More than line noise in a tenth of it? One soft sample before a word is no sound that anybody hears."""
    return 10 * len(mulaw.translate(None, _LINE_NOISE)) > len(mulaw)
