"""ElevenLabs' contexts: the documented sequences, hostile ones, and its limits under any use."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from elevenlabs.types import WebsocketTtsClientMessageMulti
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulators.vendor_faults import GARBAGE
from media_gateway.providers.elevenlabs_speech import AHEAD, CONTEXTS, KEEP_ALIVE_S, STUCK_S, ElevenLabsSpeech
from media_gateway.providers.speech_steps import FIRST_SOUND_S, STALL_S, Step
from media_gateway.voice.ports import SpokenAudio, SpokenEnd, VoiceFailed

SOUND = b"\x2a" * 800


def bodies(steps: Sequence[Step]) -> list[dict[str, Any]]:
    found = [json.loads(step) for step in steps if isinstance(step, str)]
    for body in found:
        WebsocketTtsClientMessageMulti.model_validate(body)
    return found


def news(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if not isinstance(step, str)]


def audio(context: str, chars: str = "", *, each: int = 10) -> str:
    alignment = {
        "chars": list(chars),
        "charStartTimesMs": [n * each for n in range(len(chars))],
        "charDurationsMs": [each] * len(chars),
    }
    told = alignment if chars else None
    return json.dumps({"audio": base64.b64encode(SOUND).decode(), "contextId": context, "alignment": told})


def final(context: str, *, old: bool = False) -> str:
    return json.dumps({"is_final" if old else "isFinal": True, "contextId": context})


def test_a_clause_is_a_context_of_its_own() -> None:
    speech = ElevenLabsSpeech({"stability": 0.5})
    assert bodies(speech.say(0, 1, 1, "One two.")) == [
        {"text": " ", "context_id": "c1", "voice_settings": {"stability": 0.5}},
        {"text": "One two. ", "context_id": "c1", "flush": True},
        {"context_id": "c1", "close_context": True},
    ]
    (spoken,) = speech.received(0.1, audio("c1", "One two."))
    assert spoken == SpokenAudio(1, 1, SOUND, ((3, 30), (8, 80)))
    assert speech.received(0.2, final("c1")) == [SpokenEnd(1, 1)]


@pytest.mark.parametrize("old", [False, True])
def test_the_next_clause_waits_for_its_turn(old: bool) -> None:
    speech = ElevenLabsSpeech()
    speech.say(0, 1, 1, "One.")
    speech.say(0, 1, 2, "Two.")
    assert bodies(speech.say(0, 1, 3, "Three.")) == [], "two at a time"
    assert speech.received(0.1, audio("c2")) == []
    assert speech.received(0.1, final("c2", old=old)) == []
    assert news(speech.received(0.2, audio("c1"))) == [SpokenAudio(1, 1, SOUND)]
    steps = speech.received(0.3, final("c1", old=old))
    assert news(steps) == [SpokenEnd(1, 1), SpokenAudio(1, 2, SOUND), SpokenEnd(1, 2)]
    assert {body["context_id"] for body in bodies(steps)} == {"c3"}


def test_timings_go_on_from_chunk_to_chunk() -> None:
    speech = ElevenLabsSpeech()
    speech.say(0, 1, 1, "One two three.")
    first, second = speech.received(0.1, audio("c1", " One tw")), speech.received(0.1, audio("c1", "o three. "))
    assert [step.timing for step in (*first, *second) if isinstance(step, SpokenAudio)] == [
        ((3, 40),),
        ((7, 10), (14, 80)),
    ]


def test_an_alignment_of_another_text_is_not_believed() -> None:
    speech = ElevenLabsSpeech()
    speech.say(0, 1, 1, "One two three.")
    for chars in ("One", "twoo", " three."):
        (spoken,) = speech.received(0.1, audio("c1", chars))
        assert isinstance(spoken, SpokenAudio)
        assert spoken.timing == (((3, 30),) if chars == "One" else ())


def test_what_is_given_up_is_not_heard_any_more() -> None:
    speech = ElevenLabsSpeech()
    speech.say(0, 1, 1, "One.")
    speech.say(0, 1, 2, "Two.")
    speech.cancel(0.1, 1)
    assert speech.received(0.2, audio("c1")) == []
    speech.say(0.2, 2, 1, "Yes.")
    assert speech.received(0.3, final("c1")) == []
    assert speech.received(0.3, audio("c3")) == [SpokenAudio(2, 1, SOUND)]
    assert speech.received(0.4, audio("c2")) == []
    assert speech.received(0.5, final("c3")) == [SpokenEnd(2, 1)]


def test_a_place_is_free_only_after_its_final() -> None:
    """A caller who keeps interrupting: the contexts that were given up count until the vendor ends them."""
    speech, asked = ElevenLabsSpeech(), 0
    for reply in range(1, 9):
        asked += len(bodies(speech.say(0, reply, 1, "One."))) // 3
        speech.cancel(0, reply)
    assert asked == CONTEXTS
    speech.say(0.5, 9, 1, "Nine.")
    assert bodies(speech.received(0.6, final("c1"))), "now there is a place"
    speech.say(0.7, 9, 2, "Ten.")
    wakes = speech.wakes_at(0.7)
    assert wakes is not None
    assert wakes <= 0.7 + STUCK_S


def test_places_that_never_come_free_are_a_fault() -> None:
    speech = ElevenLabsSpeech()
    for reply in range(1, 8):
        speech.say(0, reply, 1, "One.")
        speech.cancel(0, reply)
    speech.say(1, 9, 1, "Nine.")
    (failed,) = speech.tick(speech.wakes_at(1) or 0)
    assert isinstance(failed, VoiceFailed)
    assert failed.kind == "busy"


@pytest.mark.parametrize("sounded", [False, True])
def test_silence_before_the_end_is_a_stall(sounded: bool) -> None:
    speech = ElevenLabsSpeech()
    speech.say(0, 1, 1, "One.")
    if sounded:
        speech.received(0.3, audio("c1"))
    due = speech.wakes_at(0.3)
    assert due == (0.3 + STALL_S if sounded else FIRST_SOUND_S)
    (failed,) = speech.tick(due)
    assert isinstance(failed, VoiceFailed)
    assert (failed.kind, failed.provider) == ("timeout", "elevenlabs")
    assert speech.say(due, 1, 2, "Two.") == []


def test_a_quiet_connection_shows_that_it_lives() -> None:
    speech = ElevenLabsSpeech()
    assert speech.wakes_at(5) == 5 + KEEP_ALIVE_S
    assert bodies(speech.tick(5 + KEEP_ALIVE_S)) == [{"text": ""}]
    assert speech.wakes_at(5 + KEEP_ALIVE_S) == 5 + 2 * KEEP_ALIVE_S


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("max_active_conversations", "busy"),
        ("quota_exceeded", "busy"),
        ("invalid_api_key", "unauthorized"),
        ("input_timeout_exceeded", "timeout"),
        ("something_new", "broken"),
    ],
)
def test_the_vendors_own_errors(error: str, kind: str) -> None:
    (failed,) = ElevenLabsSpeech().received(0, json.dumps({"message": "x", "error": error, "code": 1008}))
    assert failed == VoiceFailed(kind, error, "elevenlabs")


HOSTILE = (
    *GARBAGE,
    final("c1"),
    final("c9"),
    final(""),
    '{"audio":"!!","contextId":"c1"}',
    '{"audio":7,"contextId":"c1"}',
    '{"audio":"","contextId":"c1"}',
    '{"contextId":"c1","alignment":{"chars":"x"}}',
    '{"audio":"KioqKg==","contextId":"c1","alignment":{"chars":["O","n"],"charStartTimesMs":[1]}}',
    '{"audio":"KioqKg=="}',
)


@pytest.mark.parametrize("junk", HOSTILE)
def test_hostile_messages_are_survived(junk: str | bytes) -> None:
    for asked in (False, True):
        speech = ElevenLabsSpeech()
        if asked:
            speech.say(0, 1, 1, "One.")
            speech.say(0, 1, 2, "Two.")
        for _ in range(5):
            for step in speech.received(0.1, junk):
                assert isinstance(step, VoiceFailed | SpokenAudio)


OPS = st.tuples(
    st.sampled_from(["say", "say", "say", "cancel", "next", "audio", "final", "wait", "tick"]), st.integers(0, 40)
)


@settings(max_examples=300, deadline=None)
@given(st.lists(OPS, max_size=120))
def test_any_use_keeps_the_limits_and_the_order(ops: list[tuple[str, int]]) -> None:
    speech, now, reply, clause = ElevenLabsSpeech(), 0.0, 1, 0
    open_contexts: list[str] = []
    spoken: list[tuple[int, int]] = []
    cancelled: set[int] = set()
    for op, n in ops:
        steps: Sequence[Step] = ()
        name = open_contexts[n % len(open_contexts)] if open_contexts else "c0"
        match op:
            case "say":
                clause += 1
                steps = speech.say(now, reply, clause, "word " * (n + 1))
            case "cancel":
                cancelled.add(reply)
                steps = speech.cancel(now, reply)
                reply, clause = reply + 1, 0
            case "next":
                reply, clause = reply + 1, 0
            case "audio":
                steps = speech.received(now, audio(name, "word"))
            case "final":
                steps = speech.received(now, final(name))
                open_contexts = [one for one in open_contexts if one != name]
            case "wait":
                now += n / 20
            case _:
                now = max(now, speech.wakes_at(now) or now)
                steps = speech.tick(now)
        for step in steps:
            if isinstance(step, str):
                body = json.loads(step)
                if body.get("text") == " ":
                    open_contexts.append(body["context_id"])
            elif isinstance(step, SpokenAudio | SpokenEnd):
                assert step.reply not in cancelled, "what was given up sounds"
                spoken.append((step.reply, step.clause))
        assert len(open_contexts) <= CONTEXTS
        assert AHEAD <= CONTEXTS
    assert spoken == sorted(spoken)
