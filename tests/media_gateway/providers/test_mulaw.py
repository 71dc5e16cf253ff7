"""The tables against a plain reading of G.711, and the filters against what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from infra.simulators import mulaw as plain
from media_gateway.providers import mulaw


def test_every_sample_is_encoded_bit_for_bit_as_the_reference_does() -> None:
    samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    expected = bytes(plain.encode_sample(int(sample)) for sample in samples)
    assert mulaw.encode(samples) == expected


def test_every_code_is_decoded_as_the_reference_does() -> None:
    decoded = mulaw.decode(bytes(range(256)))
    assert decoded.tolist() == [plain.decode_sample(code) for code in range(256)]


def test_a_decoded_byte_encodes_to_itself_except_negative_zero() -> None:
    codes = bytes(range(256))
    assert [back for code, back in zip(codes, mulaw.encode(mulaw.decode(codes)), strict=True) if code != back] == [0xFF]


def _tone(hertz: float, rate: int) -> mulaw.Wave:
    return np.asarray(1000 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate), dtype=np.float64)


def _decibels(wave: mulaw.Wave) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(wave[400:-400] ** 2)) / (1000 / np.sqrt(2))))


@pytest.mark.parametrize("rate", [16000, 22050, 24000])
def test_resampling_keeps_speech_and_lets_no_alias_through(rate: int) -> None:
    assert _decibels(mulaw.resample(_tone(1000, rate), rate)) == pytest.approx(0, abs=0.1)
    assert _decibels(mulaw.resample(_tone(3000, rate), rate)) == pytest.approx(0, abs=0.5)
    assert _decibels(mulaw.resample(_tone(6000, rate), rate)) < -60


@pytest.mark.parametrize("count", [0, 1, 7, 22050])
def test_resampling_gives_as_many_samples_as_the_time_holds(count: int) -> None:
    assert len(mulaw.resample(np.ones(count), 22050)) == count * 8000 // 22050


def test_doubling_in_pieces_is_doubling_at_once() -> None:
    wave = np.random.default_rng(0).normal(0, 1000, 960)
    whole, pieces = mulaw.Doubler(), mulaw.Doubler()
    together = np.concatenate([pieces.feed(wave[at : at + 240]) for at in range(0, 960, 240)])
    assert np.array_equal(whole.feed(wave), together)
    assert len(together) == 1920


def test_loud_waves_are_clipped_not_wrapped() -> None:
    assert mulaw.to_pcm(np.array([40000.0, -40000.0, 1.6])).tolist() == [32767, -32768, 2]
