"""Who spoke when: the tape against a line that knows it, over ways that are late, stand still and jitter."""

from __future__ import annotations

import random

import pytest

from media_gateway.voice.tape import HOLD_MS, Sounded, Tape, latest

FRAME = 160
QUIET = b"\xff"


def spans(track: bytes) -> list[tuple[float, float]]:
    """From when to when (ms) something sounds; pauses under 10 ms are none."""
    found: list[list[int]] = []
    for at, byte in enumerate(track):
        if byte != 0xFF:
            if found and at - found[-1][1] < 80:
                found[-1][1] = at + 1
            else:
                found.append([at, at + 1])
    return [(start / 8, end / 8) for start, end in found]


def taped(sounds: list[Sounded], until_ms: float, every_ms: float) -> tuple[bytes, bytes]:
    """Taken every so often, as the recorder does it: the caller's track and the assistant's."""
    tape, whole, now, at = Tape(0.0), b"", 0.0, 0
    while now < until_ms:
        now = min(until_ms, now + every_ms)
        due = [sound for sound in sounds[at:] if sound[0] <= now]
        tape.feed(due)
        at += len(due)
        whole += tape.take(now, end=now >= until_ms)
    return whole[0::2], whole[1::2]


def test_the_assistant_plays_behind_what_was_sent_and_a_clear_ends_it() -> None:
    sounds: list[Sounded] = [
        (100.0, 1, b"a" * 8_000),  # a second of sound, sent at once
        (150.0, 1, b"b" * 8_000),  # plays behind it
        (1_400.0, 1, b""),
        (3_000.0, 1, b"c" * 800),
    ]
    _, assistant = taped(sounds, 5_000, 700)
    assert spans(assistant) == [(100, 1_400), (3_000, 3_100)]
    assert assistant[800:8_800] == b"a" * 8_000
    assert assistant[8_800:11_200] == b"b" * 2_400


def test_what_was_not_played_when_the_call_ended_is_not_there() -> None:
    _, assistant = taped([(0.0, 1, b"a" * 80_000)], 2_500, 700)
    assert len(assistant) == 20_000
    assert spans(assistant) == [(0, 2_500)]


@pytest.mark.parametrize("every_ms", [300.0, 10_000.0])
@pytest.mark.parametrize("seed", range(6))
def test_the_caller_is_where_they_spoke_however_the_frames_came(seed: int, every_ms: float) -> None:
    """Frames are late by up to 60 ms, held up for up to 600 ms and come then in a burst; between two words the caller
    is silent, and once the line carries nothing for three seconds."""
    rand = random.Random(seed)
    truth, arrivals, spoken, stall = [(400, 1_400), (2_000, 2_600), (7_000, 9_000)], [], b"", 0.0
    last = 0.0
    for number in range(600):
        began = number * 20
        if 3_000 <= began < 6_000:
            continue  # nothing is sent: a muted line
        sounds = any(start <= began < end for start, end in truth)
        if rand.random() < 0.01:
            stall = began + rand.uniform(100, 600)
        last = max(last, began + 20 + rand.uniform(0, 60) * (rand.random() < 0.3), stall)
        frame = bytes([number % 250]) * FRAME if sounds else QUIET * FRAME
        arrivals.append((last, 0, frame))
        spoken += frame if sounds else b""
    caller, _ = taped(arrivals, 13_000, every_ms)
    assert caller.replace(QUIET, b"") == spoken, "not a sample is lost, doubled or out of order"
    for (start, end), (meant_start, meant_end) in zip(spans(caller), truth, strict=True):
        assert abs(start - meant_start) <= 40
        assert abs(end - meant_end) <= 40


def test_what_is_taken_is_gone_and_the_memory_with_it() -> None:
    tape = Tape(0.0)
    for number in range(3_000):
        tape.feed([(number * 20.0 + 20, 0, b"x" * FRAME)])
        if number % 50 == 0:
            tape.take(number * 20.0)
    assert tape.take(60_000.0 + HOLD_MS)
    assert tape.take(60_000.0 + HOLD_MS) == b""
    assert len(tape._caller) == 0


def test_latest() -> None:
    assert latest([]) == []
    assert latest([(160, 160), (320, 160)]) == [0, 160]
    assert latest([(900, 160), (900, 160)]) == [580, 740], "a burst moves back"
    assert latest([(160, 160), (9_000, 160)]) == [0, 8_840], "a pause stays one"
