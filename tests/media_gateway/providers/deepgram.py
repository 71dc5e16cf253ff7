"""Deepgram's ears against the simulated vendor: sound in real time or at once, and what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Literal

from infra.simulators.deepgram_listen import API_KEY, DeepgramListen
from infra.simulators.deepgram_listen_words import Legible
from infra.simulators.vendor_faults import Fault, Faults
from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers.deepgram_ears import DeepgramEars
from media_gateway.voice.ports import Final, Heard, Hearing

Api = Literal["v1", "v2"]
WORDS = tuple(f"w{n}" for n in range(200))


class Caller:
    """Speaks into a hearing, and remembers all that it said."""

    def __init__(self, server: DeepgramListen, ears: DeepgramEars) -> None:
        self.server = server
        self.ears = ears
        self.heard: list[Heard] = []
        self.hearing: Hearing | None = None
        self._news = asyncio.Event()

    async def open(self, profile: ListeningProfile | None = None) -> Hearing:
        """Raises ProviderFault."""
        self.hearing = await self.ears.open(profile or ListeningProfile(), self._on_heard)
        return self.hearing

    def _on_heard(self, event: Heard) -> None:
        self.heard.append(event)
        self._news.set()

    def of(self, *kinds: type) -> list[Any]:
        """The events of these kinds."""
        return [event for event in self.heard if isinstance(event, kinds)]

    @property
    def texts(self) -> list[str]:
        """The turns."""
        return [event.text for event in self.of(Final)]

    async def speak(self, frames: Iterable[bytes], pace: float = 0.02) -> None:
        """A frame every `pace` seconds, late ones made up for, as a telephone does."""
        assert self.hearing
        loop = asyncio.get_running_loop()
        due = loop.time()
        for frame in frames:
            self.hearing.feed(frame)
            due += pace
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def until(self, kind: type, count: int = 1, patience: float = 10.0) -> Any:
        """The `count`th event of this kind."""
        async with asyncio.timeout(patience):
            while len(self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(kind)[count - 1]


@asynccontextmanager
async def calling(
    api: Api, *faults: Fault, jitter: float = 0.0, key: str = API_KEY, **options: Any
) -> AsyncIterator[Caller]:
    """`jitter`: the share of each delay that is waited before another try."""
    source = options.pop("source", lambda: Legible(WORDS))
    server = DeepgramListen(source, faults=Faults(*faults), **options)
    async with server.serving():
        ears = DeepgramEars(key, base_url=server.url, api=api, jitter=lambda low, high: low + jitter * (high - low))
        caller = Caller(server, ears)
        try:
            yield caller
        finally:
            if caller.hearing:
                await caller.hearing.aclose()
