"""How a simulated vendor misbehaves, at the socket: one list of faults for all of them, and when they strike.

A server takes one fault a connection (or request) from its `Faults`, wraps it into a `Trouble`, and asks that before
everything it does: `refusal` before the handshake, `strikes` before each message it is about to send. The transport
stays with the server: what CUT means is `transport.abort()` for a socket and an answer that breaks off for HTTP.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What goes wrong."""

    REFUSED = "refused"
    """The connection is reset before any answer."""
    UNAUTHORIZED = "unauthorized"
    """401."""
    BUSY = "busy"
    """429."""
    HUNG = "hung"
    """Takes everything and says nothing more."""
    SLOW = "slow"
    """Everything comes, each message `delay_ms` late."""
    EMPTY = "empty"
    """All is answered in order, and there is nothing in it (no words, no tokens, no sound)."""
    CUT = "cut"
    """The connection is reset without a word."""
    GARBAGE = "garbage"
    """Something the protocol does not know (`garbage`) instead of each message."""
    ERROR = "error"
    """The vendor's own error message, then whatever the vendor does after it."""
    CLOSE = "close"
    """An orderly close, with `code` and `reason`."""


GARBAGE: tuple[str | bytes, ...] = (
    '{"type": ',
    "[]",
    "null",
    '{"type":"FromTheFuture","what":{"deep":[1,2]}}',
    '{"no_type":true}',
    "\u0000",
    b"\x00\xff\xfe\xfd",
)
"""In turn, one for each message."""
GIVEN = 256
REFUSALS: Mapping[Kind, int] = {Kind.UNAUTHORIZED: 401, Kind.BUSY: 429}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of one connection. It strikes once `after_ms` have passed since the connection was made and
    `after_messages` were sent on it (both: whichever comes last); with neither, from the first moment."""

    kind: Kind
    after_ms: float = 0.0
    after_messages: int = 0
    delay_ms: float = 0.0
    code: int = 1011
    reason: str = ""
    garbage: tuple[str | bytes, ...] = GARBAGE
    times: int | None = 1
    """How many connections it befalls; None: every one."""

    @property
    def at_once(self) -> bool:
        """From the first moment."""
        return not self.after_ms and not self.after_messages

    @property
    def refusal(self) -> int | None:
        """The HTTP status that answers the handshake, if that is the fault."""
        return REFUSALS.get(self.kind)


class Faults:
    """What a server's next connections meet, in this order; afterwards all is well."""

    def __init__(self, *faults: Fault) -> None:
        self._queue: deque[Fault] = deque()
        self._left: int | None = None
        self.met: list[Fault] = []
        """Those that were given out."""
        self._given: deque[Trouble] = deque(maxlen=GIVEN)
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """These too, after those that are there."""
        if faults and not self._queue:
            self._left = faults[0].times
        self._queue.extend(faults)

    def clear(self) -> None:
        """No more faults."""
        self._queue.clear()

    def take(self, now: Callable[[], float] = time.monotonic) -> Trouble:
        """A connection has come: what it meets. `now` is in seconds."""
        trouble = Trouble(self._next(), now)
        self._given.append(trouble)
        return trouble

    def strike(self, fault: Fault) -> None:
        """This befalls every connection that there is, from now on."""
        for trouble in self._given:
            trouble.befall(fault)

    def _next(self) -> Fault | None:
        if not self._queue:
            return None
        fault = self._queue[0]
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._queue.popleft()
                self._left = self._queue[0].times if self._queue else None
        self.met.append(fault)
        return fault


@dataclass(slots=True)
class Trouble:
    """One connection's fault as it unfolds. Without a fault it never strikes."""

    fault: Fault | None = None
    now: Callable[[], float] = time.monotonic
    sent: int = 0
    woken: Callable[[], None] | None = None
    """Called when something has to happen now, without a message (`wakes_after` 0)."""
    _since: float = field(init=False)
    _garbage: int = 0

    def __post_init__(self) -> None:
        self._since = self.now()

    def befall(self, fault: Fault) -> None:
        """From now on this is the fault, also of a connection that is open and on which nothing is said: what breaks
        it breaks it now."""
        self.fault = fault
        if self.woken and self.wakes_after == 0.0:
            self.woken()

    @property
    def refusal(self) -> int | None:
        """The HTTP status to answer the handshake with."""
        return self.fault.refusal if self.fault else None

    @property
    def striking(self) -> Kind | None:
        """The fault that is there by now."""
        fault = self.fault
        if fault is None or self.sent < fault.after_messages or self.now() - self._since < fault.after_ms / 1000:
            return None
        return fault.kind

    def strikes(self) -> Kind | None:
        """A message is about to be sent: which fault befalls it? None: send it; it is counted."""
        kind = self.striking
        if kind is None:
            self.sent += 1
        return kind

    def garbage(self) -> str | bytes:
        """What goes out instead of this message."""
        assert self.fault
        junk = self.fault.garbage[self._garbage % len(self.fault.garbage)]
        self._garbage += 1
        return junk

    @property
    def wakes_after(self) -> float | None:
        """Seconds from the connection until something must happen by itself, without a message (CUT, CLOSE, ERROR)."""
        fault = self.fault
        if fault is None or fault.after_messages or fault.kind not in (Kind.CUT, Kind.CLOSE, Kind.ERROR):
            return None
        return fault.after_ms / 1000
