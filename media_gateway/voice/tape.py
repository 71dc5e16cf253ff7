"""Where each sound of a call belongs: two tracks on one clock. Pure: times are ms, positions samples at 8,000 Hz.

The caller's frames come in the order they were spoken; the way makes them late, never early. So each is placed as late
as its own arrival *and those of all that follow it* allow: a frame that was held up moves back to where it was spoken,
and a pause stays a pause. The assistant's sound plays from when it is sent, behind what was sent before, and `clear`
ends it there. The clock is the gateway's: the carrier's own buffer and the way to the caller are not in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from media_gateway.voice.ports import BYTES_PER_MS, SILENCE

Sounded = tuple[float, int, bytes]
"""(ms on the gateway's clock, side, mu-law); side 0 is the caller, 1 the assistant, whose empty sound means `clear`."""

HOLD_MS = 1_000.0
"""How far behind the present is taken: what follows a frame says where it belongs."""
SNAP = 30 * BYTES_PER_MS
"""Samples of silence that are none, but two clocks that differ."""


class Tape:
    """One stream's. `take` gives what lies behind, once, in order."""

    def __init__(self, zero_ms: float) -> None:
        self._zero = zero_ms
        self.at = 0
        """Samples that have been taken."""
        self._caller: list[tuple[int, bytes]] = []
        self._caller_end = 0
        self._assistant: deque[tuple[int, bytes]] = deque()
        self._assistant_end = 0

    def feed(self, sounds: Iterable[Sounded]) -> None:
        """In the order they happened."""
        for ms, side, mulaw in sounds:
            now = self._sample(ms)
            if side == 0:
                self._caller.append((now, mulaw))
            elif mulaw:
                start = max(self._assistant_end, now)
                self._assistant.append((start, mulaw))
                self._assistant_end = start + len(mulaw)
            else:
                self._clear(now)

    def take(self, now_ms: float, *, end: bool = False) -> bytes:
        """All before `HOLD_MS` ago (at the end: before now), two bytes a sample: the caller, the assistant."""
        until = self._sample(now_ms if end else now_ms - HOLD_MS)
        if until <= self.at:
            return b""
        caller, assistant = bytearray(SILENCE * (until - self.at)), bytearray(SILENCE * (until - self.at))
        self._lay_caller(caller, until, end=end)
        while self._assistant and self._assistant[0][0] < until:
            start, sound = self._assistant.popleft()
            if left := self._lay(assistant, start, sound, until):
                self._assistant.appendleft((until, left))
        both = bytearray(2 * len(caller))
        both[0::2], both[1::2] = caller, assistant
        self.at = until
        return bytes(both)

    def _lay_caller(self, track: bytearray, until: int, *, end: bool) -> None:
        places = latest([(now, len(sound)) for now, sound in self._caller])
        waiting: list[tuple[int, bytes]] = []
        for (now, sound), place in zip(self._caller, places, strict=True):
            behind = place - self._caller_end
            start = place if behind >= SNAP else self._caller_end
            if waiting or (start >= until and not end):
                waiting.append((now, sound))
                continue
            left = self._lay(track, start, sound, until)
            self._caller_end = start + len(sound) - len(left)
            if left and not end:
                waiting.append((now, left))
        self._caller = waiting

    def _lay(self, track: bytearray, start: int, sound: bytes, until: int) -> bytes:
        """Write what falls before `until`; what does not comes back."""
        late = max(0, self.at - start)
        fits = sound[late : max(0, until - start)]
        at = start + late - self.at
        track[at : at + len(fits)] = fits
        return sound[max(0, until - start) :]

    def _clear(self, now: int) -> None:
        kept = [(start, sound[: now - start]) for start, sound in self._assistant if start < now]
        self._assistant = deque(kept)
        self._assistant_end = min(self._assistant_end, now)

    def _sample(self, ms: float) -> int:
        return max(0, round((ms - self._zero) * BYTES_PER_MS))


def latest(arrivals: Sequence[tuple[int, int]]) -> list[int]:
    """For each (arrival, length) the latest start with which it and all that follow were whole when they came."""
    places, behind = [0] * len(arrivals), None
    for at in range(len(arrivals) - 1, -1, -1):
        arrival, length = arrivals[at]
        end = arrival if behind is None else min(arrival, behind)
        places[at] = behind = max(0, end - length)
    return places
