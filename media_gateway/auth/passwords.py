"""Passwords: argon2, off the event loop, few at once."""

from __future__ import annotations

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from realtime.accounts.model import Invalid

SHORTEST, LONGEST = 12, 1024
"""Characters of a new password."""
_DEADLINE_S = 10.0
_AT_ONCE = 2  # argon2 takes 64 MiB a verification


class WeakPassword(Invalid):
    """The text says what a password must be."""


class Passwords:
    """Hashes and verifies in threads, `_AT_ONCE` of them. Raises TimeoutError when too many wait."""

    def __init__(self) -> None:
        self.hasher = PasswordHasher(parallelism=1)  # the thread that verifies is the one it may use
        self.slots = asyncio.Semaphore(_AT_ONCE)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """An argon2 hash of a new password. Raises WeakPassword, TimeoutError."""
        check(password)
        async with asyncio.timeout(_DEADLINE_S), self.slots:
            return await asyncio.to_thread(self.hasher.hash, password)

    async def verify(self, kept: str | None, password: str) -> bool:
        """True if `password` is the one of the hash `kept`. Without one, it takes as long and is False."""
        async with asyncio.timeout(_DEADLINE_S), self.slots:
            return await asyncio.to_thread(self._verify, kept, password)

    def _verify(self, kept: str | None, password: str) -> bool:
        if kept is None and self._decoy is None:
            self._decoy = self.hasher.hash(secrets.token_urlsafe(16))
        try:
            return self.hasher.verify(kept or self._decoy or "", password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def check(password: str) -> None:
    """Raises WeakPassword for what is not fit to be a new password."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(f"A password has {SHORTEST} to {LONGEST} characters.")
    if len(set(password)) < 4:
        raise WeakPassword("A password is not a few characters repeated.")
