"""Where speech begins and ends, without any sound."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.providers.ears_endpoint import FRAME_MS, Endpoint, ended, step

LOUD, QUIET = (True, 2000.0), (False, 10.0)


def _run(frames: Iterable[tuple[bool, float]], start: Endpoint | None = None) -> Endpoint:
    now = start or Endpoint()
    for vad, rms in frames:
        now = step(now, vad=vad, rms=rms)
    return now


def test_four_voiced_frames_of_six_begin_speech() -> None:
    assert not _run([QUIET, LOUD, LOUD, LOUD]).speaking
    assert _run([QUIET, LOUD, LOUD, QUIET, LOUD, LOUD]).speaking


def test_a_click_never_begins_speech() -> None:
    assert not _run([LOUD, LOUD, LOUD, *[QUIET] * 10] * 5).speaking


def test_silence_counts_from_the_last_voiced_frame() -> None:
    talking = _run([LOUD] * 10)
    assert _run([QUIET] * 5, talking).silence_ms == 5 * FRAME_MS
    assert _run([QUIET] * 5 + [LOUD], talking).silence_ms == 0


def test_a_steady_hum_that_the_detector_takes_for_speech_stops_counting() -> None:
    hum = (True, 300.0)
    raised = _run([(False, 300.0)] * 1000)
    assert not _run([hum] * 50, raised).speaking


def test_a_whisper_below_the_audible_is_not_speech() -> None:
    assert not _run([(True, 90.0)] * 50).speaking


def test_after_a_turn_it_listens_anew_and_remembers_the_noise() -> None:
    talking = _run([LOUD] * 10)
    fresh = ended(talking)
    assert (fresh.speaking, fresh.recent, fresh.floor) == (False, (), talking.floor)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 32768)), max_size=200))
def test_the_numbers_stay_sane(frames: list[tuple[bool, float]]) -> None:
    now = Endpoint()
    for vad, rms in frames:
        now = step(now, vad=vad, rms=rms)
        assert now.silence_ms <= now.length_ms
        assert len(now.recent) <= 6
        assert now.floor >= 20
