"""What a caller's words mean to a flow: intents, yes or no, the service, the day and the time. Rules, never a guess:
what fits nothing is reported as nothing."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from media_gateway.conversation.dates import Hours, When, understand
from media_gateway.conversation.day_words import Expect
from media_gateway.conversation.schema import FlowSpec, Intent
from media_gateway.conversation.words import plain

_FILLER_WORDS = """
    i i'd i'm i'll im id a an the to is are am be do does did can could would will like want wanna just please
    you your my me us we our it of for with some this that's what's so and um uh er well hi hello hey there yes no okay
    ok in on at get have has what when where who how
"""
_COURTESY = re.compile(r"^(?:(?:hi|hello|hey|um|uh|so|well|sorry|okay|and) )+| (?:please|there|again)$")
_FILLERS = frozenset(_FILLER_WORDS.split())


class Understood(msgspec.Struct, frozen=True):
    """`intents` in the flow's order; `yes` is None when neither was said; `service` is a key of the flow."""

    said: str
    intents: tuple[str, ...] = ()
    yes: bool | None = None
    service: str | None = None
    when: When = msgspec.field(default_factory=When)


class Ear:
    """Compiled once a flow; pure."""

    def __init__(self, spec: FlowSpec, hours: Hours) -> None:
        self._hours = hours
        self._intents = {
            name: _Matcher(intent) for name, intent in spec.intents.items() if intent.action not in {"affirm", "deny"}
        }
        self._yes = _phrases_of(spec, "affirm")
        self._no = _phrases_of(spec, "deny")
        names = [(plain(word), service.key) for service in spec.services for word in (service.say, *service.synonyms)]
        longest = sorted(set(names), key=lambda pair: -len(pair[0]))
        self._services = [(words, re.compile(rf"\b{re.escape(words)}s?\b"), key) for words, key in longest]

    def hear(self, text: str, now: datetime, expect: Expect = None) -> Understood:
        """`now` is the shop's local time; `expect` is what was asked, for bare numbers."""
        said = plain(text)
        row, simply = f" {_telling(said)} ", _COURTESY.sub("", said)
        service = self._service(said)
        return Understood(
            said=said,
            intents=tuple([name for name, matcher in self._intents.items() if matcher.fits(said, row, simply)]),
            yes=self._yes_or_no(said),
            service=service,
            when=understand(text, now, self._hours, expect),
        )

    def _service(self, said: str) -> str | None:
        """The service named last among the longest names: "not the brakes, the oil change" is an oil change."""
        taken: list[tuple[int, int, str]] = []
        for words, pattern, key in self._services:
            for found in pattern.finditer(said) if words in said else ():
                if not any(start < found.end() and found.start() < end for start, end, _ in taken):
                    taken.append((found.start(), found.end(), key))
        wanted = [one for one in taken if not re.search(r"\b(?:not|no|instead of) (?:the |an? )?$", said[: one[0]])]
        if not wanted:
            return None
        *_, key = max(wanted) if re.search(r"\b(?:actually|sorry|no|rather|instead)\b", said) else min(wanted)
        return key

    def _yes_or_no(self, said: str) -> bool | None:
        """The longer phrase wins where both fit at one place; where both are said, no is safer."""
        yes, no = _longest(self._yes, said), _longest(self._no, said)
        if not yes and not no:
            return None
        if yes and no and (no in yes.split() or no in yes):
            return True
        return not no


def _phrases_of(spec: FlowSpec, action: str) -> tuple[str, ...]:
    found = {
        plain(example) for intent in spec.intents.values() if intent.action == action for example in intent.examples
    }
    return tuple(sorted(found, key=lambda phrase: -len(phrase)))


def _longest(phrases: tuple[str, ...], said: str) -> str:
    padded = f" {said} "
    for phrase in phrases:
        if f" {phrase} " in padded:
            return phrase
    return ""


def _telling(said: str) -> str:
    return " ".join(word for word in said.split() if word not in _FILLERS)


class _Matcher:
    """An example fits when its telling words are said in a row, whatever fillers stand between. One that has a single
    telling word among others ("when are you open") fits when it is said as it is, since that word alone means little;
    one that has none ("what did you say") when it is all that is said. A word that is telling by itself is an example
    by itself ("operator")."""

    def __init__(self, intent: Intent) -> None:
        examples = [plain(example) for example in intent.examples]
        if intent.action == "hello":
            self._telling: tuple[str, ...] = ()
            self._literal: tuple[str, ...] = ()
            self._whole = frozenset(examples)
        else:
            plenty = [one for one in examples if " " in _telling(one) or (_telling(one) and " " not in one)]
            self._telling = tuple({f" {_telling(one)} " for one in plenty})
            self._literal = tuple(f" {one} " for one in examples if one not in plenty and _telling(one))
            self._whole = frozenset(example for example in examples if not _telling(example))
        self._patterns = tuple(re.compile(pattern).search for pattern in intent.patterns)

    def fits(self, said: str, row: str, simply: str) -> bool:
        """`row`: the telling words of what was said, `simply`: what was said without courtesies."""
        if said in self._whole or simply in self._whole:
            return True
        for words in self._telling:  # loops, where `any` would make a generator each: this is asked of every intent
            if words in row:
                return True
        padded = f" {said} "
        for words in self._literal:
            if words in padded:
                return True
        for search in self._patterns:  # noqa: SIM110 - as above
            if search(said):
                return True
        return False
