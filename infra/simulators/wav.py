"""Both sides of a call as a WAV file: stereo, 16 bit, 8 kHz; the caller left, the assistant right."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path

from infra.simulators import mulaw

US_PER_BYTE = 1_000_000 // mulaw.SAMPLE_RATE
Placed = tuple[int, bytes]
"""When this audio was on the line (microseconds of the call), and the mu-law bytes."""


def write_call(path: Path, caller: Iterable[Placed], assistant: Iterable[Placed], *, duration_us: int) -> None:
    """Lay both sides on one timeline, silence where nothing was said."""
    left = mulaw.decode(_timeline(caller, duration_us))
    right = mulaw.decode(_timeline(assistant, duration_us))
    stereo = bytearray(2 * len(left))
    stereo[0::4], stereo[1::4] = left[0::2], left[1::2]
    stereo[2::4], stereo[3::4] = right[0::2], right[1::2]
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(mulaw.SAMPLE_RATE)
        file.writeframes(bytes(stereo))


def read_mulaw(path: Path) -> bytes:
    """A mono 16-bit 8 kHz WAV as mu-law: a recording to be played as the caller. Raises ValueError for other shapes."""
    with wave.open(str(path), "rb") as file:
        shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if shape != (1, 2, mulaw.SAMPLE_RATE):
            raise ValueError(f"{path}: need mono, 16 bit, 8000 Hz; this has (channels, bytes, rate) = {shape}")
        return mulaw.encode(file.readframes(file.getnframes()))


def _timeline(placed: Iterable[Placed], duration_us: int) -> bytes:
    total = duration_us // US_PER_BYTE
    line = bytearray(mulaw.SILENCE * total)
    for at_us, audio in placed:
        start = at_us // US_PER_BYTE
        end = min(total, start + len(audio))
        if start < end:
            line[start:end] = audio[: end - start]
    return bytes(line)
