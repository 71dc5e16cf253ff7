"""The demo recogniser's language model: made from the phrases that a flow expects, with a dictionary to match.

pocketsphinx knows 134,000 words and hears a phone line badly with all of them (a third to a half of the words wrong);
with only the flow's own it hears nine in ten. Runs in the engine's process.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

import pocketsphinx
from pocketsphinx.lm import ArpaBoLM

_VERSION = "1"
_SPURIOUS = re.compile(r"[^\w\s'.-]")
_SHORT_WEIGHTS = {1: 10, 2: 10, 3: 2, 4: 2}
"""How often a phrase of so many words counts. Without it "yes" is drowned by a thousand sentences."""
_DISCOUNT = 0.2
_ALWAYS = (
    *("yes", "no", "okay", "yeah", "sure", "uh huh", "mm hmm", "right", "all right", "i see", "got it", "thank you"),
    *("wait", "stop", "wait stop", "hold on", "one moment", "hello", "sorry", "pardon", "excuse me", "goodbye", "bye"),
)
"""Said in any call, whatever it is about; an interjection must be heard as one, not as the nearest booking word."""
_FAMILIAR = 0.6
"""The share of word pairs that must occur in the phrases. Measured: nine in ten sentences of the domain lie above,
nine in ten others below; other features (allphone score, posterior) added nothing worth a second decoder."""


class NoPhrases(Exception):
    """Nothing is left to listen for. The text says why and what to do."""


@dataclass(frozen=True)
class Vocabulary:
    """What to listen for. `missing` are the words that the pronouncing dictionary does not have; phrases that hold
    one of them are left out."""

    phrases: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Which word follows which, with the beginning and the end of a sentence."""
        return frozenset(pair for phrase in self.phrases for pair in _pairs(phrase))

    @property
    def dictionary(self) -> tuple[str, ...]:
        """The lines of the pronouncing dictionary for these words, every variant."""
        known = _pronunciations()
        spoken = sorted({word for phrase in self.phrases for word in phrase.split()})
        return tuple(entry for word in spoken for entry in known[word])

    def familiar(self, text: str) -> float:
        """How much of `text` is said the way the phrases say it, 0..1."""
        said = _pairs(text)
        return sum(pair in self.pairs for pair in said) / len(said)

    def understood(self, text: str) -> bool:
        """False for a salad of known words: what comes out when something else was said."""
        return self.familiar(text) >= _FAMILIAR


@cache
def _pronunciations() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    with open(os.path.join(pocketsphinx.get_model_path(), "en-us", "cmudict-en-us.dict"), encoding="utf-8") as lines:
        for line in lines:
            word = line.split(" ", 1)[0].split("(", 1)[0]
            found.setdefault(word, []).append(line)
    return {word: tuple(entries) for word, entries in found.items()}


def vocabulary(phrases: Iterable[str]) -> Vocabulary:
    """Raises NoPhrases when no phrase can be used."""
    known = _pronunciations()
    asked = tuple(phrases)
    usable: dict[str, None] = {}
    missing: dict[str, None] = {}
    for phrase in (*_ALWAYS, *asked):
        words = list(_words(phrase, known))
        unknown = [word for word in words if word not in known]
        missing.update(dict.fromkeys(unknown))
        if words and not unknown:
            usable[" ".join(words)] = None
    if not usable.keys() - set(_ALWAYS):
        why = f"these words have no pronunciation: {', '.join(sorted(missing))}" if missing else "the flow has none"
        raise NoPhrases(f"no phrase to listen for: {why}; give the flow phrases in plain English words")
    return Vocabulary(tuple(usable), tuple(sorted(missing)))


@dataclass(frozen=True, slots=True)
class Model:
    """What a decoder is made of."""

    words: Vocabulary
    language: Path
    dictionary: Path


def prepare(phrases: Sequence[str], folder: Path) -> Model:
    """The files in `folder`, built once for these phrases (0.3 s, most of it reading the pronouncing dictionary, which
    a process that finds them built never does). Raises NoPhrases."""
    key = hashlib.sha256("\n".join((_VERSION, *phrases)).encode()).hexdigest()[:24]
    language, dictionary, kept = (folder / f"{key}{suffix}" for suffix in (".lm", ".dict", ".json"))
    if kept.exists():
        found = json.loads(kept.read_text("utf-8"))
        return Model(Vocabulary(tuple(found["phrases"]), tuple(found["missing"])), language, dictionary)
    words = vocabulary(phrases)
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f"<s> {phrase} </s>" for phrase in words.phrases for _ in range(_weight(phrase)))
    arpa = ArpaBoLM(text="\n".join(lines), discount_mass=_DISCOUNT)
    arpa.compute()
    _place(dictionary, lambda path: path.write_text("".join(words.dictionary), "utf-8"))
    _place(language, lambda path: arpa.write_file(str(path)))
    _place(
        kept, lambda path: path.write_text(json.dumps({"phrases": words.phrases, "missing": words.missing}), "utf-8")
    )
    return Model(words, language, dictionary)


def _place(path: Path, write: Callable[[Path], object]) -> None:
    """Whole or not at all: several calls may build the same model at once."""
    handle, draft = tempfile.mkstemp(dir=path.parent)
    os.close(handle)
    write(Path(draft))
    os.replace(draft, path)


def _weight(phrase: str) -> int:
    return _SHORT_WEIGHTS.get(len(phrase.split()), 1)


def _words(phrase: str, known: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Lower case, as the dictionary spells them: `p.m.` and `uh-huh` stay, `tune-up,` becomes `tune up`."""
    for token in _SPURIOUS.sub(" ", phrase.lower().replace("’", "'")).split():
        if token in known:
            yield token
        else:
            yield from token.replace("-", " ").replace(".", " ").split()


def _pairs(text: str) -> list[tuple[str, str]]:
    words = ["<s>", *text.split(), "</s>"]
    return list(pairwise(words))
