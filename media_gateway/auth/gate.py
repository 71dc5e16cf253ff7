"""Who a request comes from: an access token, an API key or a socket's ticket, and whether that still holds.

A token's signature says who it was made for; the store says whether that user may still come in. A change (password,
role, disabled, revoked) is felt at once on the instance that made it and within `FRESH_S` on the others.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Generic, TypeVar

import structlog

from media_gateway.auth.model import AuthError, Principal
from media_gateway.auth.tokens import Claims, Tokens
from media_gateway.rate import Bucket
from realtime.accounts import Accounts, ApiKey, User
from realtime.accounts.model import KEY_PREFIX, key_hash, key_parts
from realtime.clock import Clock, parse_iso, utcnow
from realtime.stores.port import Conflict, StoreUnavailable

FRESH_S = 10.0
"""How old what we know of a user or a key may be."""
REMEMBERED = 4096
NOTE_USE = timedelta(minutes=5)
"""How exact `last_used_at` of a key is."""
UNKNOWN_RATE, UNKNOWN_BURST = 50.0, 100.0
"""Keys a second that may be looked up in the store: guesses cost us no more than this."""
_log = structlog.get_logger()
T = TypeVar("T")


class OneTime(AuthError):
    """Who asks has yet to choose a password of their own."""


class TooManyKeys(AuthError):
    """More keys than usual are asked for; wait a second."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The administrator of the environment, who is there before any user is."""

    username: str
    password: str = field(repr=False)
    """Plain text or an argon2 hash."""
    org: str = "default"


class _Fresh(Generic[T]):
    """What the store said of a few names, for `FRESH_S`."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, name: str) -> tuple[T] | None:
        at, value = self._known.get(name, (float("-inf"), None))
        return (value,) if value is not None and self._monotonic() - at < FRESH_S else None

    def put(self, name: str, value: T) -> None:
        self._known[name] = (self._monotonic(), value)
        self._known.move_to_end(name)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, name: str) -> None:
        self._known.pop(name, None)


class Gate:
    """One per process. Without `accounts` there are no users and no keys but what `tokens` has signed."""

    def __init__(
        self,
        tokens: Tokens,
        accounts: Accounts | None = None,
        bootstrap: Bootstrap | None = None,
        *,
        clock: Clock = utcnow,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tokens, self._accounts, self.bootstrap = tokens, accounts, bootstrap
        self._clock, self._monotonic = clock, monotonic
        self._users: _Fresh[User] = _Fresh(monotonic)
        self._keys: _Fresh[ApiKey] = _Fresh(monotonic)
        self._lookups = Bucket(UNKNOWN_RATE, UNKNOWN_BURST)

    async def bearer(self, credential: str, *, one_time: bool = False) -> Principal:
        """Who shows this access token or API key. Raises AuthError, OneTime (unless `one_time` is let in),
        TooManyKeys, StoreUnavailable."""
        if credential.startswith(KEY_PREFIX):
            return await self._by_key(credential)
        return await self.check(self.tokens.verify_access(credential), one_time=one_time)

    async def ticket(self, ticket: str, used: Claims) -> Principal:
        """Who shows this ticket, once. Raises AuthError, StoreUnavailable."""
        return await self.check(await self.tokens.redeem_ticket(ticket, used))

    async def check(self, principal: Principal, *, one_time: bool = False) -> Principal:
        """The principal as it is now: its role and organisation are those of the store. Raises AuthError when it may
        not come in any more; StoreUnavailable."""
        kind, _, proof = (principal.proof or "").partition(":")
        if kind == "user":
            user = await self._fresh(self._users, principal.user, self._user)
            if not _vouches(user, proof):  # maybe we are behind: the token can be newer than what we know
                self._users.forget(principal.user)
                user = await self._fresh(self._users, principal.user, self._user)
            if user is None or not _vouches(user, proof):
                raise AuthError("the token has been ended; log in again")
            if user.one_time and not one_time:
                raise OneTime("choose a password of your own first")
            return replace(principal, org=user.org, role=user.role, one_time=user.one_time)
        if kind == "key":
            key = await self._fresh(self._keys, proof, self._key)
            if key is None or key.revoked_at is not None:
                raise AuthError("the key has been revoked")
            return replace(principal, org=key.org, role=key.role)
        if kind == "env" and proof not in self._fingerprints():
            raise AuthError("the token has been ended; log in again")
        return principal

    def bootstrap_proof(self) -> str:
        """The proof in tokens of the environment's administrator: another password makes another one."""
        return f"env:{self._fingerprints()[0]}"

    def forget(self, *, user: str = "", key: str = "") -> None:
        """Look it up again: it has just been changed here."""
        self._users.forget(user)
        self._keys.forget(key)

    async def _by_key(self, text: str) -> Principal:
        key_id, secret = key_parts(text) or ("", "")
        key = None
        if key_id:
            if self._keys.get(key_id) is None and not self._lookups.take(self._monotonic()):
                raise TooManyKeys("too many keys are tried; wait 1 s")
            key = await self._fresh(self._keys, key_id, self._key)
        if key is None or not hmac.compare_digest(key_hash(secret), key.hash):
            raise AuthError("there is no such key")
        if key.revoked_at is not None:
            raise AuthError("the key has been revoked")
        await self._note_use(key)
        return Principal(f"key:{key.id}", key.org, key.role, None, f"key:{key.id}")

    async def _note_use(self, key: ApiKey) -> None:
        now = self._clock()
        if self._accounts is None or (key.last_used_at and now - parse_iso(key.last_used_at) < NOTE_USE):
            return
        try:
            await self._accounts.used_key(key.id)
        except (Conflict, StoreUnavailable) as error:  # somebody else notes it, or it is noted next time
            _log.debug("key_use_not_noted", key=key.id, why=type(error).__name__)
        self._keys.forget(key.id)

    async def _fresh(self, known: _Fresh[T], name: str, look: Callable[[str], Awaitable[T | None]]) -> T | None:
        found = known.get(name)
        if found is not None:
            return found[0]
        value = await look(name)
        if value is not None:
            known.put(name, value)
        return value

    async def _user(self, name: str) -> User | None:
        return await self._accounts.user(name) if self._accounts else None

    async def _key(self, key_id: str) -> ApiKey | None:
        return await self._accounts.key(key_id) if self._accounts else None

    def _fingerprints(self) -> tuple[str, ...]:
        one = self.bootstrap
        return self.tokens.fingerprints(f"{one.username}\n{one.password}") if one else ("none",)


def _vouches(user: User | None, stamp: str) -> bool:
    return user is not None and not user.disabled and hmac.compare_digest(user.stamp.encode(), stamp.encode())
