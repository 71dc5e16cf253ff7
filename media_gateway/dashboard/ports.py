"""What the dashboard's routes need from the rest of the gateway. The application wires it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class LiveSession(Protocol):
    """A call whose sound is on this instance (`media_gateway.voice.ports.Session`)."""

    def on_text(self, text: str) -> None:
        """The caller typed."""

    def add_tap(self, tap: Callable[[int, bytes], None]) -> Callable[[], None]:
        """Listen in: side 0 the caller, 1 the assistant. Returns how to stop."""


class LiveSessions(Protocol):
    """The calls whose sound is on this instance."""

    def get(self, call_id: str) -> LiveSession | None:
        """None if it is elsewhere or over."""


DemoCall = Callable[[str | None, str | None], Awaitable[str]]
"""Places a simulated call to this gateway, with the scenario of this name (None: the caller says what is typed) and a
first line that is typed; gives the call id. Raises ValueError for a scenario that there is not."""
