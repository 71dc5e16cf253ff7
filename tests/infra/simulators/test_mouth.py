from __future__ import annotations

import pytest

from infra.simulators.clips import Clip
from infra.simulators.mouth import QUIET_FRAME, Mouth

LINE = Clip("line", "test", "words", b"\xff" * 160 + b"\x20" * 200)


def test_silence_when_there_is_nothing_to_say() -> None:
    mouth = Mouth(keep_audio=True)
    assert mouth.next_frame(0, due_us=0) == QUIET_FRAME == b"\xff" * 160
    assert (mouth.audio, mouth.spoken, mouth.speaking) == ([], [], False)


def test_a_line_in_frames_the_last_one_filled_up() -> None:
    mouth = Mouth(keep_audio=True)
    mouth.say(LINE, over=True)
    frames = [mouth.next_frame(now, due_us=now - 7) for now in (1007, 21_007, 41_007)]
    assert b"".join(frames) == LINE.audio.ljust(480, b"\xff")
    assert not mouth.speaking
    (spoken,) = mouth.spoken
    assert (spoken.start_ms, spoken.end_ms, spoken.over, spoken.complete) == (1.0, 61.0, True, True)
    assert [at for at, _ in mouth.audio] == [1000, 21_000, 41_000]


def test_barge_in_is_measured_from_the_first_frame_that_is_heard() -> None:
    mouth = Mouth()
    mouth.say(LINE, over=True)
    mouth.next_frame(1000, due_us=1000)
    assert mouth.sound_since_us(1000) is None
    mouth.next_frame(21_500, due_us=21_000)
    assert mouth.sound_since_us(21_500) == 21_500
    mouth.next_frame(41_000, due_us=41_000)
    assert mouth.spoken
    assert mouth.sound_since_us(2_061_000) == 21_500, "a line said just now still counts"
    assert mouth.sound_since_us(2_061_001) is None


def test_a_line_cut_short_says_so() -> None:
    mouth = Mouth()
    mouth.say(LINE, over=False)
    mouth.next_frame(1000, due_us=1000)
    mouth.stop(9000)
    mouth.stop(9000)
    (spoken,) = mouth.spoken
    assert (spoken.end_ms, spoken.complete) == (9.0, False)


def test_one_line_at_a_time() -> None:
    mouth = Mouth()
    mouth.say(LINE, over=False)
    with pytest.raises(AssertionError):
        mouth.say(LINE, over=False)
