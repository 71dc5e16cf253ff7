"""The signature of ElevenLabs' webhooks, with the standard library only (cold start).

Header `ElevenLabs-Signature: t=<unix seconds>,v0=<hex HMAC-SHA256 of "{t}.{raw body}">`; several `v0` while a secret is
being rotated. Source: elevenlabs.io/docs, "Post-call webhooks".
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

HEADER = "ElevenLabs-Signature"
OLDEST_SECONDS = 30 * 60
AHEAD_SECONDS = 60


class BadSignature(Exception):
    """The request is not from who it says it is, or too old; the text says what is wrong, never what is right."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A header that could be read."""

    timestamp: str
    digests: tuple[str, ...]

    def covers(self, body: bytes, secret: str) -> bool:
        """True if one of the digests is that of `body`. The time it takes says nothing about any of them."""
        expected = hmac.new(secret.encode(), self.timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        matches = [hmac.compare_digest(expected.encode(), digest.encode()) for digest in self.digests]
        return any(matches)


def read(header: str | None, *, now: float) -> Signature:
    """The signature in a header, if its time is near `now` (unix seconds). Raises BadSignature."""
    if not header:
        raise BadSignature(f"the header {HEADER} is missing")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value.strip() for name, _, value in pairs if name.strip() == "t"]
    digests = tuple(value.strip() for name, _, value in pairs if name.strip() == "v0")
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal() and len(times[0]) <= 12):
        raise BadSignature(f"{HEADER} has no time t=<unix seconds>")
    if not digests:
        raise BadSignature(f"{HEADER} has no v0=<signature>")
    age = now - int(times[0])
    if age > OLDEST_SECONDS:
        raise BadSignature("the signature is older than 30 minutes")
    if age < -AHEAD_SECONDS:
        raise BadSignature("the signature's time lies in the future")
    return Signature(times[0], digests)
