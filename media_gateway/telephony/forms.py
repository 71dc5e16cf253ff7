"""A webhook of Twilio as its routes meet it: a form that is known to be Twilio's, and TwiML in answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from media_gateway.http_errors import ApiError
from media_gateway.telephony.signature import BadForm, Signatures, parse_form
from realtime.paths import is_id

MAX_FORM = 64 * 1024
_CALL_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def verified(request: Request, signatures: Signatures) -> Mapping[str, str]:
    """The form, once it is known to be Twilio's. Raises ApiError."""
    try:
        form = parse_form(await request.body())
    except BadForm as error:
        raise ApiError(400, str(error)) from error
    query = request.scope["query_string"].decode("latin-1")
    if not signatures.webhook(request.scope["path"], query, form, request.headers):
        raise ApiError(
            403,
            "The Twilio signature does not fit.",
            code="bad_signature",
            fix="TWILIO_AUTH_TOKEN and PUBLIC_BASE_URL must be those that Twilio uses for this number.",
        )
    if not is_call_id(form.get("CallSid", "")):
        raise ApiError(422, "CallSid is missing or malformed.")
    return form


def is_call_id(text: str) -> bool:
    """Could this be the id of a call?"""
    return bool(_CALL_SID.fullmatch(text)) and is_id(text)


def xml(body: str) -> Response:
    """TwiML."""
    return Response(body, media_type="text/xml")
