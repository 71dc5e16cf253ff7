"""The kinds of text that a flow file is made of: spoken lines with placeholders, words, patterns, names."""

from __future__ import annotations

import re
import string
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

PLACEHOLDERS = frozenset(
    {"shop", "address", "phone", "first_name", "services", "service", "date", "time", "when", "times", "hours"}
    | {"price", "prices", "question", "vehicle", "customer_since", "last_service", "appointment", "appointments"}
    | {"item", "items", "summary", "found", "reference"}
)


def _line(text: str) -> str:
    """A spoken line: plain placeholders only, and only known ones."""
    try:
        fields = [(name, spec, how) for _, name, spec, how in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ValueError(f"{error}; write {{{{ for a brace that is to be spoken") from error
    for name, spec, how in fields:
        if name not in PLACEHOLDERS or spec or how:
            raise ValueError(f"unknown placeholder {{{name}}}; there are: {', '.join(sorted(PLACEHOLDERS))}")
    return text


def placeholders(line: str) -> frozenset[str]:
    """The names in the line's braces."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(line) if name)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise ValueError(f"no such time zone: {name}; write it like America/New_York") from error
    return name


Line = Annotated[str, Field(min_length=1), AfterValidator(_line)]
Lines = Annotated[tuple[Line, ...], Field(min_length=1)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Part(BaseModel):
    """Every mapping of the file: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Zone = Annotated[str, AfterValidator(_zone)]
