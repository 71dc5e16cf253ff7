"""The login: the administrator of the environment and the users of the store, argon2 off the event loop, guesses
slowed down.

Behind a proxy every client has the same address, so a guesser can fail under the very key of the real administrator.
Therefore nobody is blocked for failures: the password is verified first, the right one always lets in, and only the
answer to a wrong one is kept back, longer each time. What bounds guessing, and the cost of verifying, is one rate for
all attempts together.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from media_gateway.auth.gate import Gate
from media_gateway.auth.model import AuthError, Principal
from media_gateway.auth.passwords import Passwords
from media_gateway.rate import Bucket
from realtime.accounts import Accounts

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
    """Checks user name and password: the administrator of the environment, else a user of the store.

    An unknown user costs what a wrong password costs: a hash is verified either way. An attempt that could not be
    verified in time (TimeoutError) is no failure. A password that stands in the environment as it is gains nothing from
    being hashed by us: the right one is compared and costs nothing, a wrong one costs what every wrong one does.
    """

    def __init__(
        self,
        gate: Gate,
        accounts: Accounts | None = None,
        *,
        passwords: Passwords | None = None,
        rate: Bucket | None = None,
        delays: Delays | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gate, self._accounts, self._passwords = gate, accounts, passwords or Passwords()
        self._rate, self._delays = rate or Bucket(RATE, BURST), delays or Delays(clock=clock)
        self._sleep, self._clock = sleep, clock
        kept = gate.bootstrap.password if gate.bootstrap else ""
        hashed = kept.startswith("$argon2")
        self._root_hash = kept if hashed else None
        self._root_plain = None if hashed else kept.encode()

    async def __call__(self, username: str, password: str, *, peer: str) -> Principal:
        """The principal. Raises AuthError, TooManyAttempts, TimeoutError, StoreUnavailable."""
        if not self._rate.take(self._clock()):
            raise TooManyAttempts(1)
        kept, principal = await self._known(username)
        plain = principal is not None and kept is None and self._is_roots(password)
        verified = plain or await self._passwords.verify(kept, password)
        key = f"{peer} {username}"
        if not verified or principal is None:
            await self._sleep(self._delays.failed(key))
            raise AuthError("wrong user name or password")
        self._delays.succeeded(key)
        return principal

    def _is_roots(self, password: str) -> bool:
        """Compared as digests: how long it takes says nothing of how long the right one is."""
        mine, theirs = (hashlib.sha256(text).digest() for text in (self._root_plain or b"", password.encode()))
        return bool(self._root_plain) and hmac.compare_digest(mine, theirs)

    async def _known(self, username: str) -> tuple[str | None, Principal | None]:
        """The hash to verify with (of the administrator None, if the password is kept as it is), and who it is."""
        root = self._gate.bootstrap
        if root is not None and hmac.compare_digest(username.encode(), root.username.encode()):
            return self._root_hash, Principal(root.username, root.org, "admin", None, self._gate.bootstrap_proof())
        user = await self._accounts.user(username) if self._accounts else None
        if user is None or user.disabled:
            return None, None
        proof = f"user:{user.stamp}"
        return user.password, Principal(user.name, user.org, user.role, None, proof, user.one_time)


class DemoLogin:
    """A link that logs in once, printed by `dev`. The caller has checked that the request comes from this machine."""

    def __init__(self, user: str, *, org: str = "default", code: str | None = None) -> None:
        self.code = code or secrets.token_urlsafe(16)
        self._principal = Principal(user, org, "admin")
        self._used = False

    def exchange(self, code: str) -> Principal:
        """The administrator, as `dev` knows them. Raises AuthError on a wrong or used code."""
        if self._used or not hmac.compare_digest(code.encode(), self.code.encode()):
            raise AuthError("this login link has been used or is not valid; start Callboard again for a new one")
        self._used = True
        return self._principal
