"""A token of our own for the gateway: HS256 with the first key of JWT_SECRET, as the gateway's own tokens are.

With the standard library, for cold start. It is good for one span of minutes only and carries the operator's role:
whoever finds it later finds nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from datetime import datetime

AUDIENCE = "callboard"
"""What the gateway's access tokens are for (`media_gateway.auth.tokens`)."""


class NoKey(ValueError):
    """JWT_SECRET holds no `kid:secret`."""


def signing_key(text: str) -> tuple[str, str]:
    """(kid, secret) of the first of `kid:secret,...`; a single secret without a kid is called "1". Raises NoKey."""
    first = text.split(",")[0].strip()
    kid, colon, secret = first.partition(":")
    kid, secret = (kid, secret) if colon else ("1", first)
    if not kid or not secret:
        raise NoKey("JWT_SECRET is not `kid:secret`")
    return kid, secret


def operator_token(key: tuple[str, str], *, user: str, org: str, begins: datetime, ends: datetime) -> str:
    """Good from `begins` until before `ends`, whole seconds inside of both."""
    kid, secret = key
    claims = {
        "sub": user,
        "org": org,
        "role": "operator",
        "aud": AUDIENCE,
        "iat": math.ceil(begins.timestamp()),
        "nbf": math.ceil(begins.timestamp()),
        "exp": max(math.floor(ends.timestamp()), math.ceil(begins.timestamp()) + 1),
    }
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{_part(claims)}"
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64(mac)}"


def _part(values: Mapping[str, object]) -> str:
    return _base64(json.dumps(values, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
