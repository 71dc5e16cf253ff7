"""Processes started ahead, so that a call need not wait for an interpreter to start (0.2 to 1 s on a busy machine)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from media_gateway.providers.pipe import Kind
from media_gateway.providers.worker import Worker
from media_gateway.voice.ports import ProviderFault

log = structlog.get_logger(__name__)


class Spares:
    """Keeps `size` processes of `module` ready once `warm` was called; before that, and when none is left, a process
    is started on demand."""

    def __init__(self, module: str, size: int) -> None:
        self._module = module
        self._size = size
        self._ready: deque[Worker] = deque()
        self._filling: asyncio.Task[None] | None = None
        self._warm = False

    async def warm(self) -> None:
        """Start them. Raises ProviderFault."""
        self._warm = True
        while len(self._ready) < self._size:
            self._ready.append(await Worker.start(self._module, on_message=_nobody, on_exit=_nothing))

    async def take(self, on_message: Callable[[Kind, bytes], None], on_exit: Callable[[], None]) -> Worker:
        """One for the caller alone. Raises ProviderFault."""
        worker = None
        while self._ready and worker is None:
            ready = self._ready.popleft()
            worker = ready if ready.alive else None
        if worker is None:
            worker = await Worker.start(self._module, on_message=on_message, on_exit=on_exit)
        else:
            worker.attach(on_message, on_exit)
        if self._warm and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill(), name=f"spares of {self._module}")
        return worker

    async def aclose(self) -> None:
        """End those that nobody took; safe to call twice."""
        self._warm = False
        if self._filling:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        while self._ready:
            await self._ready.popleft().aclose()

    async def _fill(self) -> None:
        try:
            await self.warm()
        except ProviderFault as fault:
            # The next call starts its own, or says why it cannot.
            log.warning("spare_not_started", kind=fault.kind)


def _nobody(kind: Kind, payload: bytes) -> None:
    """A spare has been asked nothing and says nothing that matters."""


def _nothing() -> None:
    """A spare that dies is found out when it is taken."""
