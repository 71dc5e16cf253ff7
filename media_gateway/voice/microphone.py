"""The sound of a supervisor who has taken a caller over: to the caller as it comes, and into the history as words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from media_gateway.voice.ear import Ear
from media_gateway.voice.floor import Floor
from media_gateway.voice.parts import Parts
from media_gateway.voice.ports import BYTES_PER_MS, Final
from media_gateway.voice.ports import Heard as HeardSound

AHEAD_MS = 1_000
"""How much sound may come faster than it sounds; what comes beyond that is dropped: it would play later and later."""


class Microphone:
    """`closed` is told once, whoever closes it."""

    def __init__(self, parts: Parts, floor: Floor, *, closed: Callable[[], None]) -> None:
        self.open = True
        self._parts, self._floor, self._closed = parts, floor, closed
        self._ear = Ear(
            parts,
            heard=self._heard,
            fault=lambda provider, kind, detail: floor.fault("hearing the supervisor", provider, kind, detail),
            lost=lambda _: None,  # their words are missed, and nothing else
        )
        self._until = 0.0
        self._shut = asyncio.Event()

    def feed(self, mulaw: bytes) -> None:
        """A frame of the supervisor's sound, mu-law 8 kHz."""
        now = self._parts.monotonic() * 1000
        start = max(self._until, now)
        if not self.open or start - now > AHEAD_MS:
            return
        self._until = start + len(mulaw) / BYTES_PER_MS
        self._floor.mouth.relay(mulaw)
        self._ear.feed(mulaw)

    async def listen(self) -> None:
        """Recognise the supervisor's words until closed: a help, which may fail."""
        try:
            await self._ear.open()
            await self._shut.wait()
        finally:
            await self._ear.aclose()

    def close(self) -> None:
        """No more sound."""
        if self.open:
            self.open = False
            self._shut.set()
            self._closed()

    def _heard(self, event: HeardSound) -> None:
        if isinstance(event, Final) and event.text.strip() and self.open:
            self._floor.overheard("supervisor", self._floor.turns.turn, event.text)
