"""Where speech begins and ends, by frames of 30 ms: a pure machine. The frame's voicing comes from the engine's VAD."""

from __future__ import annotations

from dataclasses import dataclass, replace

FRAME_MS = 30
_WINDOW = 6
_ENOUGH = 4
"""Four voiced frames of the last six (120 of 180 ms) begin speech: a click or a cough's edge does not."""
_LOUDER = 2.0
_AUDIBLE = 100.0
"""Root mean square below which nothing counts as speech, in 16-bit units (about -50 dB of full scale)."""
_FLOOR_RISE = 1.003
"""How fast the noise floor may rise, a frame: threefold in eleven seconds, so that speech does not lift it."""
_LOWEST_FLOOR = 20.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`speaking` since speech began; `silence_ms` since its last voiced frame; `voiced` frames in it."""

    speaking: bool = False
    silence_ms: int = 0
    length_ms: int = 0
    voiced: int = 0
    recent: tuple[bool, ...] = ()
    floor: float = 60.0


def step(now: Endpoint, *, vad: bool, rms: float) -> Endpoint:
    """The next frame: `vad` is what the engine's detector says, `rms` the frame's level."""
    floor = max(_LOWEST_FLOOR, min(rms, now.floor * _FLOOR_RISE))
    voice = vad and rms > max(_AUDIBLE, _LOUDER * now.floor)
    if now.speaking:
        return replace(
            now,
            silence_ms=0 if voice else now.silence_ms + FRAME_MS,
            length_ms=now.length_ms + FRAME_MS,
            voiced=now.voiced + voice,
            floor=floor,
        )
    recent = (*now.recent, voice)[-_WINDOW:]
    if sum(recent) < _ENOUGH:
        return replace(now, recent=recent, floor=floor)
    return Endpoint(speaking=True, length_ms=FRAME_MS * len(recent), voiced=sum(recent), floor=floor)


def ended(now: Endpoint) -> Endpoint:
    """After the turn was closed: listening for the next one, with the same idea of the noise."""
    return Endpoint(floor=now.floor)
