"""The sentences that callers of a flow are likely to say, made from the flow file itself: a recogniser with a small
vocabulary builds its language model from them. Lower case, words only, no punctuation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from num2words import num2words

from media_gateway.conversation.dates import Hours
from media_gateway.conversation.day_words import WEEKDAYS
from media_gateway.conversation.schema import FlowSpec

LIMIT = 6000
_OPENINGS = ("i need", "i would like", "i want to book", "can i get", "i need to schedule", "hi i need to schedule",
             "hi i need")  # fmt: skip
_LEADS = ("", "how about ", "no ", "actually make that ", "sorry make that ", "yes ", "let's say ")
_CHOICES = ("in the morning", "in the afternoon", "as soon as possible", "the earliest", "any time", "the first one",
            "the second one", "the last one", "the day", "the time", "the service")  # fmt: skip
_ENDS = ("", " please")


def phrases(spec: FlowSpec, hours: Hours) -> tuple[str, ...]:
    """At most LIMIT sentences; every service, day and hour of the flow is in some."""
    ordered = dict.fromkeys(_words(sentence) for sentence in _all(spec, hours))
    ordered.pop("", None)
    return tuple(islice(ordered, LIMIT))


def _all(spec: FlowSpec, hours: Hours) -> Iterator[str]:
    services = [service.say for service in spec.services]
    named = [name for service in spec.services for name in (service.say, *service.synonyms)]
    days, clocks = list(_days()), list(_clocks(hours))
    for intent in spec.intents.values():
        greeted = intent.action in {"book", "answer", "escalate"}
        for example in intent.examples:
            yield from (example, f"hi {example}", f"{example} please") if greeted else (example,)
    for name in named:
        yield from (name, f"{name} please", f"no {name}", f"my {name}", f"i want {_article(name)}")
        yield from (f"{opening} {_article(name)}" for opening in _OPENINGS)
        yield from (f"{opening} {name}" for opening in _OPENINGS)
        yield from (f"how much is {_article(name)}", f"actually make that {_article(name)}")
    for day in days:
        yield from (f"{lead}{day}{end}" for lead in _LEADS for end in _ENDS)
        yield from (f"{day} {part}" for part in ("morning", "afternoon"))
    for clock in clocks:
        yield from (f"{lead}{at}{clock}" for lead in _LEADS for at in ("", "at "))
        yield f"{clock} works"
    yield from _CHOICES
    whole = [clock for clock in clocks if clock in set(_hour_names(hours))]
    for day in days:
        yield from (f"{day} at {clock}" for clock in whole)
    for service in services:
        for day in days[:9]:
            yield f"i need {_article(service)} {day}"
            yield from (f"i need {_article(service)} {day} at {clock}" for clock in whole)


def _article(name: str) -> str:
    if name.split()[0] in {"rotate", "change", "new"} or name.endswith("s"):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _days() -> Iterator[str]:
    yield from ("tomorrow", "today", "the day after tomorrow")
    yield from WEEKDAYS
    yield from (f"next {day}" for day in WEEKDAYS)
    yield "next week"
    yield from (f"the {num2words(day, to='ordinal')}" for day in range(1, 32))


def _hour_names(hours: Hours) -> Iterable[str]:
    for hour in range(hours.opens.hour, hours.closes.hour + 1):
        yield num2words(hour % 12 or 12)


def _clocks(hours: Hours) -> Iterator[str]:
    yield from _hour_names(hours)
    for hour in range(hours.opens.hour, hours.closes.hour):
        name, half = num2words(hour % 12 or 12), "morning" if hour < 12 else "afternoon"
        yield from (f"{name} thirty", f"{name} o'clock", f"half past {name}", f"{name} in the {half}")
        yield from (f"quarter past {name}", f"quarter to {name}", f"{name} {'a' if hour < 12 else 'p'} m")
    yield "noon"


def _words(sentence: str) -> str:
    """Lower case, letters and apostrophes, hyphens opened."""
    return " ".join(re.sub(r"[^a-z' ]", " ", sentence.lower()).split())
