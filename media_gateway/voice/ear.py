"""The recogniser of a call: opened, configured, and opened again when it is lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from media_gateway.conversation.model import ListeningProfile
from media_gateway.voice.letting_go import close, letting_go
from media_gateway.voice.parts import Parts
from media_gateway.voice.ports import EarsFailed, EarsStumbled, Final, Heard, Hearing, ProviderFault, Remembering

TRIES = 1
"""How often in a row an engine is opened again before it counts as gone for good."""

EARLY = 200
"""Frames (4 s) that are kept while there is no recogniser: so long one may take to open."""


class Ear:
    """One per call. `heard` is told what the recogniser hears; `fault` (provider, kind, detail) what it did wrong;
    `lost` that it has to be opened again, or (True) that it is gone for good."""

    def __init__(
        self,
        parts: Parts,
        *,
        heard: Callable[[Heard], None],
        fault: Callable[[str, str, str], None],
        lost: Callable[[bool], None],
    ) -> None:
        self.profile = ListeningProfile()
        self._parts = parts
        self._on_heard = heard
        self._fault = fault
        self._lost = lost
        self._hearing: Hearing | None = None
        self._failed: Hearing | None = None
        self._opening = 0
        self._tries = TRIES
        self._early: deque[bytes] = deque(maxlen=EARLY)

    def feed(self, mulaw: bytes) -> None:
        """A frame of the caller's sound; while there is no recogniser the newest are kept for it."""
        if self._hearing:
            self._hearing.feed(mulaw)
        else:
            self._early.append(mulaw)

    def configure(self, profile: ListeningProfile) -> None:
        """Listen like this from now on."""
        if profile == self.profile:
            return
        self.profile = profile
        if self._hearing:
            self._hearing.configure(profile)

    async def open(self) -> None:
        """Open the recogniser, or open it again."""
        going = (self._hearing, self._failed)
        self._hearing = self._failed = None
        async with letting_go(going, self._parts.patience.close):
            await self._open()

    async def _open(self) -> None:
        self._opening += 1
        opening, profile = self._opening, self.profile
        try:
            async with asyncio.timeout(self._parts.patience.open):
                hearing = await self._parts.engines.ears.open(profile, lambda event: self._heard(opening, event))
        except ProviderFault as fault:
            self._gone(fault.provider, fault.kind, fault.detail)
            return
        except TimeoutError:
            self._gone(self._parts.engines.ears.name, "timeout", "not open in time")
            return
        if opening != self._opening:  # it failed before it was open
            self._failed = hearing
            await self.aclose()
            return
        self._hearing = hearing
        if profile != self.profile:
            hearing.configure(self.profile)
        if self._early:
            hearing.feed(b"".join(self._early))
            self._early.clear()

    async def aclose(self) -> None:
        """Let the recogniser go."""
        going = (self._hearing, self._failed)
        self._hearing = self._failed = None
        await close(going, self._parts.patience.close)

    def _heard(self, opening: int, event: Heard) -> None:
        if opening != self._opening:
            return
        if isinstance(event, EarsStumbled):
            self._fault(self._parts.engines.ears.name, event.kind, event.detail)
            return
        if isinstance(event, EarsFailed):
            self._opening += 1
            failed, self._hearing = self._hearing, None
            self._failed = failed
            if isinstance(failed, Remembering):
                self._early.append(failed.unheard())
            self._gone(self._parts.engines.ears.name, event.kind, event.detail)
            return
        if isinstance(event, Final):
            self._tries = TRIES  # it works again
        self._on_heard(event)

    def _gone(self, provider: str, kind: str, detail: str) -> None:
        self._fault(provider, kind, detail)
        self._tries -= 1
        self._lost(self._tries < 0)
