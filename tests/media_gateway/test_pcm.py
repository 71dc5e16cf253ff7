"""Between 16 kHz and mu-law: exact against the table of the engines, no alias, no seam between the pieces."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from media_gateway.pcm import Down, Up
from media_gateway.providers import mulaw


def tone(hertz: float, seconds: float = 0.5, loud: int = 12_000) -> bytes:
    count = int(16_000 * seconds)
    return struct.pack(f"<{count}h", *(round(loud * math.sin(2 * math.pi * hertz * n / 16_000)) for n in range(count)))


def level(code: bytes) -> float:
    """The loudness of the middle part."""
    heard = mulaw.decode(code)[len(code) // 4 : -len(code) // 4].astype(np.float64)
    return float(np.sqrt(np.mean(heard**2)))


def test_every_level_becomes_the_code_of_the_reference() -> None:
    for value in (*range(-32768, 32768, 97), -32768, -1, 0, 1, 32767):
        steady = Down().feed(struct.pack("<200h", *[value] * 200))[-1:]
        assert steady == mulaw.encode(np.array([value], dtype=np.int16)), value


@pytest.mark.parametrize("hertz", [300, 1000, 2000, 3000])
def test_speech_goes_through(hertz: int) -> None:
    assert level(Down().feed(tone(hertz))) == pytest.approx(12_000 / math.sqrt(2), rel=0.06)


@pytest.mark.parametrize("hertz", [5200, 6000, 7000])
def test_what_a_telephone_cannot_carry_does_not_come_back(hertz: int) -> None:
    assert level(Down().feed(tone(hertz))) < 12_000 / math.sqrt(2) / 100


def test_pieces_make_what_the_whole_makes() -> None:
    pcm = tone(440)
    for size in (2, 33, 640, 1000):
        down = Down()
        pieces = b"".join(down.feed(pcm[at : at + size]) for at in range(0, len(pcm), size))
        assert pieces == Down().feed(pcm)
    code = Down().feed(pcm)
    up = Up()
    assert b"".join(up.feed(code[at : at + 7]) for at in range(0, len(code), 7)) == Up().feed(code)


def test_half_a_sample_waits_for_its_other_half() -> None:
    pcm, down = tone(440), Down()
    assert down.feed(pcm[:641]) + down.feed(pcm[641:]) == Down().feed(pcm)


def test_there_and_back_keeps_the_tone() -> None:
    again = Down().feed(Up().feed(Down().feed(tone(800))))
    assert level(again) == pytest.approx(12_000 / math.sqrt(2), rel=0.06)
    assert len(Up().feed(b"\xff" * 160)) == 640
