"""The history holds what the caller heard: over random barge-ins, against a carrier that knows it to the millisecond.

Speech is uneven as people's is: every character takes its own time, words are drawn out, punctuation is a pause.
Voices deliver it in chunks of any size, at any speed from just real time to all at once, and with gaps; the line is
near or far, jitters, stands still, loses echoes. With alignment the history is held to the promise; without it (a voice
that does not tell when it says which word) the error is measured, and held to what was measured.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import pytest

from media_gateway.voice.playout import Playout
from media_gateway.voice.ports import Timing
from media_gateway.voice.spoken_form import to_spoken
from tests.media_gateway.voice.carrier import Carrier, Network, sound

WORDS = (
    *("a", "to", "the", "your", "oil", "change", "is", "booked", "for", "tomorrow", "we", "have", "you", "down"),
    *("afternoon", "appointment", "registration", "quarter", "Doctor", "$49.95", "at", "9:30", "21", "2026"),
)
NETWORKS = {
    "usual": Network(),
    "late marks": Network(back=(150, 400)),
    "lost marks": Network(lost=0.2),
    "far away": Network(out=(80, 140), buffer=80, back=(80, 140)),
    "pauses": Network(pause_every=8_000, pause_ms=600),
    "all of it": Network(out=(20, 120), buffer=60, back=(50, 250), lost=0.02, pause_every=12_000, pause_ms=500),
}
LONG = 2_000
SAMPLE = 48
"""Barge-ins of the ordinary run."""


@dataclass
class Clause:
    """What one clause sounds like: `ends` is the ms by which each character of the spoken text has been said."""

    text: str
    spoken: str
    ends: list[float]

    @property
    def ms(self) -> int:
        return int(self.ends[-1]) + 1

    def words_by(self, ms: float) -> int:
        """Whole words of the written text that are said after `ms`."""
        said = to_spoken(self.text)
        reached = bisect_right(self.ends, ms)
        if reached < len(self.spoken) and self.spoken[reached] != " ":
            reached = self.spoken.rfind(" ", 0, reached) + 1
        written = said.written_at(reached)
        if written < len(self.text) and self.text[written] != " ":
            written = self.text.rfind(" ", 0, written) + 1
        return len(self.text[:written].split())


def clause(rng: random.Random) -> Clause:
    words = rng.choices(WORDS, k=rng.randint(3, 14))
    if len(words) > 6 and rng.random() < 0.5:
        words[rng.randrange(2, len(words) - 2)] += ","
    text = " ".join(words) + "."
    spoken, pace = to_spoken(text).text, rng.uniform(55, 80)
    each, drawl = list[float](), 1.0
    for one in spoken:
        drawl = rng.uniform(0.7, 1.4) if one == " " else drawl
        pause = rng.uniform(120, 350) if one in ",." else 0.0
        each.append(pace * drawl * rng.uniform(0.5, 1.5) + pause)
    return Clause(text, spoken, list(accumulate(each)))


def aligned(said: Clause, start: float, length: float) -> Timing:
    """What the voice tells of the characters that end in this piece of the sound."""
    return tuple((n, end - start) for n, end in enumerate(said.ends, 1) if start < end <= start + length)


@dataclass
class Talk:
    """A reply on its way through the carrier."""

    carrier: Carrier
    timings: bool

    def plan(self, rng: random.Random, clauses: list[Clause]) -> None:
        """Deliver the clauses: each at a speed of its own, with a gap before it now and then."""
        when = self.carrier.now
        for number, said in enumerate(clauses, 1):
            self._at(when, lambda n=number, c=said: self.carrier.playout.begin(1, n, to_spoken(c.text)))  # type: ignore[misc]
            speed, at, mulaw = rng.choice([1.05, 1.5, 3.0, 10.0, 30.0]), 0, sound(1, number, said.ms)
            when += rng.choice([0, 0, 0, 80, 400])
            while at < said.ms:
                length = min(rng.choice([20, 60, 200, 800]), said.ms - at)
                timing = aligned(said, at, length) if self.timings else ()
                self._at(when, self._hear(number, mulaw[at * 8 : (at + length) * 8], timing))
                at += length
                when += length / speed
            self._at(when, self._end(number))

    def _at(self, when: float, what: Callable[[], object]) -> None:
        self.carrier.at(when, lambda: None if self.carrier.over else what())

    def _hear(self, number: int, mulaw: bytes, timing: Timing) -> Callable[[], object]:
        carrier = self.carrier
        return lambda: carrier.send(carrier.playout.audio(carrier.now, 1, number, mulaw, timing))

    def _end(self, number: int) -> Callable[[], object]:
        return lambda: self.carrier.send(self.carrier.playout.end(1, number))


def barge_in(seed: int, network: Network, *, timings: bool) -> int:
    """How many words the history is off after a barge-in at a random moment of a reply, perhaps after a hold."""
    rng = random.Random(seed)
    carrier = Carrier(Playout(), rng, network)
    clauses = [clause(rng) for _ in range(rng.randint(1, 5))]
    Talk(carrier, timings).plan(rng, clauses)
    length = sum(said.ms for said in clauses)
    if rng.random() < 0.25:  # "uh-huh" before
        carrier.run(carrier.now + rng.uniform(0, length * 0.5))
        carrier.send(carrier.playout.hold(carrier.now))
        carrier.run(carrier.now + rng.uniform(100, 900))
        carrier.send(carrier.playout.resume(carrier.now))
    # The caller's voice comes the same way as echoes do: who speaks while that way stands still is heard afterwards.
    carrier.run(carrier.back.until(carrier.now + rng.uniform(0, length * 1.05)))
    carrier.send(carrier.playout.cut(carrier.now))
    heard = carrier.playout.heard(carrier.now, 1)
    carrier.over = True
    carrier.run(carrier.now + 3_000)
    truth = sum(said.words_by(max(carrier.played(1, n), default=-1) + 1) for n, said in enumerate(clauses, 1))
    return len(heard.text.split()) - truth


def share(name: str, count: int, *, timings: bool) -> tuple[float, Counter[int]]:
    """Of barge-ins over this network: how many are within one word, and the errors."""
    errors = Counter(barge_in(seed, NETWORKS[name], timings=timings) for seed in range(count))
    return sum(errors[n] for n in (-1, 0, 1)) / count, errors


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "lost marks"])
def test_with_alignment_the_history_is_within_one_word(name: str) -> None:
    good, errors = share(name, SAMPLE, timings=True)
    assert good >= 0.97, f"{name}: {good:.3f} {sorted(errors.items())}"


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_two_thousand_barge_ins_with_alignment(name: str) -> None:
    good, errors = share(name, LONG, timings=True)
    print(f"{name}: {good:.4f} within one word, {errors[0] / LONG:.3f} exact, {sorted(errors.items())}")
    assert good >= (0.98 if name == "lost marks" else 0.99), f"{name}: {good:.4f} {sorted(errors.items())}"


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_two_thousand_barge_ins_without_alignment(name: str) -> None:
    good, errors = share(name, LONG, timings=False)
    print(f"{name}: {good:.4f} within one word, {errors[0] / LONG:.3f} exact, {sorted(errors.items())}")
    assert good >= 0.9, f"{name}: {good:.4f} {sorted(errors.items())}"
