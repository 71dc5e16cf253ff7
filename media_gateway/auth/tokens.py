"""Signed tokens (JWT, HS256): access tokens, socket tickets, and the token of a media stream.

The audience says what a token is for, so that none can be used as another. The first key signs, all of them verify:
a new key is put in front, and the old one leaves when its last token has expired.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import jwt

from media_gateway.auth.model import ROLES, AuthError, Principal
from realtime.clock import Clock, utcnow

ACCESS = "callboard"
TICKET = "callboard-ws"
STREAM = "callboard-stream"
ACCESS_TTL = timedelta(hours=12)
TICKET_TTL = timedelta(seconds=60)
STREAM_TTL = timedelta(seconds=120)
_ALGORITHM = "HS256"


class Claims(Protocol):
    """The store's memory of what was used (`realtime.journal.Journal` has it)."""

    async def claim(self, kind: str, key: str, *, until: datetime) -> bool:
        """True for the first who claims this key, False for everyone after."""


@dataclass(frozen=True, slots=True)
class StreamClaims:
    """What the token of a media stream says: for which call it is, and whether the call goes on after a break."""

    call_id: str
    org: str
    jti: str
    resumed: bool
    expires: datetime


class Tokens:
    """Issues and verifies. Raises ValueError without keys."""

    def __init__(self, keys: Sequence[tuple[str, str]], *, clock: Clock = utcnow) -> None:
        if not keys:
            raise ValueError("at least one JWT key is needed")
        self._kid, self._secret = keys[0]
        self._keys = dict(keys)
        self._clock = clock

    def access(self, principal: Principal) -> str:
        """A bearer token, good for `ACCESS_TTL`."""
        return self._sign(ACCESS, ACCESS_TTL, _claims(principal))

    def fingerprints(self, text: str) -> tuple[str, ...]:
        """What can be told of a secret text in a token, and not be turned back: one under each key, the signing one
        first."""
        macs = (hmac.new(secret.encode(), text.encode(), hashlib.sha256) for secret in self._keys.values())
        return tuple(mac.hexdigest()[:16] for mac in macs)

    def verify_access(self, token: str) -> Principal:
        """Raises AuthError."""
        claims = self._verify(ACCESS, token)
        return _principal(claims, claims["exp"])

    def ticket(self, principal: Principal) -> str:
        """A socket ticket: single use, good for `TICKET_TTL`, redeemable on any instance. The socket that it
        opens is good for as long as the principal is."""
        claims = _claims(principal)
        if principal.expires is not None:
            claims["until"] = int(principal.expires.timestamp())
        return self._sign(TICKET, TICKET_TTL, {**claims, "jti": secrets.token_hex(16)})

    async def redeem_ticket(self, ticket: str, used: Claims) -> Principal:
        """The ticket's principal, once. Raises AuthError, StoreUnavailable."""
        claims = self._verify(TICKET, ticket)
        principal = _principal(claims, claims.get("until"))
        if not await used.claim("ticket", claims["jti"], until=_expiry(claims)):
            raise AuthError("this ticket has been used")
        return principal

    def stream(self, *, call_id: str, org: str, resumed: bool = False) -> str:
        """The token of a media stream (under 500 characters, the limit of a TwiML parameter)."""
        claims = {"sub": call_id, "org": org, "res": resumed, "jti": secrets.token_hex(16)}
        return self._sign(STREAM, STREAM_TTL, claims)

    def verify_stream(self, token: str, *, call_id: str) -> StreamClaims:
        """Checks all but its single use. Raises AuthError."""
        claims = self._verify(STREAM, token)
        if claims["sub"] != call_id:
            raise AuthError("this token belongs to another call")
        return StreamClaims(call_id, str(claims["org"]), claims["jti"], bool(claims.get("res")), _expiry(claims))

    def _sign(self, audience: str, ttl: timedelta, claims: Mapping[str, Any]) -> str:
        now = self._clock()
        body = {**claims, "aud": audience, "iat": int(now.timestamp()), "exp": int((now + ttl).timestamp())}
        return jwt.encode(body, self._secret, algorithm=_ALGORITHM, headers={"kid": self._kid})

    def _verify(self, audience: str, token: str) -> dict[str, Any]:
        try:
            secret = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],
                audience=audience,
                options={"require": ["sub", "exp", "aud"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise AuthError("the token is not valid") from error
        if not isinstance(claims["exp"], int) or claims["exp"] <= self._clock().timestamp():
            raise AuthError("the token has expired")
        return claims


def _expiry(claims: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(claims["exp"], UTC)


def _claims(principal: Principal) -> dict[str, Any]:
    claims: dict[str, Any] = {"sub": principal.user, "org": principal.org, "role": principal.role}
    return claims if principal.proof is None else {**claims, "prf": principal.proof}


def _principal(claims: Mapping[str, Any], until: int | None) -> Principal:
    role, proof = claims.get("role"), claims.get("prf")
    if role not in ROLES or not isinstance(claims.get("org"), str) or not isinstance(proof, str | None):
        raise AuthError("the token is not valid")
    expires = None if until is None else datetime.fromtimestamp(until, UTC)
    return Principal(claims["sub"], claims["org"], role, expires, proof)
