"""The opaque cursor of `*`: for whom it was made and when everything up to it had been told. Signed, so that it says
what we said.

The moment in it is a hint for a listing and widened by `MARGIN` on use: clocks of instances may differ by minutes, and
what a client has seen of each call it knows itself, by `(epoch, seq)`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

MARGIN = timedelta(minutes=11)
"""Twice the five minutes that a clock may be wrong by, and the minute that news may be late."""
_MAC = 16


class BadCursor(ValueError):
    """It is none of ours."""


class Cursors:
    """Signs with the first key, accepts all of them."""

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        self._keys = [hmac.digest(secret.encode(), b"callboard.v1 cursor", hashlib.sha256) for _, secret in keys]

    def make(self, org: str, moment: datetime) -> str:
        """Everything of `org` up to `moment` has been told."""
        body = f"{int(moment.timestamp())}.{org}".encode()
        return base64.urlsafe_b64encode(_mac(self._keys[0], body) + body).decode().rstrip("=")

    def moment(self, cursor: str, org: str) -> datetime:
        """Raises BadCursor, also for another organisation's."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (ValueError, UnicodeError) as error:
            raise BadCursor("this cursor cannot be read") from error
        mac, body = raw[:_MAC], raw[_MAC:]
        good = [hmac.compare_digest(mac, _mac(key, body)) for key in self._keys]
        seconds, _, of = body.decode("utf-8", "replace").partition(".")
        if not any(good) or of != org:
            raise BadCursor("this cursor is none of ours")
        return datetime.fromtimestamp(int(seconds), UTC)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_MAC]
