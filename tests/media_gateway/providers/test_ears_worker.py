"""The real recogniser on the committed clips of synthetic callers: what it hears, and what it admits not to."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import jiwer
import numpy as np
import pytest

from infra.simulators import clips
from media_gateway.providers import mulaw
from media_gateway.providers.ears_model import NoPhrases
from media_gateway.providers.ears_worker import Recogniser
from tests.media_gateway.providers.hearing import LEAD, TAIL, finals, flow_phrases, hear, text_of

_KEYS = [(voice, name) for voice, name in (key.split("/") for key in sorted(clips.manifest())) if voice != clips.NOISE]
_IN_DOMAIN = [clips.load(name, voice) for voice, name in _KEYS if clips.load(name, voice).in_domain]
_OF_OTHER_FLOWS = {"it_was_great", "it_was_terrible", "i_will", "that_is_wrong", "wrong_number", "cancel_it"}
"""What callers of this flow do not say: its phrases are not in the model that is asked here."""
_OTHERS = [clips.load(name, voice) for voice, name in _KEYS if not clips.load(name, voice).in_domain]


def test_a_caller_of_the_flow_is_heard(record_property: Callable[[str, object], None]) -> None:
    callers = [clip for clip in _IN_DOMAIN if clip.name not in _OF_OTHER_FLOWS]
    said = [clip.text for clip in callers]
    heard = [text_of(hear(clip.audio)) for clip in callers]
    rate = jiwer.wer(said, heard)
    record_property("word_error_rate_synthetic_callers", round(rate, 3))
    print(f"word error rate, synthetic callers, {len(said)} clips: {rate:.1%}")
    assert rate < 0.12


def test_nearly_all_of_it_is_understood_and_none_of_the_rest() -> None:
    understood = [finals(hear(clip.audio))[0]["understood"] for clip in _IN_DOMAIN]
    assert sum(understood) >= 0.9 * len(understood)
    others = [final for clip in _OTHERS for final in finals(hear(clip.audio))]
    assert others
    assert not any(final["understood"] for final in others)


def test_the_sentence_of_the_first_call_is_heard_word_for_word() -> None:
    for voice in ("rms", "kal16"):
        for name in ("need_oil_change", "tomorrow_at_two", "plain_yes"):
            clip = clips.load(name, voice)
            assert text_of(hear(clip.audio)) == clip.text


def test_partials_grow_while_the_caller_speaks_and_the_final_says_how_long_ago_they_stopped() -> None:
    events = hear(clips.load("need_oil_change", "rms").audio)
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1], kinds.count("final")) == ("started", "final", 1)
    partials = [event["text"] for event in events if event["event"] == "partial"]
    assert len(partials) >= 3
    assert all(before != after for before, after in pairwise(partials))
    assert 600 <= events[-1]["speech_end_ms"] < 660


def test_the_same_clip_in_another_call_is_heard_the_same() -> None:
    clip = clips.load("tomorrow_at_two_afternoon", "kal16").audio
    assert hear(clip) == hear(clip)


def test_how_the_sound_is_cut_does_not_matter() -> None:
    clip = clips.load("speak_to_manager", "rms").audio
    assert hear(clip, frame=160) == hear(clip, frame=977) == hear(clip, frame=100_000)


def test_several_turns_in_a_call_each_end() -> None:
    said = [clips.load(name, "rms") for name in ("need_oil_change", "tomorrow_at_two", "yes_please", "goodbye")]
    assert [final["text"] for final in finals(hear(*(clip.audio for clip in said)))] == [clip.text for clip in said]


def test_a_cough_is_sound_without_a_turn() -> None:
    events = hear(clips.load("cough", clips.NOISE).audio)
    assert events[-1]["event"] == "ended"
    assert not finals(events)


def test_silence_and_faint_noise_are_nothing() -> None:
    hiss = mulaw.encode(mulaw.to_pcm(np.random.default_rng(2).normal(0, 30, 16000)))
    assert hear(b"\xff" * 16000) == []
    assert hear(hiss) == []


def test_patience_decides_when_a_turn_ends() -> None:
    events: list[object] = []
    recogniser = Recogniser(events.append)
    recogniser.configure(patience_ms=1500, phrases=flow_phrases())
    recogniser.feed(LEAD + clips.load("tomorrow_at_two", "rms").audio + TAIL)
    assert "final" not in str(events)
    recogniser.configure(patience_ms=600)
    recogniser.feed(b"\xff" * 400)
    assert "final" in str(events[-1])


def test_a_monologue_is_cut_at_twenty_seconds() -> None:
    clip = clips.load("quick_brown_fox", "rms").audio.strip(b"\xff")
    assert len(finals(hear(clip * (25 * 8000 // len(clip))))) >= 1


def test_other_phrases_make_other_ears() -> None:
    clip = clips.load("speak_to_manager", "rms").audio
    assert "manager" not in text_of(hear(clip, phrases=("tire rotation", "brake service on monday")))


def test_ears_without_phrases_refuse() -> None:
    with pytest.raises(NoPhrases):
        Recogniser(lambda event: None).configure(patience_ms=600, phrases=())
