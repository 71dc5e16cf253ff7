"""Whether the caller's line has become loud: what can be known of a barge-in before a recogniser knows a word of it.

A word is known some 500 ms after its first sound; somebody who talks over a person is given the floor in 200. Pure, and
fed only while we speak: a frame costs one pass over its bytes and no decoding.
"""

from __future__ import annotations

from media_gateway.voice.ports import BYTES_PER_MS

_SOFT = bytes(code for code in range(256) if code & 0x70 >= 0x60)
"""Codes of mu-law (G.711: segments 0 and 1, complemented on the wire) under 396 of 32,768, some -38 dB."""
_SHARE = 8
"""A frame is loud when more than one sample in so many is: speech that is meant for the telephone is, the noise of a
room and our own voice come back from an earpiece are not."""
LOUD_MS = 100
"""A click and a knock are shorter; the "at" of "at three" is not, and then comes a pause."""
_GAP_MS = 60
"""Softer than that for longer, and it begins anew: within a word no gap is."""
QUIET_MS = 200


class Onset:
    """`feed` tells True when it begins to be loud and False when that is over. What is loud from the first is no
    beginning: a noisy line never begins."""

    __slots__ = ("_gap_ms", "_loud_ms", "_on", "age_ms")

    def __init__(self) -> None:
        self.age_ms = 0.0
        """How long ago the first sound of it came, as of the last frame."""
        self._loud_ms = self._gap_ms = 0.0
        self._on = True

    def feed(self, mulaw: bytes) -> bool | None:
        """A frame of the caller's sound, mu-law 8 kHz; None: as before."""
        ms = len(mulaw) / BYTES_PER_MS
        if _SHARE * len(mulaw.translate(None, _SOFT)) > len(mulaw):
            self._gap_ms = 0.0
            self._loud_ms += ms
            self.age_ms += ms
            if self._on or self._loud_ms < LOUD_MS:
                return None
            self._on = True
            return True
        self._gap_ms += ms
        self.age_ms += ms
        if self._gap_ms > _GAP_MS:
            self._loud_ms = self.age_ms = 0.0
        if not self._on or self._gap_ms < QUIET_MS:
            return None
        self._on = False
        return False
