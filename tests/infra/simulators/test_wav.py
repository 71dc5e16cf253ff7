from __future__ import annotations

import wave
from pathlib import Path

import pytest

from infra.simulators import mulaw, wav


def write_mono(path: Path, samples: bytes, *, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)


def test_caller_left_assistant_right_each_at_its_time(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "call.wav"
    caller, assistant = b"\x20" * 8, b"\xa0" * 8
    wav.write_call(path, [(1000, caller)], [(2000, assistant), (3500, assistant)], duration_us=4000)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        frames = file.readframes(32)
    left = b"".join(frames[at : at + 2] for at in range(0, len(frames), 4))
    right = b"".join(frames[at : at + 2] for at in range(2, len(frames), 4))
    assert left == mulaw.decode(b"\xff" * 8 + caller + b"\xff" * 16)
    assert right == mulaw.decode(b"\xff" * 16 + assistant + b"\xff" * 4 + assistant[:4]), "cut at the call's end"


def test_a_recording_becomes_what_a_caller_says(tmp_path: Path) -> None:
    audio = bytes(range(0x80, 0x100))
    write_mono(tmp_path / "a.wav", mulaw.decode(audio))
    assert wav.read_mulaw(tmp_path / "a.wav") == audio


def test_a_recording_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_mono(tmp_path / "a.wav", b"\x00\x00" * 10, rate=16_000)
    with pytest.raises(ValueError, match="need mono, 16 bit, 8000 Hz"):
        wav.read_mulaw(tmp_path / "a.wav")
