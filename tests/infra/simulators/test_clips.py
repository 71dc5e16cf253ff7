from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from infra.simulators import clips
from infra.simulators.mulaw import QUIET

SCRIPT = Path(__file__).parents[3] / "scripts" / "render_clips.py"
LINES = {
    "i need to schedule an oil change",
    "tomorrow at two",
    "tomorrow at two in the afternoon",
    "yes please",
    "yes",
    "no",
    "no thank you",
    "no thursday",
    "what are your hours",
    "i want to speak to a manager",
    "goodbye",
    "hi i need brake service",
    "uh huh",
    "actually make that three",
    "wait stop",
}


def renderer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_clips", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_clips_are_those_of_the_list() -> None:
    assert renderer().problems() == []


@pytest.mark.parametrize("voice", ["rms", "kal16"])
def test_every_line_in_both_voices(voice: str) -> None:
    texts = {str(entry["text"]) for key, entry in clips.manifest().items() if key.startswith(f"{voice}/")}
    assert texts >= LINES


def test_a_clip_starts_with_its_sound() -> None:
    for key in clips.manifest():
        voice, name = key.split("/")
        clip = clips.load(name, voice)
        quiet = len(clip.audio) - len(clip.audio.lstrip(QUIET))
        assert 160 <= quiet < 320, f"{key}: its sound starts after {quiet / 8} ms"


def test_noises_belong_to_every_voice_and_mean_nothing() -> None:
    cough = clips.load("cough", "rms")
    assert (cough.voice, cough.text, cough.in_domain) == ("noise", "", False)
    assert cough.audio == clips.load("cough", "kal16").audio


def test_out_of_domain_is_marked() -> None:
    assert not clips.load("quick_brown_fox", "rms").in_domain
    assert clips.load("need_oil_change", "rms").in_domain


def test_an_unknown_clip_names_the_known() -> None:
    with pytest.raises(KeyError, match="no clip 'x' in voice 'rms'; there are: noise/cough, rms/at_three"):
        clips.load("x", "rms")
