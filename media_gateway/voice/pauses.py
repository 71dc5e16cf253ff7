"""Where the pauses of a stretch of speech are, and which punctuation of its text they belong to. Pure.

For voices that do not tell when they say which word: people pause at punctuation, and a pause can be seen in the sound.
Which pause is which is the question that `aligned` answers: the assignment, in order, that asks for the least uneven
speech. Asked for where somebody interrupts, not while sound is being sent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from media_gateway.voice.ports import BYTES_PER_MS

SHORTEST_MS = 90
"""Of a pause; what is shorter may be a consonant."""
_STRIDE = 40 * BYTES_PER_MS
"""A pause covers at least one of these whole, so that only they have to be looked at."""
_STEP = 5 * BYTES_PER_MS
_LOUD = bytes(int(not (0x60 <= code < 0x80 or code >= 0xE0)) for code in range(256))
"""For each mu-law code whether it is above about -39 dBFS."""
_UNEVEN_MS = 35.0
"""How much a character's time varies; that of n of them, by this times the root of n."""
_RATE = 0.12
"""How much the pace of a clause varies from that of the voice."""
_MOST = 40
"""Pauses and points that are looked at; a clause has few."""
_SPARE = 3
"""So many pauses more than two for each point are looked at."""
_NEAR = 4
"""Points or pauses in a row that may belong to nothing."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Of a stretch of sound, in ms: speech begins and ends at `begin` and `end`; `gaps` (from, to) lie between."""

    begin: float
    end: float
    gaps: tuple[tuple[float, float], ...]

    @property
    def voiced(self) -> float:
        """Ms of speech without its pauses."""
        return self.end - self.begin - sum(until - since for since, until in self.gaps)


def _quiet(loud: bytes | bytearray, start: int, end: int) -> bool:
    """Hardly a sample of it is loud."""
    return 16 * loud.count(1, start, end) <= end - start


def pauses(mulaw: bytes | bytearray) -> Pauses:
    """Of this sound."""
    length, loud = len(mulaw), mulaw.translate(_LOUD)
    runs: list[tuple[int, int]] = []
    at = 0
    while at + _STRIDE <= length:
        if not _quiet(loud, at, at + _STRIDE):
            at += _STRIDE
            continue
        start, end = at, at + _STRIDE
        floor = runs[-1][1] if runs else 0
        while start - _STEP >= floor and _quiet(loud, start - _STEP, start):
            start -= _STEP
        while end + _STEP <= length and _quiet(loud, end, end + _STEP):
            end += _STEP
        runs.append((start, end))
        at = end
    begin, until = 0, length
    if runs and runs[0][0] < _STEP:
        begin = runs.pop(0)[1]
    if runs and runs[-1][1] > length - _STEP:
        until = runs.pop()[0]
    gaps = tuple((s / BYTES_PER_MS, e / BYTES_PER_MS) for s, e in runs if e - s >= SHORTEST_MS * BYTES_PER_MS)
    return Pauses(begin / BYTES_PER_MS, max(begin, until) / BYTES_PER_MS, gaps)


@dataclass(frozen=True, slots=True)
class Point:
    """Punctuation behind which more follows: the text before it has been said at offset `said`, what follows begins at
    offset `next`. `strength` is how surely people pause there."""

    said: int
    next: int
    strength: float


def aligned(
    points: Sequence[Point], weight: Sequence[float], found: Pauses, pace: float, *, done: bool
) -> list[tuple[int, float]]:
    """Anchors (characters, ms by which they have been said), growing: where the speech begins, each pause that belongs
    to a point, and where it ends if it is `done`. `weight` is how much has been said by each offset of the text, `pace`
    how many ms a weight of 1 lasts."""
    points, gaps = points[:_MOST], _longest(found.gaps, min(_SPARE + 2 * len(points), _MOST))
    best: dict[tuple[int, int], tuple[float, tuple[int, int] | None]] = {(-1, -1): (0.0, None)}
    ends: tuple[float, tuple[int, int]] = (float("inf"), (-1, -1))
    for key in sorted((p, g) for p in range(-1, len(points)) for g in range(-1, len(gaps)) if (p < 0) == (g < 0)):
        if key != (-1, -1):
            reached = _reached(best, key, points, weight, gaps, found, pace)
            if reached is None:
                continue
            best[key] = reached
        cost = best[key][0] + _rest(key, points, weight, gaps, found, pace, done=done)
        if cost < ends[0]:
            ends = cost, key
    anchors: list[tuple[int, float]] = [(len(weight) - 1, found.end)] if done else []
    key_: tuple[int, int] | None = ends[1]
    while key_ is not None and key_ != (-1, -1):
        point, (since, until) = points[key_[0]], gaps[key_[1]]
        anchors += [(point.next, until), (point.said, since)]
        key_ = best[key_][1]
    return [(0, found.begin), *reversed(anchors)]


def _longest(gaps: Sequence[tuple[float, float]], most: int) -> Sequence[tuple[float, float]]:
    """So many of them, in order: the short ones among many are consonants."""
    if len(gaps) <= most:
        return gaps
    return sorted(sorted(gaps, key=lambda gap: gap[0] - gap[1])[:most])


def rested(
    anchors: Sequence[tuple[int, float]], weight: Sequence[float], gaps: Sequence[tuple[float, float]]
) -> list[tuple[int, float]]:
    """The same, and two for each pause that no punctuation explains: nothing is said in it."""
    more: list[tuple[int, float]] = []
    for (at, when), (to, until) in pairwise(anchors):
        more.append((at, when))
        within = [gap for gap in gaps if when < gap[0] and gap[1] < until]
        voiced = until - when - sum(end - since for since, end in within)
        silent = 0.0
        for since, end in within:
            wanted = weight[at] + (weight[to] - weight[at]) * (since - when - silent) / max(voiced, 1.0)
            silent += end - since
            said = bisect_right(weight, wanted, at, to)
            if more[-1][0] < said:
                more += [(said, since), (said, end)]
    return [*more, anchors[-1]]


def _reached(
    best: dict[tuple[int, int], tuple[float, tuple[int, int] | None]],
    key: tuple[int, int],
    points: Sequence[Point],
    weight: Sequence[float],
    gaps: Sequence[tuple[float, float]],
    found: Pauses,
    pace: float,
) -> tuple[float, tuple[int, int]] | None:
    """The cheapest way on which this gap is this point's, and the pair before it on that way."""
    p, g = key
    cheapest: tuple[float, tuple[int, int]] | None = None
    for before in range(max(-1, p - _NEAR), p):
        for pause in range(max(-1, g - _NEAR), g):
            if (before, pause) not in best:
                continue
            at, when = (points[before].next, gaps[pause][1]) if before >= 0 else (0, found.begin)
            cost = best[before, pause][0] + _skipped(points[before + 1 : p], gaps[pause + 1 : g])
            silent = sum(until - since for since, until in gaps[pause + 1 : g])
            cost += _strain(weight[points[p].said] - weight[at], gaps[g][0] - when - silent, pace)
            if cheapest is None or cost < cheapest[0]:
                cheapest = cost, (before, pause)
    return cheapest


def _rest(
    key: tuple[int, int],
    points: Sequence[Point],
    weight: Sequence[float],
    gaps: Sequence[tuple[float, float]],
    found: Pauses,
    pace: float,
    *,
    done: bool,
) -> float:
    """What it costs that nothing more belongs together."""
    at, when = (points[key[0]].next, gaps[key[1]][1]) if key[0] >= 0 else (0, found.begin)
    left = gaps[key[1] + 1 :]
    voiced = found.end - when - sum(until - since for since, until in left)
    if done:
        return _skipped(points[key[0] + 1 :], left) + _strain(weight[-1] - weight[at], voiced, pace)
    due = [point for point in points[key[0] + 1 :] if (weight[point.said] - weight[at]) * pace < 0.8 * voiced]
    return _skipped(due, left)


def _skipped(points: Sequence[Point], gaps: Sequence[tuple[float, float]]) -> float:
    """Points without a pause, and pauses without a point: the longer the less likely."""
    return sum(point.strength for point in points) + sum(min((e - s) / 60, 6.0) for s, e in gaps)


def _strain(weight: float, ms: float, pace: float) -> float:
    """How unlikely it is that so much text took so long."""
    expected = weight * pace
    off = ms - expected
    return off * off / (2 * (_UNEVEN_MS**2 * max(weight, 1.0) + (_RATE * expected) ** 2))
