"""When the caller's line becomes loud: real codes, no recogniser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulators import clips
from media_gateway.voice.onset import LOUD_MS, QUIET_MS, Onset

FRAME_MS = 20
QUIET = b"\xff" * 160
LOUD = b"\x9c" * 160
SOFT = b"\xe8" * 160
"""Some -43 dB: the noise of a room."""


def heard(frames: list[bytes]) -> list[tuple[int, bool]]:
    """What is told, and at the end of which ms."""
    onset, told = Onset(), list[tuple[int, bool]]()
    for number, frame in enumerate(frames):
        change = onset.feed(frame)
        if change is not None:
            told.append(((number + 1) * FRAME_MS, change))
    return told


def test_it_is_told_once_it_is_loud_for_long_enough_and_once_it_is_over() -> None:
    told = heard([QUIET] * 20 + [LOUD] * 20 + [QUIET] * 20)
    assert told == [(QUIET_MS, False), (400 + LOUD_MS, True), (800 + QUIET_MS, False)]


def test_how_long_ago_it_began() -> None:
    onset = Onset()
    for frame in [QUIET] * 20 + [LOUD] * 3 + [QUIET] + [LOUD]:
        assert not onset.feed(frame)
    assert onset.feed(LOUD) is True
    assert onset.age_ms == 6 * FRAME_MS


@pytest.mark.parametrize("frame", [QUIET, SOFT])
def test_a_soft_line_is_never_loud(frame: bytes) -> None:
    assert heard([frame] * 100) == [(QUIET_MS, False)]


def test_a_noisy_line_never_begins() -> None:
    assert heard([LOUD] * 500) == []


@pytest.mark.parametrize("loud", [1, 3, 4])
def test_a_click_is_too_short(loud: int) -> None:
    frames = [QUIET] * 20 + ([LOUD] * loud + [QUIET] * 4) * 20
    assert heard(frames) == [(QUIET_MS, False)]


@pytest.mark.parametrize("clip", ["at_three", "need_oil_change", "tomorrow_at_two", "wait_stop"])
def test_people_are_noticed_within_a_fifth_of_a_second(clip: str) -> None:
    """From the first frame that anybody would hear (-45 dB) to the word that the line is loud."""
    audio = clips.load(clip, "rms").audio
    frames = [audio[at : at + 160] for at in range(0, len(audio), 160)]
    audible = next(n for n, frame in enumerate(frames) if sum(code & 0x7F < 0x68 for code in frame) > 16)
    (begun, on), *_ = [(ms, on) for ms, on in heard([QUIET] * 20 + frames) if on]
    assert on
    assert begun - 400 - audible * FRAME_MS <= 200


@given(st.lists(st.binary(max_size=400), max_size=80))
def test_any_bytes(frames: list[bytes]) -> None:
    """On and off in turn, whatever comes, and the age is never less than what was loud."""
    onset, was = Onset(), True
    for frame in frames:
        change = onset.feed(frame)
        if change is None:
            continue
        assert change is not was
        was = change
        if change:
            assert onset.age_ms >= LOUD_MS
