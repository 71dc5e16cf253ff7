"""HTTP: Twilio asks here what to do with a caller when the gateway does not answer. The caller is joined with a person.

It stands outside the gateway on purpose, keeps nothing and asks nobody: no store, no bus, no vendor. Twilio's signature
is checked over this function's own address (PUBLIC_BASE_URL of this function).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from functions.body import BodyTooLarge, read_body

if TYPE_CHECKING:
    import flask

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
HEADER = "X-Twilio-Signature"
SORRY = "We are sorry, we cannot take your call right now. Please call again in a few minutes."
MOMENT = "One moment please, I am connecting you."

Answer = tuple[str, int, dict[str, str]]


def voice_fallback(request: flask.Request) -> Answer:
    """200 TwiML; 403 without Twilio's signature, 405 for other methods, 413 for a body that is none of Twilio's."""
    if request.method != "POST":
        return _plain("This answers Twilio.\n", 405)
    token, base = os.environ.get("TWILIO_AUTH_TOKEN", ""), os.environ.get("PUBLIC_BASE_URL", "").rstrip("/")
    if not token or not base:
        log.error("fallback_misconfigured", extra={"fix": "set TWILIO_AUTH_TOKEN and PUBLIC_BASE_URL"})
        return _plain("Not allowed.\n", 403)
    try:
        form = _form(read_body(request, MAX_BODY))
    except BodyTooLarge:
        return _plain("Too large.\n", 413)
    except ValueError:
        return _plain("Not a form.\n", 400)
    path = request.full_path.rstrip("?") if request.query_string else request.path
    if not signed(token, base + path, form, request.headers.get(HEADER, "")):
        log.warning("fallback_refused")
        return _plain("Not allowed.\n", 403)
    log.error("fallback_answered", extra={"call_sid": form.get("CallSid", ""), "why": form.get("ErrorCode", "")})
    return twiml(os.environ.get("HANDOFF_NUMBER", "")), 200, {"Content-Type": "text/xml"}


def twiml(number: str) -> str:
    """Join the caller with `number`; without one, or when nobody answers there, say so."""
    dial = f'<Say>{MOMENT}</Say><Dial timeout="25">{escape(number)}</Dial>' if number else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{dial}<Say>{SORRY}</Say><Hangup/></Response>'


def signed(token: str, url: str, form: Mapping[str, str], signature: str) -> bool:
    """True if Twilio, which has the token too, sent this form to this URL."""
    text = url + "".join(name + form[name] for name in sorted(form))
    made = base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest())
    return bool(signature) and hmac.compare_digest(made, signature.encode())


def _form(body: bytes) -> dict[str, str]:
    """Blank values count in the signature. Raises ValueError."""
    from urllib.parse import parse_qsl

    return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=200, errors="strict"))


def _plain(text: str, status: int) -> Answer:
    return text, status, {"Content-Type": "text/plain"}
