"""A carrier in virtual time: plays what it gets in real time, echoes marks when they have been played, drops on
`clear` and then echoes what is outstanding at once. It knows to the millisecond what the caller heard.

Every ms of sound says which clause and which ms of it it is, so the truth needs no ledger: its 8 bytes carry 5 bits
each (sign and mantissa of the mu-law code), and the 3 bits between them say whether the ms is loud or a pause.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from media_gateway.voice.playout import Clear, Mark, Media, Playout, Send

LOUD, QUIET = 0x00, 0x70
_LONGEST = 1 << 16


@lru_cache(maxsize=64)
def _every_ms(reply: int, clause: int, level: int, ms: int) -> bytes:
    number = (reply << 24 | clause << 16) & 0xFFFF_0000
    codes = [(bits & 0x10) << 3 | level | (bits & 0x0F) for bits in range(32)]
    return bytes(codes[(number | at) >> shift & 31] for at in range(ms) for shift in range(35, -1, -5))


def sound(reply: int, clause: int, ms: int, quiet: Sequence[tuple[int, int]] = ()) -> bytes:
    """`ms` of sound of a clause, silent in these stretches (from, to: ms)."""
    assert ms < _LONGEST
    whole = -(-ms // 4_000) * 4_000
    loud = bytearray(_every_ms(reply, clause, LOUD, whole)[: ms * 8])
    silent = _every_ms(reply, clause, QUIET, whole)
    for since, until in quiet:
        loud[since * 8 : until * 8] = silent[since * 8 : min(until, ms) * 8]
    return bytes(loud[: ms * 8])


def _which(mulaw: bytes, at: int) -> tuple[int, int, int]:
    """Reply, clause and ms of the ms that begins at this byte."""
    number = 0
    for code in mulaw[at : at + 8]:
        number = number << 5 | (code >> 3 & 0x10) | (code & 0x0F)
    return number >> 24, number >> 16 & 0xFF, number & 0xFFFF


@dataclass(frozen=True)
class Network:
    """Delays in ms, each drawn anew: to the carrier, its jitter buffer, back from it; `lost` is the share of echoes
    that never come. With `pause_every` the line stands still now and then, in each direction for itself: what is
    sent meanwhile arrives when it goes on (so it is with TCP), after up to `pause_ms`."""

    out: tuple[float, float] = (10, 60)
    buffer: float = 40
    back: tuple[float, float] = (10, 60)
    lost: float = 0.0
    pause_every: float = 0.0
    pause_ms: float = 0.0


class Pauses:
    """When one direction of the line stands still."""

    def __init__(self, rng: random.Random, network: Network, horizon: float = 120_000) -> None:
        self._spans: list[tuple[float, float]] = []
        at = 0.0
        while network.pause_every and at < horizon:
            at += rng.expovariate(1 / network.pause_every)
            self._spans.append((at, at + rng.uniform(50, network.pause_ms)))
            at = self._spans[-1][1]

    def until(self, now: float) -> float:
        """When what is sent now can go."""
        return next((end for start, end in self._spans if start <= now < end), now)


@dataclass
class _Piece:
    start: float
    mulaw: bytes
    generation: str

    @property
    def end(self) -> float:
        return self.start + len(self.mulaw) / 8


@dataclass
class Carrier:
    """Drives a ledger: `at` plans what the session does, `run` lets time pass."""

    playout: Playout
    rng: random.Random
    network: Network = field(default_factory=Network)
    now: float = 1_000.0
    over: bool = False
    """The reply was given up: what is still planned for it does not happen."""
    sent: list[Send] = field(default_factory=list)
    pieces: list[_Piece] = field(default_factory=list)
    cleared_at: list[float] = field(default_factory=list)
    _events: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _count: int = 0
    _arrived: float = 0.0
    _returned: float = 0.0
    _free: float = 0.0
    _marks: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.out, self.back = Pauses(self.rng, self.network), Pauses(self.rng, self.network)

    def at(self, when: float, what: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, what))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = until

    def send(self, sends: Sequence[Send]) -> None:
        """Hand over to the network: in order, each after a delay."""
        for item in sends:
            self.sent.append(item)
            self._arrived = max(self._arrived, self.out.until(self.now) + self.rng.uniform(*self.network.out))
            self.at(self._arrived, lambda item=item: self._take(item))  # type: ignore[misc]

    def _take(self, item: Send) -> None:
        match item:
            case Media(mulaw):
                start = self._free if self._free > self.now else self.now + self.network.buffer
                self.pieces.append(_Piece(start, mulaw, ""))
                self._free = self.pieces[-1].end
            case Mark(name):
                self._marks.append((max(self.now, self._free), name))
                self.at(max(self.now, self._free), lambda: self._echo(name))
            case Clear():
                self.cleared_at.append(self.now)
                kept = [piece for piece in self.pieces if piece.start < self.now]
                for piece in kept:
                    piece.mulaw = piece.mulaw[: max(0, int(self.now - piece.start)) * 8]
                self.pieces, self._free = kept, self.now
                for _, name in list(self._marks):
                    self._echo(name)

    def _echo(self, name: str) -> None:
        if not any(name == mark for _, mark in self._marks):
            return
        self._marks = [(when, mark) for when, mark in self._marks if mark != name]
        if self.rng.random() < self.network.lost:
            return
        self._returned = max(self._returned, self.back.until(self.now) + self.rng.uniform(*self.network.back))
        self.at(self._returned, lambda: self.playout.echoed(self.now, name))

    # --- the truth ---

    def played(self, reply: int, clause: int) -> list[int]:
        """The ms of this clause that the caller has heard by now, in order."""
        heard: list[int] = []
        for piece in self.pieces:
            length = int(min(len(piece.mulaw) / 8, max(0.0, self.now - piece.start)))
            if not length:
                continue
            of, number, ms = _which(piece.mulaw, 0)  # a piece is of one clause
            if (of, number) == (reply, clause):
                heard += range(ms, ms + length)
        return heard


def words_by(text: str, total_ms: int, ms: float) -> int:
    """Whole words of `text` that a constant rate of speech has said after `ms`."""
    reached = len(text) * ms / total_ms
    count, at = 0, 0
    for word in text.split():
        at = text.index(word, at) + len(word)
        count += at <= reached + 1e-6
    return count
