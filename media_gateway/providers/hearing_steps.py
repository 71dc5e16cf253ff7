"""What the two Deepgram machines have in common: their events beside the vendor's messages, and what they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from media_gateway.voice.ports import Heard


class At(NamedTuple):
    """Where the call's sound is, in ms of it: how much the vendor has been given, and how much there is. The two differ
    while a lost connection is being made up for."""

    sent_ms: float
    now_ms: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection is there; its time 0 is this moment of the call."""

    offset_ms: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection is gone, and another will be tried."""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """There will be no other connection."""


@dataclass(frozen=True, slots=True)
class Waited:
    """What `Wait` asked for has passed."""


@dataclass(frozen=True, slots=True)
class Listen:
    """From now on, this much silence ends a turn."""

    patience_ms: int


Lifecycle = Opened | Dropped | GaveUp | Waited | Listen


@dataclass(frozen=True, slots=True)
class Wait:
    """Come back with `Waited` after this long; replaces the wait before. None: no more waiting."""

    ms: float | None


@dataclass(frozen=True, slots=True)
class Force:
    """Make the vendor say what it has."""


Command = Heard | Wait | Force


def joined(*parts: str) -> str:
    """Texts after one another, those that are something."""
    return " ".join(part for part in parts if part)
