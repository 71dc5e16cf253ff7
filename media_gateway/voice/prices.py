"""What the vendors' part of a call costs, from what was used: list prices in US dollars, as of `AS_OF`. They are an
estimate for the dashboard; the vendors' invoices count, and a contract may say otherwise. Change them here: what is
said before a call is placed and the estimate of docs/costs.md read them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
AS_OF = "2026-11-20"


@dataclass(frozen=True, slots=True)
class Tokens:
    """US dollars a million."""

    prompt: float
    cached: float
    completion: float


THINKING: Mapping[str, Tokens] = {"openai": Tokens(0.25, 0.025, 2.00)}
"""By the name of the mind. One price for all models of a vendor: the default's."""
HEARING: Mapping[str, float] = {"deepgram": 0.0077}
"""A minute heard."""
SPEAKING: Mapping[str, float] = {"deepgram": 0.030, "elevenlabs": 0.050}
"""A thousand characters."""
INBOUND, OUTBOUND, STREAM = 0.0085, 0.014, 0.004
"""A minute of a call to us, of one that we place, and of its media stream."""
MACHINE_DETECTION = 0.0075
"""A call."""
TELEPHONE = INBOUND + STREAM
"""A minute of an inbound call, with its media stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendors:
    """The names of the engines, and whether the call comes by telephone at all."""

    ears: str
    mind: str
    voice: str
    telephone: bool = True


def cost(
    vendors: Vendors, *, prompt: int = 0, cached: int = 0, completion: int = 0, characters: int = 0, seconds: float = 0
) -> dict[str, float]:
    """US dollars by part, and in all (`usd`). What has no price costs nothing: the engines of this machine."""
    tokens = _of(THINKING, vendors.mind) or Tokens(0, 0, 0)
    fresh = max(0, prompt - cached)
    parts = {
        "llm": (fresh * tokens.prompt + cached * tokens.cached + completion * tokens.completion) / 1e6,
        "tts": characters * (_of(SPEAKING, vendors.voice) or 0.0) / 1_000,
        "stt": seconds / 60 * (_of(HEARING, vendors.ears) or 0.0),
        "telephone": seconds / 60 * TELEPHONE if vendors.telephone else 0.0,
    }
    return {name: round(usd, 6) for name, usd in {**parts, "usd": sum(parts.values())}.items()}


def _of(prices: Mapping[str, T], name: str) -> T | None:
    """Of the first vendor that the name names: an engine with a stand-in is called by both."""
    found = [(name.find(vendor), price) for vendor, price in prices.items() if vendor in name]
    return min(found, key=lambda one: one[0])[1] if found else None
