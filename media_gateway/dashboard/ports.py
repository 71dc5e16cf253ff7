"""What the dashboard's routes need from the rest of the gateway. The application wires it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from realtime.call import Call


class LiveMicrophone(Protocol):
    """A supervisor's sound on its way to a caller."""

    open: bool

    def feed(self, mulaw: bytes) -> None:
        """Mu-law 8 kHz; never blocks."""

    def close(self) -> None:
        """Give the caller back; safe to call twice."""


class Reachable(Protocol):
    """Somebody who can be rung: E.164, and whether they are asked first."""

    @property
    def number(self) -> str: ...

    @property
    def mode(self) -> Literal["warm", "cold"]: ...


class Directory(Protocol):
    """Whom callers can be put through to."""

    def usual(self, call: Call) -> Reachable | None:
        """Who takes this call's caller over when nobody is named."""

    def named(self, call: Call, to: str) -> Reachable | None:
        """A supervisor by name, or a number that is one of ours."""

    def own(self, user: str) -> Reachable | None:
        """This supervisor."""


class LiveSession(Protocol):
    """A call whose sound is on this instance (`media_gateway.voice.ports.Session`)."""

    def on_text(self, text: str) -> None:
        """The caller typed."""

    def on_commands(self) -> None:
        """There may be commands of supervisors for this call."""

    def microphone(self, user: str) -> LiveMicrophone | None:
        """For the supervisor who has taken this caller over, once; None for anybody else."""

    def add_tap(self, tap: Callable[[int, bytes], None]) -> Callable[[], None]:
        """Listen in: side 0 the caller, 1 the assistant. Returns how to stop."""


class LiveSessions(Protocol):
    """The calls whose sound is on this instance."""

    def get(self, call_id: str) -> LiveSession | None:
        """None if it is elsewhere or over."""


DemoCall = Callable[[str | None, str | None], Awaitable[str]]
"""Places a simulated call to this gateway, with the scenario of this name (None: the caller says what is typed) and a
first line that is typed; gives the call id. Raises ValueError for a scenario that there is not."""
