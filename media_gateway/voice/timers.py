"""Named one-shot timers of a call; all of them die with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """`fired(name)` is called on the event loop when a timer runs out that was armed and not disarmed since.

    Most are armed again, or disarmed, long before they run out. So the loop's own timer is left as it is wherever it
    comes no later than the new one is due: it finds out by itself that it is too early, or wanted no more.
    """

    def __init__(self, fired: Callable[[str], None]) -> None:
        self._fired = fired
        self._due: dict[str, float] = {}
        self._handles: dict[str, tuple[float, asyncio.TimerHandle]] = {}

    def arm(self, name: str, ms: float) -> None:
        """Start the timer, or start it again."""
        loop = asyncio.get_running_loop()
        self._due[name] = due = loop.time() + ms / 1000
        known = self._handles.get(name)
        if known is None or known[0] > due:
            self._wake(loop, name, due)

    def disarm(self, name: str) -> None:
        """Stop the timer; nothing if it is not running."""
        self._due.pop(name, None)

    def armed(self, name: str) -> bool:
        """Is it running?"""
        return name in self._due

    def close(self) -> None:
        """Stop them all."""
        self._due.clear()
        for _, handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _wake(self, loop: asyncio.AbstractEventLoop, name: str, due: float) -> None:
        known = self._handles.pop(name, None)
        if known:
            known[1].cancel()
        self._handles[name] = due, loop.call_at(due, self._woken, name)

    def _woken(self, name: str) -> None:
        at, _ = self._handles.pop(name)
        due = self._due.get(name)
        if due is None:
            return
        if due > at:
            self._wake(asyncio.get_running_loop(), name, due)
        else:
            del self._due[name]
            self._fired(name)
