"""How much a media stream may send. A telephone speaks in real time; what is much faster is no telephone."""

from __future__ import annotations

from collections.abc import Callable

from media_gateway.rate import Bucket
from media_gateway.telephony import media_protocol as wire

FRAME = 160
"""Bytes of 20 ms, what Twilio sends at once, 50 times a second. A longer frame counts as several."""
LOOK_EVERY = 25
"""Frames between two looks at the clock: it is the rate that matters, and every call pays for every look."""


class Allowance:
    """One per stream. Five times real time, and ten seconds at once: what a network held back comes in a burst. All
    marks come back at once when the sound they belong to is cleared."""

    __slots__ = ("_clock", "_digits", "_marks", "_media", "_unseen")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._media = Bucket(rate=250, burst=500)
        self._marks = Bucket(rate=100, burst=1_000)
        self._digits = Bucket(rate=10, burst=40)
        self._unseen = 0

    def check(self, message: wire.Incoming) -> None:
        """Raises ProtocolError."""
        kind = type(message)
        if kind is wire.Media:
            self._unseen += len(message.media.payload) // FRAME or 1  # type: ignore[union-attr]
            if self._unseen < LOOK_EVERY:
                return
            frames, self._unseen = self._unseen, 0
            taken = self._media.take(self._clock(), frames)
        elif kind is wire.Mark:
            taken = self._marks.take(self._clock())
        elif kind is wire.Dtmf:
            taken = self._digits.take(self._clock())
        else:
            return
        if not taken:
            raise wire.ProtocolError(wire.REFUSED, "too much at once")
