"""Python imports this by itself when its folder is on PYTHONPATH: the container's own command then runs unchanged, with
engines that need no vendor and no demo package. They hear one sentence after a second of sound, and speak silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers import catalog
from media_gateway.providers.scripted_mind import ScriptedMind
from media_gateway.voice.ports import (
    BYTES_PER_MS,
    SILENCE,
    Engines,
    Final,
    Heard,
    Spoken,
    SpokenAudio,
    SpokenEnd,
)

HEARD = "I need an oil change"
ENOUGH = 1_000 * BYTES_PER_MS
CLAUSE = SILENCE * (100 * BYTES_PER_MS)


class _Hearing:
    def __init__(self, on_heard: Callable[[Heard], None]) -> None:
        self._on_heard = on_heard
        self._heard = 0

    def feed(self, mulaw: bytes) -> None:
        before = self._heard
        self._heard += len(mulaw)
        if before < ENOUGH <= self._heard:
            self._on_heard(Final(HEARD, confidence=1.0))

    def configure(self, profile: ListeningProfile) -> None:
        return None

    async def aclose(self) -> None:
        return None


class _Ears:
    name = "stub"

    async def open(self, profile: ListeningProfile, on_heard: Callable[[Heard], None]) -> _Hearing:
        return _Hearing(on_heard)


class _Speaking:
    def __init__(self, on_spoken: Callable[[Spoken], None]) -> None:
        self._on_spoken = on_spoken

    def say(self, reply: int, clause: int, text: str) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(self._on_spoken, SpokenAudio(reply, clause, CLAUSE))
        loop.call_soon(self._on_spoken, SpokenEnd(reply, clause))

    def done(self, reply: int) -> None:
        return None

    def cancel(self, reply: int) -> None:
        return None

    async def aclose(self) -> None:
        return None


class _Voice:
    name = "stub"

    async def open(self, on_spoken: Callable[[Spoken], None]) -> _Speaking:
        return _Speaking(on_spoken)

    async def render(self, text: str) -> bytes:
        return CLAUSE


def _engines(settings: catalog.EngineSettings) -> Engines:
    return Engines(ears=_Ears(), mind=ScriptedMind(), voice=_Voice())


catalog.build_engines = _engines
