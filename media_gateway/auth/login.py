"""The login: one administrator from the environment, argon2 off the event loop, guesses slowed down.

Behind a proxy every client has the same address, so a guesser can fail under the very key of the real administrator.
Therefore nobody is blocked for failures: the password is verified first, the right one always lets in, and only the
answer to a wrong one is kept back, longer each time. What bounds guessing, and the cost of verifying, is one rate for
all attempts together.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from media_gateway.auth.model import AuthError, Principal
from media_gateway.rate import Bucket

_DEADLINE_S = 10.0
_AT_ONCE = 2  # argon2 takes 64 MiB a verification
RATE, BURST = 5.0, 20.0
"""Attempts a second of everybody together, and at once after a pause."""


class TooManyAttempts(AuthError):
    """Wait `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many attempts; wait {retry_after} s")
        self.retry_after = retry_after


class Delays:
    """How long the answer to a wrong password is kept back, per key: nothing for the first `free` failures, then from
    `first_s` doubling to `longest_s`. A key without failures for `forget_s` begins anew; the `most` newest are kept."""

    def __init__(
        self,
        *,
        free: int = 3,
        first_s: float = 0.5,
        longest_s: float = 8.0,
        forget_s: float = 900.0,
        most: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free, self._first_s, self._longest_s, self._forget_s = free, first_s, longest_s, forget_s
        self._most, self._clock = most, clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, key: str) -> float:
        """Count a failure; seconds to keep its answer back."""
        count, last = self._failures.get(key, (0, 0.0))
        now = self._clock()
        count = 1 if now - last > self._forget_s else count + 1
        self._failures[key] = (count, now)
        self._failures.move_to_end(key)
        while len(self._failures) > self._most:
            self._failures.popitem(last=False)
        if count <= self._free:
            return 0.0
        return float(min(self._longest_s, self._first_s * 2 ** min(count - self._free - 1, 32)))

    def succeeded(self, key: str) -> None:
        """Forget the failures."""
        self._failures.pop(key, None)


class Login:
    """Checks user name and password. `password` is plain text or an argon2 hash (`$argon2...`).

    An unknown user costs what a wrong password costs: the hash is verified either way. An attempt that could not be
    verified in time (TimeoutError) is no failure.
    """

    def __init__(
        self,
        username: str,
        password: str,
        *,
        org: str = "default",
        rate: Bucket | None = None,
        delays: Delays | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._username, self._password, self._org = username, password, org
        self._rate, self._delays = rate or Bucket(RATE, BURST), delays or Delays(clock=clock)
        self._sleep, self._clock = sleep, clock
        self._hasher = PasswordHasher(parallelism=1)  # the thread that verifies is the one it may use
        self._hash: str | None = password if password.startswith("$argon2") else None
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, username: str, password: str, *, peer: str) -> Principal:
        """The principal. Raises AuthError, TooManyAttempts, TimeoutError."""
        if not self._rate.take(self._clock()):
            raise TooManyAttempts(1)
        async with asyncio.timeout(_DEADLINE_S), self._slots:
            verified = await asyncio.to_thread(self._verify, password)
        key = f"{peer} {username}"
        if not verified or not hmac.compare_digest(username.encode(), self._username.encode()):
            await self._sleep(self._delays.failed(key))
            raise AuthError("wrong user name or password")
        self._delays.succeeded(key)
        return Principal(self._username, self._org, "admin")

    def _verify(self, password: str) -> bool:
        if self._hash is None:
            self._hash = self._hasher.hash(self._password)
        try:
            return self._hasher.verify(self._hash, password)
        except (VerificationError, InvalidHashError):
            return False


class DemoLogin:
    """A link that logs in once, printed by `dev`. The caller has checked that the request comes from this machine."""

    def __init__(self, user: str, *, org: str = "default", code: str | None = None) -> None:
        self.code = code or secrets.token_urlsafe(16)
        self._principal = Principal(user, org, "admin")
        self._used = False

    def exchange(self, code: str) -> Principal:
        """Raises AuthError on a wrong or used code."""
        if self._used or not hmac.compare_digest(code.encode(), self.code.encode()):
            raise AuthError("this login link has been used or is not valid; start Callboard again for a new one")
        self._used = True
        return self._principal
