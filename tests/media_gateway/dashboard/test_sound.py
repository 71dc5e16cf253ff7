"""A supervisor's microphone as a telephone's, against the reference coder of the demo engines."""

from __future__ import annotations

import random
from array import array

import numpy as np

from media_gateway.dashboard.sound import Narrow
from media_gateway.providers.mulaw import encode


def test_every_sample_is_coded_as_the_reference_does() -> None:
    samples = array("h", (sample for value in range(-32768, 32768) for sample in (value, value)))
    expected = encode(np.arange(-32768, 32768, dtype=np.int16))
    assert Narrow().feed(samples.tobytes()) == expected


def test_pieces_of_any_length_make_the_same_sound() -> None:
    rng = random.Random(7)
    pcm = rng.randbytes(3_999)
    narrow, out, at = Narrow(), b"", 0
    while at < len(pcm):
        size = rng.randint(0, 37)
        out += narrow.feed(pcm[at : at + size])
        at += size
    assert out == Narrow().feed(pcm)
    assert len(out) == 999
