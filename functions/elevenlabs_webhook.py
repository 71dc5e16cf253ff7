"""HTTP: ElevenLabs tells of a call it has held. Verified on the raw body, published, and only then acknowledged.

Nothing that happens after the bus has the news can change the answer. Imports stay light: this runs on a cold start.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from functions.baggage import without_audio
from functions.body import BodyTooLarge, read_body
from functions.elevenlabs_news import NotAnEnvelope, news
from functions.files import files
from functions.publisher import publish
from functions.settings import Misconfigured, Settings
from functions.signature import HEADER, BadSignature, read
from realtime.blobs.port import BlobsUnavailable
from realtime.bus.port import PublishFailed, TooLarge
from realtime.clock import utcnow

if TYPE_CHECKING:
    import flask

log = logging.getLogger(__name__)

MAX_BODY = 32 * 1024 * 1024
"""Cloud Run takes no more; audio webhooks are that large."""

Answer = tuple[dict[str, Any], int]


def elevenlabs_webhook(request: flask.Request) -> Answer:
    """200 once the bus has it. 401 signature, 405 method, 413 too large, 400 not a webhook, 503 not published."""
    if request.method != "POST":
        return _error(405, "method_not_allowed", "This is a webhook.", "Send a POST.")
    try:
        settings = Settings.of(os.environ)
        body = _verified(request, settings.webhook_secret)
        message = news(_parsed(body), body=body, now=utcnow())
        publish(without_audio(message, files(settings)), settings)
    except BadSignature as error:
        log.warning("webhook_refused", extra={"why": str(error)})
        return _error(401, "bad_signature", f"Not accepted: {error}.", "Sign with the secret of this webhook.")
    except (BodyTooLarge, TooLarge):
        return _error(413, "too_large", "The body is too large.", "Switch the transcript or the audio off.")
    except NotAnEnvelope as error:
        return _error(400, "bad_request", f"Not a webhook: {error}.", "Send {type, event_timestamp, data}.")
    except (ValueError, RecursionError):
        return _error(400, "bad_request", "The body is not JSON.", "Send {type, event_timestamp, data}.")
    except (PublishFailed, BlobsUnavailable, Misconfigured) as error:
        log.error("webhook_not_published", extra={"why": str(error)})
        return _error(503, "unavailable", "The news could not be kept.", "Send it again.")
    log.info("webhook_published", extra={"news": message.id, "kind": message.type, **message.keys})
    return {"received": True, "id": message.id}, 200


def _verified(request: flask.Request, secret: str) -> bytes:
    """The raw body, if its signature holds. What cannot be verified at all is not even read."""
    if not secret:
        log.error("webhook_secret_missing", extra={"fix": "set ELEVENLABS_WEBHOOK_SECRET"})
        raise BadSignature("this webhook has no secret to check with")
    signature = read(request.headers.get(HEADER), now=time.time())
    body = read_body(request, MAX_BODY)
    if not signature.covers(body, secret):
        raise BadSignature("the signature does not match the body")
    return body


def _parsed(body: bytes) -> object:
    """The JSON values of a body. Half a surrogate pair is legal in JSON text and nowhere else: it is replaced."""
    values: object = json.loads(body)
    if b"\\ud" in body.lower():
        values = json.loads(json.dumps(values, ensure_ascii=False).encode(errors="replace"))
    return values


def _error(status: int, code: str, message: str, fix: str) -> Answer:
    return {"error": {"code": code, "message": message, "fix": fix}}, status
