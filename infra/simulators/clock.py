"""The phone's time, injected so that schedules can be tested without waiting."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Clock(Protocol):
    """Seconds on a clock that never goes back."""

    def now(self) -> float: ...

    async def sleep_until(self, when: float) -> None:
        """Returns at `when` or a little later; yields to the loop even when `when` has passed."""
        ...

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Returns when `event` is set, or at `until`, whichever is first."""
        ...


class LoopClock:
    """The running loop's own clock."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep_until(self, when: float) -> None:
        await asyncio.sleep(max(0.0, when - self.now()))

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        try:
            async with asyncio.timeout_at(until):
                await event.wait()
        except TimeoutError:
            return
