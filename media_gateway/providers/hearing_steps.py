"""What the two Deepgram machines have in common: their events beside the vendor's messages, and what they ask for."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from media_gateway.voice.ports import Heard


class At(NamedTuple):
    """Where the call's sound is, in ms of it: how much the vendor has been given, and how much there is. The two differ
    while a lost connection is being made up for."""

    sent_ms: float
    now_ms: float


class Opened(msgspec.Struct, frozen=True):
    """A connection is there; its time 0 is this moment of the call."""

    offset_ms: float


class Dropped(msgspec.Struct, frozen=True):
    """The connection is gone, and another will be tried."""


class GaveUp(msgspec.Struct, frozen=True):
    """There will be no other connection."""


class Waited(msgspec.Struct, frozen=True):
    """What `Wait` asked for has passed."""


class Listen(msgspec.Struct, frozen=True):
    """From now on, this much silence ends a turn."""

    patience_ms: int


Lifecycle = Opened | Dropped | GaveUp | Waited | Listen


class Wait(msgspec.Struct, frozen=True):
    """Come back with `Waited` after this long; replaces the wait before. None: no more waiting."""

    ms: float | None


class Force(msgspec.Struct, frozen=True):
    """Make the vendor say what it has."""


Command = Heard | Wait | Force


def joined(*parts: str) -> str:
    """Texts after one another, those that are something."""
    return " ".join(part for part in parts if part)
