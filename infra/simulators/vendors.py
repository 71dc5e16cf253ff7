"""All vendors of a call at once on the loopback interface: Deepgram (ears, and a voice), OpenAI (mind), ElevenLabs
(voice), at their usual delays. What the simulated phone's callers say is understood by its sound, on any connection.

    python -m infra.simulators.vendors        prints what to put before `python3 run.py dev`
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from infra.simulators import clips, deepgram_listen, elevenlabs_tts, openai_api
from infra.simulators.deepgram import Deepgram
from infra.simulators.deepgram_listen import DeepgramListen
from infra.simulators.deepgram_listen_words import BYTES_PER_MS, FRAME_MS, HeardWord
from infra.simulators.deepgram_speak import DeepgramSpeak
from infra.simulators.elevenlabs_tts import ElevenLabsTts
from infra.simulators.mulaw import is_loud
from infra.simulators.openai_api import OpenAiApi

FRAME = FRAME_MS * BYTES_PER_MS
HEARS_MS = 150.0
FIRST_TOKEN_S = 0.3
TOKENS_PER_S = 80.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a frame is from: the clip, its number among the clip's frames, and with which frame each word ends."""

    clip: str
    number: int
    words: tuple[str, ...]
    ends: tuple[float, ...]


@cache
def _places() -> Mapping[bytes, _Place]:
    """Every frame with sound in it of every clip; the first clip that has it counts."""
    places: dict[bytes, _Place] = {}
    for key in clips.manifest():
        voice, _, name = key.partition("/")
        clip = clips.load(name, voice)
        frames = [clip.audio[at : at + FRAME] for at in range(0, len(clip.audio), FRAME)]
        loud = [number for number, frame in enumerate(frames) if is_loud(frame)]
        words = tuple(clip.text.split())
        if not loud:
            continue
        step = (loud[-1] - loud[0]) / max(len(words), 1)
        ends = tuple(loud[0] + step * (n + 1) for n in range(len(words)))
        for number in loud:
            places.setdefault(frames[number], _Place(key, number, words, ends))
    return places


@dataclass(slots=True)
class ByClip:
    """Knows the lines of the simulated phone by their frames (`Source`): which call, and which connection of it, makes
    no difference. A line that it hears from the middle on is heard from there."""

    _clip: str = ""
    _number: int = -1
    _said: int = 0
    _places: Mapping[bytes, _Place] = field(default_factory=_places, repr=False)

    def hear(self, mulaw: bytes, at_ms: float, ms: float) -> Sequence[HeardWord]:
        """See Source."""
        place = self._places.get(mulaw)
        if place is None:
            return ()
        if place.clip != self._clip or place.number < self._number:
            self._clip = place.clip
            self._said = sum(end < place.number for end in place.ends)
        self._number = place.number
        upto = sum(end <= place.number + 1e-6 for end in place.ends)
        new = place.words[self._said : upto]
        self._said = max(self._said, upto)
        return [
            HeardWord(word, at_ms + n * ms / len(new), at_ms + (n + 1) * ms / len(new)) for n, word in enumerate(new)
        ]


@dataclass(slots=True, kw_only=True)
class Vendors:
    """The three origins. Their `faults` are theirs (`deepgram.listen.faults` befall its voice as well)."""

    deepgram: Deepgram = field(
        default_factory=lambda: Deepgram(DeepgramListen(ByClip, latency_ms=HEARS_MS), DeepgramSpeak())
    )
    openai: OpenAiApi = field(default_factory=lambda: OpenAiApi(first_s=FIRST_TOKEN_S, rate=TOKENS_PER_S))
    elevenlabs: ElevenLabsTts = field(default_factory=ElevenLabsTts)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Vendors]:
        """On free ports."""
        _places()  # now, and not while somebody speaks
        async with self.deepgram.serving(), self.openai.serving(), self.elevenlabs.serving():
            yield self

    def environment(
        self, *, listen: Literal["v1", "v2"] = "v2", speak: Literal["elevenlabs", "deepgram"] = "elevenlabs"
    ) -> dict[str, str]:
        """What a system is told so that it takes these for its vendors; the other voice stands in."""
        return {
            "CALLBOARD_STT": "deepgram",
            "CALLBOARD_LLM": "openai",
            "CALLBOARD_TTS": speak,
            "DEEPGRAM_LISTEN": listen,
            "DEEPGRAM_API_KEY": deepgram_listen.API_KEY,
            "DEEPGRAM_BASE_URL": self.deepgram.url,
            "OPENAI_API_KEY": openai_api.API_KEY,
            "OPENAI_BASE_URL": self.openai.url,
            "OPENAI_MODEL": openai_api.MODELS[0],
            "ELEVENLABS_API_KEY": elevenlabs_tts.API_KEY,
            "ELEVENLABS_BASE_URL": self.elevenlabs.url,
        }

    @property
    def violations(self) -> list[str]:
        """What a vendor would not have taken."""
        return [*self.deepgram.listen.violations, *map(str, self.openai.refused)]


async def _main() -> None:
    async with Vendors().serving() as vendors:
        for name, value in vendors.environment().items():
            print(f"export {name}={value}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
