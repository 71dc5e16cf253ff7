"""Named one-shot timers of a call; all of them die with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """`fired(name)` is called on the event loop when a timer runs out that was armed and not disarmed since."""

    def __init__(self, fired: Callable[[str], None]) -> None:
        self._fired = fired
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def arm(self, name: str, ms: float) -> None:
        """Start the timer, or start it again."""
        self.disarm(name)
        self._handles[name] = asyncio.get_running_loop().call_later(ms / 1000, self._run_out, name)

    def disarm(self, name: str) -> None:
        """Stop the timer; nothing if it is not running."""
        handle = self._handles.pop(name, None)
        if handle:
            handle.cancel()

    def armed(self, name: str) -> bool:
        """Is it running?"""
        return name in self._handles

    def close(self) -> None:
        """Stop them all."""
        for name in list(self._handles):
            self.disarm(name)

    def _run_out(self, name: str) -> None:
        self._handles.pop(name, None)
        self._fired(name)
