"""Thinking ahead: when a turn is probably over its answer is begun, and then adopted or dropped, never both. Pure.

Eager ----> Begin          the answer is thought, unheard and without effects
Committed -> Adopt         the turn is real and says the same words
          -> Drop          anything else: other words, the caller goes on, the floor went elsewhere
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

MOST = 3
"""Guesses in one turn: a caller who hesitates costs no more than that."""


@dataclass(frozen=True, slots=True)
class Eager:
    """The turn is probably over; `text` is then the whole of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """It was not."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The caller's turn is real."""

    text: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Something else has the floor: keys, silence, an interruption, the end."""


@dataclass(frozen=True, slots=True)
class Lost:
    """This guess came to nothing by itself."""

    guess: int


Event = Eager | Resumed | Committed | Moved | Lost


@dataclass(frozen=True, slots=True)
class Begin:
    """Think about this, for nobody to hear."""

    guess: int
    text: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """It is the answer."""

    guess: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Stop it; nothing of it was."""

    guess: int


Command = Begin | Adopt | Drop


class Speculation(msgspec.Struct, frozen=True):
    """`words` are those of the guess that is alive; `guess` its number, or that of the last; `spent` in this turn."""

    guess: int = 0
    words: tuple[str, ...] = ()
    spent: int = 0


def words(text: str) -> tuple[str, ...]:
    """What two texts must share to be the same turn: capitals and punctuation are the recogniser's taste."""
    return tuple(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.casefold()))


def step(now: Speculation, event: Event) -> tuple[Speculation, tuple[Command, ...]]:
    """One step. Every event is allowed at any time."""
    quiet = replace(now, words=())
    drop: tuple[Command, ...] = (Drop(now.guess),) if now.words else ()
    match event:
        case Eager(text):
            said = words(text)
            if said == now.words:
                return now, ()
            if not said or now.spent >= MOST:
                return quiet, drop
            return Speculation(now.guess + 1, said, now.spent + 1), (*drop, Begin(now.guess + 1, text))
        case Resumed():
            return quiet, drop
        case Committed(text) if now.words and words(text) == now.words:
            return replace(quiet, spent=0), (Adopt(now.guess),)
        case Committed() | Moved():
            return replace(quiet, spent=0), drop
        case Lost(guess):
            return (quiet, ()) if guess == now.guess else (now, ())
