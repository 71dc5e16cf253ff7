from __future__ import annotations

import hashlib
from array import array

from hypothesis import given
from hypothesis import strategies as st

from infra.simulators import mulaw

ALL_SAMPLES = array("h", range(-32768, 32768)).tobytes()
ALL_CODES = bytes(range(256))


def test_bit_exact_with_the_reference_on_every_sample() -> None:
    """Digests of CPython's audioop.lin2ulaw and ulaw2lin (which 3.13 no longer has) over every possible input."""
    encoded = hashlib.sha256(mulaw.encode(ALL_SAMPLES)).hexdigest()
    decoded = hashlib.sha256(mulaw.decode(ALL_CODES)).hexdigest()
    assert encoded == "81d633c9e6972a18c74a58720b96cb8ca0bdd096d4060b646dd708c3b846019a"
    assert decoded == "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"


def test_the_table_is_the_function() -> None:
    samples = array("h", (0, 1, -1, 32767, -32768, 132, -132, 5000))
    assert list(mulaw.encode(samples.tobytes())) == [mulaw.encode_sample(sample) for sample in samples]


def test_silence_is_silence() -> None:
    assert mulaw.decode(mulaw.SILENCE) == b"\x00\x00"
    assert not mulaw.is_loud(mulaw.SILENCE * 160)
    assert mulaw.audible_end(b"\x7f\xfe\xff\x7e") == 0


def test_a_tenth_of_a_frame_makes_it_loud() -> None:
    assert not mulaw.is_loud(b"\x20" * 16 + mulaw.SILENCE * 144)
    assert mulaw.is_loud(b"\x20" * 17 + mulaw.SILENCE * 143)
    assert not mulaw.is_loud(b"\x70\xf0" * 80), "line noise, however much of it"


@given(st.binary(max_size=400))
def test_what_was_decoded_encodes_to_itself(audio: bytes) -> None:
    """But for the second zero (0x7f), which is the first one's (0xff) other name."""
    assert mulaw.encode(mulaw.decode(audio)) == audio.replace(b"\x7f", b"\xff")


@given(st.binary(max_size=50), st.integers(0, 50))
def test_audible_end(audio: bytes, quiet: int) -> None:
    end = mulaw.audible_end(audio + mulaw.SILENCE * quiet)
    assert end <= len(audio)
    assert end == 0 or audio[end - 1] not in mulaw.QUIET
    assert not audio[end:].strip(mulaw.QUIET)
