"""Who is kept waiting is told to the log, where an alert counts it; who is not is not."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from media_gateway.voice import pace
from media_gateway.voice.pace import LIMITS_MS, BargeIn, missed
from media_gateway.voice.ports import Final, Partial, SpeechEnded, SpeechStarted
from realtime.events import EventType
from tests.media_gateway.voice.stage import call

pytestmark = pytest.mark.anyio

QUICK = {"endpointing": 700, "thinking": 800, "clause": 100, "voicing": 300, "sending": 100, "playing": 900}


def told(lines: list[MutableMapping[str, Any]], event: str) -> list[MutableMapping[str, Any]]:
    return [line for line in lines if line["event"] == event]


def test_at_the_limits_nothing_is_missed() -> None:
    assert missed(QUICK) == {}
    assert missed({}) == {}


@pytest.mark.parametrize(
    ("stages", "what"),
    [
        (QUICK | {"thinking": 801}, {"thinking": 801, "whole": 2_001}),
        (QUICK | {"voicing": 301, "endpointing": 0}, {"speaking": 501}),
        (QUICK | {"endpointing": 701}, {"whole": 2_001}),
        (QUICK | {"tools": 1}, {"whole": 2_001, "tools": 1}),
        (QUICK | {"voicing": 301, "tools": 900}, {"speaking": 501, "whole": 2_901}),
        ({"endpointing": 100, "thinking": 900}, {"thinking": 900}),
        ({"endpointing": 100, "thinking": 10, "clause": 5_000}, {}),
    ],
    ids=[
        "model",
        "voice",
        "recogniser",
        "tools",
        "too slow without them",
        "cut before the first clause",
        "cut before the first sound",
    ],
)
def test_what_was_missed_is_named(stages: dict[str, int], what: dict[str, int]) -> None:
    assert missed(stages) == what


def test_the_first_sign_counts_and_a_cough_is_none() -> None:
    barge_in = BargeIn()
    assert barge_in.silenced(0.0) is None
    barge_in.sign(1_000.0)
    barge_in.sign(1_150.0)
    assert barge_in.silenced(1_201.0) == 201
    barge_in.sign(2_000.0)
    barge_in.nothing()
    barge_in.sign(2_500.0)
    assert barge_in.silenced(2_700.0) is None
    assert barge_in.silenced(9_000.0) is None


async def test_a_slow_turn_is_told_once_without_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LIMITS_MS", {**LIMITS_MS, "thinking": 100, "speaking": 60_000, "whole": 60_000})
    with capture_logs() as lines:
        async with call(tmp_path) as stage:
            stage.begin()
            await stage.greeted()
            stage.say("hello")
            await stage.written(EventType.TURN_METRICS, 2)
            assert told(lines, "turn_slow") == []
            stage.mind.delay = 0.15
            stage.say("hello again")
            await stage.written(EventType.TURN_METRICS, 3)
    (line,) = told(lines, "turn_slow")
    assert line["thinking"] > 100
    assert line.keys() == {"event", "log_level", "call_id", "turn", "thinking"}


async def test_talking_on_over_the_caller_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LIMITS_MS", {**LIMITS_MS, "barge_in": 40})
    with capture_logs() as lines:
        async with call(tmp_path) as stage:
            stage.begin()
            await stage.greeted()
            stage.say("long")
            await stage.phase("speaking")
            stage.hear(SpeechStarted())
            stage.hear(SpeechEnded())  # it was nothing
            await asyncio.sleep(0.06)
            stage.hear(SpeechStarted())
            stage.hear(Partial("what are your"))
            stage.hear(Final("what are your hours, long", 0.9))
            await stage.phase("speaking")
            assert told(lines, "barge_in_slow") == []
            stage.hear(SpeechStarted())
            await asyncio.sleep(0.06)
            stage.hear(Partial("and on sundays"))
    (line,) = told(lines, "barge_in_slow")
    assert line["ms"] > 40
    assert line.keys() == {"event", "log_level", "call_id", "ms"}


async def test_an_interjection_over_one_answer_is_no_sign_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LIMITS_MS", {**LIMITS_MS, "barge_in": 40})
    with capture_logs() as lines:
        async with call(tmp_path) as stage:
            stage.begin()
            await stage.phase("speaking")
            stage.hear(Partial("okay"))  # and nothing more of it: Flux does not say that a sound has ended
            await stage.greeted()
            await asyncio.sleep(0.06)
            stage.say("long")
            await stage.phase("speaking")
            stage.hear(Partial("and on sundays"))
            await stage.phase("held")
    assert told(lines, "barge_in_slow") == []
