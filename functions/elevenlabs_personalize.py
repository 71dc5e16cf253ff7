"""HTTP: ElevenLabs asks who is calling, while the phone rings. Answered within a second, whatever happens.

Request `{"caller_id", "agent_id", "called_number", "call_sid"}`, answer `conversation_initiation_client_data`. It is
not signed: the secret is in a header that is set beside the URL. Whoever has the secret gets 200, for without an answer
the call may not start at all; in trouble the answer knows nobody. Source: elevenlabs.io/docs, "Twilio personalization".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from functions.body import read_body
from functions.settings import Settings

if TYPE_CHECKING:
    import flask

    from realtime.records.customers import Customer

log = logging.getLogger(__name__)

HEADER = "X-Callboard-Secret"
MAX_BODY = 64 * 1024
LOOKUP_SECONDS = 0.6
"""For the store; what is left of the second is the network's."""
ORG = "default"
STRANGER: Mapping[str, str | bool] = {
    "caller_known": False,
    "caller_name": "",
    "caller_first_name": "",
    "caller_vehicle": "",
    "customer_since": "",
    "last_service": "",
}
"""All that a prompt may use is always there: a variable that is missing makes the conversation fail."""
_pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="personalize")

Answer = tuple[dict[str, Any], int]


def elevenlabs_personalize(request: flask.Request) -> Answer:
    """200 with what is known of the caller; 401 without the secret, 405 for another method."""
    started = time.monotonic()
    if request.method != "POST":
        return _error(405, "method_not_allowed", "This answers who is calling.", "Send a POST.")
    if not _allowed(
        request.headers.get(HEADER),
        request.headers.get("Authorization"),
        os.environ.get("ELEVENLABS_PERSONALIZE_SECRET", ""),
    ):
        log.warning("personalize_refused")
        return _error(401, "unauthorized", "The secret does not fit.", f"Send it in the header {HEADER}.")
    variables: Mapping[str, str | bool] = STRANGER
    try:
        asked = json.loads(read_body(request, MAX_BODY))
        caller = asked.get("caller_id")
        if isinstance(caller, str) and caller:
            variables = _known(caller, seconds=LOOKUP_SECONDS - (time.monotonic() - started))
    except (Exception, CancelledError) as error:  # whatever it is: a caller must not hear that our store is away
        log.warning("personalize_defaults", extra={"why": type(error).__name__})
    milliseconds = round((time.monotonic() - started) * 1000)
    log.info("personalized", extra={"known": variables["caller_known"], "ms": milliseconds})
    return answer(variables), 200


def answer(variables: Mapping[str, str | bool]) -> dict[str, Any]:
    """`conversation_initiation_client_data`. The first message is only another one for a caller we know; for all
    others the agent's own stands, so that nothing needs to be allowed for them."""
    body: dict[str, Any] = {"type": "conversation_initiation_client_data", "dynamic_variables": dict(variables)}
    if first_name := variables["caller_first_name"]:
        greeting = f"Hi {first_name}, good to hear from you again. How can I help you today?"
        body["conversation_config_override"] = {"agent": {"first_message": greeting}}
    return body


def _allowed(own: str | None, authorization: str | None, secret: str) -> bool:
    """Fails closed, and the time it takes says nothing: digests of equal length are compared."""
    if not secret:
        log.error("personalize_secret_missing", extra={"fix": "set ELEVENLABS_PERSONALIZE_SECRET"})
        return False
    scheme, _, bearer = (authorization or "").partition(" ")
    given = own or (bearer.strip() if scheme.lower() == "bearer" else "")
    return hmac.compare_digest(_digest(given), _digest(secret))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _known(caller: str, *, seconds: float) -> Mapping[str, str | bool]:
    """What is known of the caller within `seconds`. Raises TimeoutError, and whatever the store raises.

    In a thread: on a cold start the store's client alone may take longer than that. It goes on being made ready, so
    that the next caller is known.
    """
    looking = _pool.submit(_look_up, Settings.of(os.environ), caller)
    try:
        customer = looking.result(max(0.0, seconds))
    except TimeoutError:
        looking.cancel()
        raise
    if customer is None:
        return STRANGER
    words = customer.name.split()
    return {
        "caller_known": True,
        "caller_name": customer.name,
        "caller_first_name": words[0] if words else "",
        "caller_vehicle": customer.vehicle or "",
        "customer_since": customer.customer_since or "",
        "last_service": customer.last_service or "",
    }


def _look_up(settings: Settings, caller: str) -> Customer | None:
    """Imported here: a caller whose number is withheld needs neither the store nor the library of numbers."""
    from functions.runtime import runtime
    from realtime.records.customers import find_by_phone

    here = runtime(settings)
    return here.run(find_by_phone(here.store, ORG, caller), seconds=LOOKUP_SECONDS)


def _error(status: int, code: str, message: str, fix: str) -> Answer:
    return {"error": {"code": code, "message": message, "fix": fix}}, status
