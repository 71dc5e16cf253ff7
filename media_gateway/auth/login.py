"""The login: one administrator from the environment, argon2 off the event loop, guesses slowed down."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from media_gateway.auth.model import AuthError, Principal
from realtime.clock import Clock, utcnow

_DEADLINE_S = 10.0
_AT_ONCE = 2  # argon2 takes 64 MiB a verification


class TooManyAttempts(AuthError):
    """Wait `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many failed attempts; wait {retry_after} s")
        self.retry_after = retry_after


class Throttle:
    """At most `limit` failures per key in `window_s` seconds. Remembers at most `most` keys, the newest."""

    def __init__(self, *, limit: int = 5, window_s: int = 60, most: int = 1024, clock: Clock = utcnow) -> None:
        self._limit, self._window_s, self._most, self._clock = limit, window_s, most, clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, key: str) -> None:
        """Raises TooManyAttempts."""
        recent = self._recent(key)
        if len(recent) >= self._limit:
            raise TooManyAttempts(max(1, int(recent[0] + self._window_s - self._clock().timestamp()) + 1))

    def failed(self, key: str) -> None:
        """Count a failure."""
        self._failures[key] = [*self._recent(key), self._clock().timestamp()]
        self._failures.move_to_end(key)
        while len(self._failures) > self._most:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the failures."""
        self._failures.pop(key, None)

    def _recent(self, key: str) -> list[float]:
        since = self._clock().timestamp() - self._window_s
        return [moment for moment in self._failures.get(key, ()) if moment > since]


class Login:
    """Checks user name and password. `password` is plain text or an argon2 hash (`$argon2...`).

    An unknown user costs what a wrong password costs: the hash is verified either way. The throttle counts attempts
    before they are verified, so that a burst of parallel guesses is limited too.
    """

    def __init__(self, username: str, password: str, *, org: str = "default", throttle: Throttle | None = None) -> None:
        self._username, self._password, self._org = username, password, org
        self._throttle = throttle or Throttle()
        self._hasher = PasswordHasher()
        self._hash: str | None = password if password.startswith("$argon2") else None
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, username: str, password: str, *, peer: str) -> Principal:
        """The principal. Raises AuthError, TooManyAttempts."""
        key = f"{peer} {username}"
        self._throttle.check(key)
        self._throttle.failed(key)
        async with self._slots, asyncio.timeout(_DEADLINE_S):
            verified = await asyncio.to_thread(self._verify, password)
        if not verified or not hmac.compare_digest(username.encode(), self._username.encode()):
            raise AuthError("wrong user name or password")
        self._throttle.succeeded(key)
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
