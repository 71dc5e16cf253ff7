"""What is derived from a call's report."""

from __future__ import annotations

from dataclasses import replace

from infra.simulators.report import HeardSpan, Spoken, StreamSeen

from .test_expect import REPORT

STREAM = StreamSeen("MZ1", "wss://x", 1_000.0, 60_000.0, 1000, "", 20.0, {}, {}, 0.0, 0.0, 0.0)


def heard(start: float, end: float) -> HeardSpan:
    return HeardSpan(0, start, end, 0, 1, None, False)


def said(start: float, end: float) -> Spoken:
    return Spoken("line", "a line", start, end, over=False, complete=True)


def test_the_longest_silence_is_that_in_which_neither_speaks() -> None:
    call = replace(
        REPORT, streams=(STREAM,), heard=(heard(1_100, 4_000), heard(9_000, 9_500)), spoken=(said(4_700, 7_000),)
    )
    assert call.longest_silence_ms() == 2_000
    assert replace(call, spoken=()).longest_silence_ms() == 5_000
    talked_over = replace(call, heard=(heard(1_100, 4_000), heard(3_000, 3_500), heard(5_000, 5_500)), spoken=())
    assert talked_over.longest_silence_ms() == 1_000


def test_the_silence_before_the_first_sound_counts_and_that_after_the_last_does_not() -> None:
    assert replace(REPORT, streams=(STREAM,), heard=(heard(3_500, 4_000),)).longest_silence_ms() == 2_500
    assert replace(REPORT, streams=(STREAM,), spoken=(said(30_000, 31_000),)).longest_silence_ms() == 0
    assert REPORT.longest_silence_ms() == 0
