"""Deepgram's `speak`: the documented sequences, hostile ones, and its limits under any use."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulators.vendor_faults import GARBAGE
from media_gateway.providers.deepgram_speech import CHARACTERS, CLEAR_S, FLUSHES, LONGEST, WINDOW_S, DeepgramSpeech
from media_gateway.providers.speech_steps import FIRST_SOUND_S, STALL_S, Step
from media_gateway.voice.ports import SpokenAudio, SpokenEnd, SpokenTogether, VoiceFailed, VoiceTrouble

FLUSHED = '{"type":"Flushed","sequence_id":0}'
CLEARED = '{"type":"Cleared","sequence_id":0}'
SECOND = b"\x2a" * 8_000


def kinds(steps: Sequence[Step]) -> list[str]:
    return [json.loads(step)["type"] for step in steps if isinstance(step, str)]


def news(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if not isinstance(step, str)]


def test_the_first_clause_is_flushed_at_once_and_the_rest_at_the_end() -> None:
    speech = DeepgramSpeech()
    assert kinds(speech.say(0, 1, 1, "One.")) == ["Speak", "Flush"]
    assert kinds(speech.say(0, 1, 2, "Two.")) == ["Speak"]
    third = speech.say(0, 1, 3, "Three.")
    assert kinds(third) == ["Speak"]
    assert news(third) == [SpokenTogether(1, 2, 3)]
    assert kinds(speech.done(0, 1)) == ["Flush"]
    assert speech.received(0.1, SECOND) == [SpokenAudio(1, 1, SECOND)]
    assert speech.received(0.2, FLUSHED) == [SpokenEnd(1, 1)]
    assert speech.received(0.3, SECOND) == [SpokenAudio(1, 2, SECOND)]
    assert speech.received(0.4, FLUSHED) == [SpokenEnd(1, 2)]
    assert speech.wakes_at(0.5) is None


def test_what_waits_is_flushed_before_the_sound_runs_out() -> None:
    speech = DeepgramSpeech()
    speech.say(0, 1, 1, "One.")
    speech.received(0.1, SECOND)
    speech.received(0.2, FLUSHED)
    assert kinds(speech.say(0.2, 1, 2, "Two.")) == ["Speak"]
    wakes = speech.wakes_at(0.2)
    assert wakes is not None
    assert 0.2 < wakes < 1.1
    assert kinds(speech.tick(wakes)) == ["Flush"]


def test_what_is_given_up_is_not_heard_any_more() -> None:
    speech = DeepgramSpeech()
    speech.say(0, 1, 1, "One.")
    assert kinds(speech.cancel(0.1, 1)) == ["Clear"]
    assert kinds(speech.say(0.1, 2, 1, "Yes.")) == ["Speak", "Flush"]
    assert speech.received(0.2, SECOND) == []
    assert speech.received(0.2, FLUSHED) == []
    assert speech.received(0.2, CLEARED) == []
    assert speech.received(0.3, SECOND) == [SpokenAudio(2, 1, SECOND)]
    assert speech.received(0.4, FLUSHED) == [SpokenEnd(2, 1)]


def test_giving_up_one_reply_does_not_lose_the_next_one() -> None:
    speech = DeepgramSpeech()
    speech.say(0, 1, 1, "One.")
    speech.say(0, 2, 1, "Two.")
    assert kinds(speech.cancel(0.1, 1)) == ["Clear", "Speak", "Flush"]


def test_nothing_is_cleared_when_nothing_is_asked_for() -> None:
    speech = DeepgramSpeech()
    assert speech.cancel(0, 1) == []


@pytest.mark.parametrize("sounded", [False, True])
def test_silence_before_the_end_is_a_stall(sounded: bool) -> None:
    speech = DeepgramSpeech()
    speech.say(0, 1, 1, "One.")
    if sounded:
        speech.received(0.3, SECOND)
    due = speech.wakes_at(0.3)
    assert due == (0.3 + STALL_S if sounded else FIRST_SOUND_S)
    (failed,) = speech.tick(due)
    assert isinstance(failed, VoiceFailed)
    assert (failed.kind, failed.provider) == ("timeout", "deepgram")
    assert speech.say(due, 1, 2, "Two.") == []
    assert speech.wakes_at(due) is None


def test_a_clear_that_is_never_answered_is_a_stall() -> None:
    speech = DeepgramSpeech()
    speech.say(0, 1, 1, "One.")
    speech.cancel(0.1, 1)
    assert speech.wakes_at(0.1) == 0.1 + CLEAR_S
    assert isinstance(speech.tick(0.1 + CLEAR_S)[0], VoiceFailed)


def test_an_end_without_a_sound_is_a_fault() -> None:
    speech = DeepgramSpeech()
    speech.say(0, 1, 1, "One.")
    (failed,) = speech.received(0.1, FLUSHED)
    assert isinstance(failed, VoiceFailed)


def test_warnings_are_told_and_errors_end_it() -> None:
    speech = DeepgramSpeech()
    assert speech.received(0, '{"type":"Warning","code":"X","description":"y"}') == [
        VoiceTrouble("deepgram", "busy", "X")
    ]
    assert isinstance(speech.received(0, '{"type":"Error","code":"NET-0000"}')[0], VoiceFailed)
    assert speech.received(0, SECOND) == []


@pytest.mark.parametrize("junk", [*GARBAGE, FLUSHED, CLEARED, '{"type":"Metadata"}', b"", '{"type":null}', "7"])
def test_hostile_messages_are_survived(junk: str | bytes) -> None:
    for asked in (False, True):
        speech = DeepgramSpeech()
        if asked:
            speech.say(0, 1, 1, "One.")
            speech.say(0, 1, 2, "Two.")
        for _ in range(5):
            for step in speech.received(0.1, junk):
                assert isinstance(step, VoiceFailed | SpokenAudio)


def test_a_very_long_text_goes_in_pieces() -> None:
    steps = DeepgramSpeech().say(0, 1, 1, "word " * 430)
    texts = [json.loads(step).get("text", "") for step in steps if isinstance(step, str)]
    assert max(len(text) for text in texts) <= LONGEST
    assert "".join(texts).split() == ["word"] * 430


def test_a_chatty_call_keeps_to_the_flushes_of_a_minute() -> None:
    """A reply of many clauses every two seconds: more than one connection may do. It says so; it does not try."""
    speech, now, failed = DeepgramSpeech(), 0.0, False
    flushes = list[float]()
    for reply in range(60):
        steps: list[Step] = []
        for clause in range(4):
            steps += speech.say(now, reply, clause, "Yes, of course.")
        steps += speech.done(now, reply)
        while "Flush" in kinds(steps):
            flushes += [now] * kinds(steps).count("Flush")
            now += 0.1
            steps = [step for _ in range(2) for step in (*speech.received(now, SECOND), *speech.received(now, FLUSHED))]
            failed |= any(isinstance(step, VoiceFailed) for step in steps)
        failed |= any(isinstance(step, VoiceFailed) for step in steps)
        now += 1.8
    assert failed
    assert all(sum(at - WINDOW_S < one <= at for one in flushes) <= FLUSHES for at in flushes)


OPS = st.tuples(
    st.sampled_from(["say", "say", "say", "done", "cancel", "next", "sound", "flushed", "cleared", "wait", "tick"]),
    st.integers(1, 400),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(OPS, max_size=120))
def test_any_use_keeps_the_limits_and_the_order(ops: list[tuple[str, int]]) -> None:
    speech, now, reply, clause = DeepgramSpeech(), 0.0, 1, 0
    sent: list[tuple[float, str, int]] = []
    ended: list[tuple[int, int]] = []
    cancelled: set[int] = set()
    for op, n in ops:
        steps: Sequence[Step] = ()
        match op:
            case "say":
                clause += 1
                steps = speech.say(now, reply, clause, "word " * (n % 60 + 1))
            case "done":
                steps = speech.done(now, reply)
            case "cancel":
                cancelled.add(reply)
                steps = speech.cancel(now, reply)
                reply, clause = reply + 1, 0
            case "next":
                steps = speech.done(now, reply)
                reply, clause = reply + 1, 0
            case "sound":
                steps = speech.received(now, bytes(n))
            case "flushed":
                steps = speech.received(now, FLUSHED)
            case "cleared":
                steps = speech.received(now, CLEARED)
            case "wait":
                now += n / 100
            case _:
                wakes = speech.wakes_at(now)
                now = max(now, wakes) if wakes not in (None, float("inf")) else now
                steps = speech.tick(now)
        for step in steps:
            if isinstance(step, str):
                body = json.loads(step)
                sent.append((now, body["type"], len(body.get("text", ""))))
            elif isinstance(step, SpokenAudio | SpokenEnd):
                assert step.reply not in cancelled, "what was given up sounds"
                if isinstance(step, SpokenEnd):
                    ended.append((step.reply, step.clause))
    assert ended == sorted(ended)
    for at, _, _ in sent:
        window = [(kind, size) for when, kind, size in sent if at - WINDOW_S < when <= at]
        assert sum(kind == "Flush" for kind, _ in window) <= FLUSHES
        assert sum(size for _, size in window) <= CHARACTERS
