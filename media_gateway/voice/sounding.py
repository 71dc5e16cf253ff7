"""One clause and its sound: which words of it have been said by which ms of it. Pure.

Where the voice tells when each word was said (alignment) that is what counts; without it, the pauses that can be seen
in the sound are those at the punctuation of the text (`pauses`). Between two such anchors sound is spread over the text
by weight: a character is 1, and people pause at punctuation.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate, pairwise

from media_gateway.voice.pauses import Point, aligned, pauses, rested
from media_gateway.voice.ports import BYTES_PER_MS, Timing
from media_gateway.voice.spoken_form import Span, Spoken

MS_PER_WEIGHT = 65.0
"""How long a character sounds, until the call has shown it."""
REMEMBERED = 4_000
"""Characters by which the pace of a voice is judged."""
_STEADY = 60
"""So many characters say as much about the pace of a clause as all clauses before it do."""
_PAUSES = {",": 3.0, ";": 4.0, ":": 4.0, ".": 6.0, "!": 6.0, "?": 6.0}
_POINTS = ",;:.!?"
_SURE = {",": 1.0, ";": 2.0, ":": 2.0, ".": 3.0, "!": 3.0, "?": 3.0}
"""That people pause there (`pauses.Point`)."""


_WORD = re.compile(r"\S+")
_VOWELS = re.compile(r"[aeiouy]+(?!\b)|[aiouy]+|^[^aeiouy]*e")
_LETTER, _SYLLABLE, _WORDS_OWN, _LITTLE_WORDS_OWN, _LAST, _SPACE = 0.5, 0.9, 1.45, 0.2, 2.0, 0.05
"""What a word weighs: so much a letter and a syllable, and so much more; the last one before a pause is drawn out.
Fitted to the words of two speech engines and of a recorded person, a compromise between them."""
_LITTLE = frozenset(
    {"a", "an", "the", "i", "you", "we", "it", "is", "are", "to", "of", "for", "at", "in", "on", "and", "or", "if"}
    | {"that", "this", "can", "do", "did", "be", "was", "my", "your", "me", "us", "have", "has", "had", "no", "not"}
    | {"so", "as", "will", "would", "could", "should", "let", "what", "there", "any"}
)


@lru_cache(maxsize=512)
def weights(text: str) -> tuple[float, ...]:
    """How much of the whole is said by each offset of the text, from 0 on, without the pauses."""
    each = [_SPACE] * len(text)
    for word in _WORD.finditer(text):
        size, plain = word.end() - word.start(), word.group().strip(_POINTS).lower()
        own = _LITTLE_WORDS_OWN if plain in _LITTLE else _WORDS_OWN
        own += _SYLLABLE * max(1, len(_VOWELS.findall(plain)))
        own += _LAST if word.end() == len(text) or text[word.end() - 1] in _POINTS else 0.0
        each[word.start() : word.end()] = [_LETTER + own / size] * size
    return tuple(accumulate(each, initial=0.0))


@lru_cache(maxsize=512)
def paused(text: str) -> tuple[float, ...]:
    """The same with the pauses, which follow their word: it is the space behind the punctuation that lasts."""
    rests = (_PAUSES.get(text[at - 1], 0.0) if at and one == " " else 0.0 for at, one in enumerate(text))
    return tuple(map(sum, zip(weights(text), accumulate(rests, initial=0.0), strict=True)))


@lru_cache(maxsize=512)
def points(text: str) -> tuple[Point, ...]:
    """Where people pause in it."""
    return tuple(
        Point(at, at + 1, _SURE[text[at - 1]])
        for at, one in enumerate(text)
        if one == " " and at and text[at - 1] in _SURE
    )


class Pace:
    """How fast a voice speaks: learned from the clauses whose end is known. What is newer counts for more."""

    def __init__(self) -> None:
        self._ms = MS_PER_WEIGHT * 40
        self._weight = 40.0

    def learn(self, ms: float, weight: float) -> None:
        """Text of this weight took so long, without the pauses."""
        self._ms += ms
        self._weight += weight
        if self._weight > REMEMBERED:
            self._ms, self._weight = self._ms / 2, self._weight / 2

    @property
    def ms(self) -> float:
        """For a weight of 1."""
        return self._ms / self._weight


@dataclass(slots=True)
class Sounding:
    """A clause. `heard_ms` is the best estimate of how much of its sound was heard, `safe_ms` what surely was."""

    reply: int
    number: int
    said: Spoken
    pace: Pace
    audio: bytearray = field(default_factory=bytearray)
    done: bool = False
    heard_ms: float = 0.0
    safe_ms: float = 0.0
    kept_ms: float = 0.0
    """What was heard of it before the last hold: nothing that comes later takes that back."""
    place: float = float("inf")
    """Among the clauses that have sounded: they are heard in the order in which their sound came."""
    anchors: list[tuple[int, float]] = field(default_factory=lambda: [(0, 0.0)])
    """(characters of the spoken text, ms of the sound by which they were said), growing."""
    _from: int = 0
    """Where the text begins that timings count from: what was said anew after a fault is not the whole clause."""
    _looked: tuple[int, bool, list[tuple[int, float]]] = (-1, False, [])

    @property
    def text(self) -> str:
        """As it is written."""
        return self.said.written

    @property
    def ms(self) -> float:
        """Sound there is."""
        return len(self.audio) / BYTES_PER_MS

    @property
    def whole(self) -> bool:
        """All of it has been heard."""
        return self.done and bool(self.audio) and self.heard_ms >= self.ms - 1

    def add(self, mulaw: bytes, timing: Timing) -> None:
        """More sound. `timing` counts the characters of what the voice was last asked to say."""
        start = self.ms
        self.audio += mulaw
        for characters, ms in timing:
            at, when = min(self._from + characters, len(self.said.text)), start + ms
            if at > self.anchors[-1][0] and when >= self.anchors[-1][1]:
                self.anchors.append((at, when))

    def end(self) -> None:
        """That was all its sound."""
        if not self.done and self._from == 0 and self.audio:
            voiced = pauses(self.audio).voiced
            if voiced > 0:
                self.pace.learn(voiced, weights(self.said.text)[-1])
        self.done = True

    def join(self, other: Sounding) -> None:
        """The other one's text sounds behind this one's, in the same stretch of sound."""
        self.said = joined(self.said, other.said)
        self.done, self._looked = False, (-1, False, [])

    def rest(self) -> str:
        """What has not sounded yet, from the beginning of the word at which the sound stops."""
        if self.done:
            return ""
        return self.said.text[self._word_start(self.spoken_at(self.ms)) :]

    def again(self) -> None:
        """The rest will be said anew: its sound goes on behind what there is."""
        start = self._word_start(self.spoken_at(self.ms))
        self.anchors = [*(anchor for anchor in self.anchors if anchor[0] < start), (start, self.ms)]
        self._from = start

    # --- between sound and text ---

    def _anchored(self) -> Sequence[tuple[int, float]]:
        """The anchors, and one for the end: known, or guessed from the pace."""
        anchors, length = self.anchors, len(self.said.text)
        if anchors == [(0, 0.0)] and self.audio:
            anchors = self._seen()
        at, when = anchors[-1]
        if at >= length:
            return anchors
        weight = paused(self.said.text)
        pace = (self.pace.ms * _STEADY + (when - anchors[0][1])) / (_STEADY + weight[at])
        end = self.ms if self.done else max(self.ms, when + (weight[length] - weight[at]) * pace)
        return [*anchors, (length, max(end, when))]

    def _seen(self) -> list[tuple[int, float]]:
        """Anchors by the pauses in the sound; the same as long as there is no more of it."""
        if self._looked[:2] != (len(self.audio), self.done):
            found, text = pauses(self.audio), self.said.text
            anchors = [(0, 0.0)]
            if found.voiced > 0:
                weight = weights(text)
                pace = found.voiced / weight[-1] if self.done else self.pace.ms
                anchors = aligned(points(text), weight, found, pace, done=self.done)
                anchors = rested(anchors, weight, found.gaps)
            self._looked = (len(self.audio), self.done, anchors)
        return self._looked[2]

    def spoken_at(self, ms: float) -> int:
        """Characters of the spoken text that are said after this much of the sound."""
        anchors, weight = self._anchored(), paused(self.said.text)
        after = next((n for n, (_, when) in enumerate(anchors) if when > ms), None)
        if after is None:
            return anchors[-1][0]
        if after == 0:
            return 0
        (at, when), (to, until) = anchors[after - 1], anchors[after]
        wanted = weight[at] + (weight[to] - weight[at]) * (ms - when) / (until - when)
        return min(to, bisect_right(weight, wanted + 1e-6) - 1)

    def ms_at(self, spoken: int) -> float:
        """When this much of the spoken text is said."""
        anchors, weight = self._anchored(), paused(self.said.text)
        for (at, when), (to, until) in pairwise(anchors):
            if at <= spoken <= to and to > at:
                share = (weight[spoken] - weight[at]) / (weight[to] - weight[at])
                return when + (until - when) * share
        return 0.0

    def _word_start(self, spoken: int) -> int:
        """The beginning of the word at this offset; at a boundary, of the next one."""
        text = self.said.text
        if spoken >= len(text):
            return len(text)
        if text[spoken] == " ":
            return spoken + 1
        return text.rfind(" ", 0, spoken) + 1

    def heard_text(self) -> str:
        """What was heard, in written text, up to the end of a whole word. Without sound nothing was heard."""
        if not self.audio or not self.heard_ms:
            return ""
        if self.whole:
            return self.text
        spoken = self.spoken_at(self.heard_ms)
        if spoken < len(self.said.text) and self.said.text[spoken] != " ":
            spoken = self.said.text.rfind(" ", 0, spoken) + 1
        written = self.said.written_at(spoken)
        if written < len(self.text) and self.text[written] != " ":
            written = self.text.rfind(" ", 0, written) + 1
        return self.text[:written].rstrip()

    def resume_byte(self) -> int:
        """Where to go on from after a hold: the start of the word that was being heard."""
        if self.done and self.safe_ms >= self.ms - 1:
            return len(self.audio)
        start = self._word_start(self.spoken_at(self.safe_ms))
        return min(len(self.audio), int(min(self.ms_at(start), self.safe_ms)) * BYTES_PER_MS)


def joined(first: Spoken, second: Spoken) -> Spoken:
    """The two as one text."""
    by, into = len(first.written) + 1, len(first.text) + 1
    spans = tuple(
        Span((span.written[0] + by, span.written[1] + by), (span.spoken[0] + into, span.spoken[1] + into))
        for span in second.spans
    )
    text, written = f"{first.text} {second.text}", f"{first.written} {second.written}"
    return replace(first, text=text, written=written, spans=(*first.spans, *spans))
