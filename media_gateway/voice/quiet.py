"""A deadline that begins anew with every word."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Quiet:
    """`async with Quiet(2.0) as quiet` ends its body with TimeoutError once `quiet.heard()` was not called for that
    many seconds. Hearing costs nothing: there is one timer, which looks when the last one was (asyncio.timeout's own
    `reschedule` makes one for each)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        self._last = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """Something came."""
        self._last = self._loop.time()

    async def __aenter__(self) -> Quiet:
        await self._limit.__aenter__()
        self._timer = self._loop.call_later(self._seconds, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        await self._limit.__aexit__(kind, problem, trace)

    def _look(self) -> None:
        now, due = self._loop.time(), self._last + self._seconds
        if now < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._timer = None
            self._limit.reschedule(now)
