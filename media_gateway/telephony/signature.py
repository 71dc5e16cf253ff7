"""Twilio's signatures on webhooks and on the upgrade of a media stream.

The signed string begins with the URL as Twilio was told it, so it is built from PUBLIC_BASE_URL and never from what
the request says of itself (behind a proxy that is another scheme, and Host is the sender's to choose).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from twilio.request_validator import SIGNATURE_HEADER, RequestValidator

_HEADER = SIGNATURE_HEADER.lower()


class BadForm(Exception):
    """The body is not a urlencoded form."""


def parse_form(body: bytes) -> dict[str, str]:
    """A Twilio form. Blank values count in the signature and are kept. Raises BadForm."""
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=200, errors="strict"))
    except ValueError as error:
        raise BadForm("the body is not a urlencoded form in UTF-8") from error


class Signatures:
    """`base_url` is PUBLIC_BASE_URL without a trailing slash. `noted` is told of every signature that was there, and
    whether it fits."""

    def __init__(self, auth_token: str, base_url: str, noted: Callable[[bool], None] = lambda fits: None) -> None:
        if not auth_token:
            raise ValueError("without TWILIO_AUTH_TOKEN no signature can be checked")
        self._validator = RequestValidator(auth_token)
        self._noted = noted
        self._base_url = base_url
        self._socket_base_url = base_url.replace("http", "ws", 1)

    def webhook(self, path: str, query: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        """True if Twilio sent this form to this path (`query` raw, without the question mark)."""
        signature = headers.get(_HEADER)
        url = self._base_url + path + (f"?{query}" if query else "")
        return bool(signature) and self._note(bool(self._validator.validate(url, form, signature)))

    def upgrade(self, path: str, headers: Mapping[str, str]) -> bool:
        """True if Twilio asks for this socket. It signs the ws(s) URL alone, at times with a slash behind."""
        signature = headers.get(_HEADER)
        if not signature:
            return False
        url = self._socket_base_url + path.rstrip("/")
        return self._note(any(self._validator.validate(candidate, {}, signature) for candidate in (url, f"{url}/")))

    def _note(self, fits: bool) -> bool:
        self._noted(fits)
        return fits
