"""Google's OIDC tokens: signature, audience, issuer, account. Certificates are kept for as long as their answer says.

google-auth checks the signature and the times; it fetches certificates anew for every token, which is what this file
does not do.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import urllib3

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
SKEW_SECONDS = 10
LIFE_SECONDS = 3600.0
"""Of certificates whose answer does not say how long they hold."""
AGAIN_SECONDS = 60.0
"""The soonest that a key nobody knows has the certificates fetched anew: a stranger can name any key."""
FETCH_SECONDS = 5.0
LONGEST = 8192
"""Characters of a token; Google's have about 1,200."""


class BadToken(Exception):
    """Not a token of this account for this audience. The text says what is wrong with it."""


class NoCertificates(Exception):
    """The certificates cannot be had just now."""


class Certificates:
    """Those of one address, by key id. Safe to use from several threads."""

    def __init__(self, url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url, self._monotonic = url, monotonic
        self._lock = threading.Lock()
        self._certs: Mapping[str, str] = {}
        self._fetched = self._ends = float("-inf")
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=FETCH_SECONDS), retries=urllib3.Retry(total=1, redirect=False)
        )

    def get(self, kid: object) -> Mapping[str, str]:
        """Certificates that hold, newer ones if they do not know `kid`. Raises NoCertificates."""
        with self._lock:
            now = self._monotonic()
            unknown = kid not in self._certs and now - self._fetched >= AGAIN_SECONDS
            if now >= self._ends or unknown:
                self._fetch(now)
            return self._certs

    def _fetch(self, now: float) -> None:
        try:
            answer = self._pool.request("GET", self._url)
            certs = answer.json() if answer.status == 200 else None
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise NoCertificates(f"{self._url} could not be read: {type(error).__name__}") from error
        if not isinstance(certs, dict) or not all(isinstance(text, str) for text in certs.values()):
            raise NoCertificates(f"{self._url} answered {answer.status} without certificates")
        told = re.search(r"max-age=(\d{1,7})", answer.headers.get("Cache-Control", ""))
        self._certs, self._fetched = certs, now
        self._ends = now + (float(told[1]) if told else LIFE_SECONDS)


_lock = threading.Lock()
_certificates: dict[str, Certificates] = {}


def verify(token: str, *, audience: str, account: str, certs_url: str) -> None:
    """Raises BadToken, NoCertificates."""
    from google.auth import exceptions, jwt

    if len(token) > LONGEST:
        raise BadToken("the token is too long")
    try:
        header = jwt.decode_header(token)
        if header.get("alg") != "RS256" or not isinstance(header.get("kid"), str):
            raise BadToken("the token is not signed as Google signs")
        certs = _certificates_at(certs_url).get(header["kid"])
        claims: Mapping[str, Any] = jwt.decode(
            token, certs=certs, audience=audience, clock_skew_in_seconds=SKEW_SECONDS
        )
    except (exceptions.GoogleAuthError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadToken(f"the token does not hold ({type(error).__name__})") from error
    if claims.get("iss") not in ISSUERS:
        raise BadToken("the token is not Google's")
    if claims.get("email") != account or claims.get("email_verified") is not True:
        raise BadToken("the token is another account's")


def _certificates_at(url: str) -> Certificates:
    with _lock:
        if url not in _certificates:
            _certificates[url] = Certificates(url)
        return _certificates[url]
