"""What the machines of the voices have in common: a vendor's protocol without its socket. Times are seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from media_gateway.voice.ports import Spoken

FIRST_SOUND_S = 1.0
"""From a text to its first sound; then the vendor has stalled."""
STALL_S = 0.5
"""Between two pieces of sound, as long as the vendor has not said that it is done."""
LIMIT_WAIT_S = 1.0
"""A limit that frees itself within this time is waited for; else another connection has to do it."""

Step = str | Spoken
"""A message to the vendor, or news for the call."""


class Machine(Protocol):
    """One connection's protocol. After a `VoiceFailed` it does nothing any more."""

    name: str
    goodbye: str
    """What is said before the connection is closed."""

    def say(self, now: float, reply: int, clause: int, text: str) -> Sequence[Step]:
        """Speak this behind what was said before."""

    def done(self, now: float, reply: int) -> Sequence[Step]:
        """No more clauses of this reply come."""

    def cancel(self, now: float, reply: int) -> Sequence[Step]:
        """Nothing of this reply is wanted any more."""

    def received(self, now: float, message: str | bytes) -> Sequence[Step]:
        """The vendor said this."""

    def tick(self, now: float) -> Sequence[Step]:
        """`wakes_at` has come."""

    def wakes_at(self, now: float) -> float | None:
        """When something is to be done although nothing happens."""


@dataclass(frozen=True, slots=True)
class Clause:
    """What is to be said."""

    reply: int
    number: int
    text: str
