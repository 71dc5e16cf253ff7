"""Pub/Sub push or CloudEvent: news of a call is applied to the journal.

A plain HTTP function on purpose: functions-framework turns a raw push into a CloudEvent in sync mode and refuses it in
async mode. Both shapes, and the push body inside a CloudEvent, are told apart here instead.
"""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from functions.body import BodyTooLarge, read_body
from functions.push_auth import NotAllowed, check
from functions.runtime import runtime
from functions.settings import Misconfigured, Settings
from realtime.bus.port import MAX_DATA_BYTES
from realtime.stores.port import Conflict, StoreUnavailable

if TYPE_CHECKING:
    import flask

log = logging.getLogger(__name__)

MAX_BODY = MAX_DATA_BYTES * 4 // 3 + 1024 * 1024
"""The largest message that a bus takes, in base64, and room for its envelope: what was published can be delivered."""
APPLY_SECONDS = 50.0
"""Less than the acknowledgement deadline of the subscription (60 s)."""

Answer = tuple[str, int]


def apply_call_event(request: flask.Request) -> Answer:
    """204: dealt with, for good. 401, 403: not from our bus. 413: too large. 503: deliver it again."""
    if request.method != "POST":
        return "This takes a POST of a Pub/Sub push.\n", 405
    try:
        settings = Settings.of(os.environ)
        check(request, settings)
    except NotAllowed as error:
        log.warning("push_refused", extra={"why": str(error)})
        return "This takes pushes of the bus only.\n", error.status
    except Misconfigured as error:
        return _again(error)
    try:
        raw = read_body(request, MAX_BODY).decode(errors="replace")
    except BodyTooLarge:
        return "No push of Pub/Sub is that large.\n", 413
    try:
        body: object = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    try:
        here = runtime(settings)
        here.run(here.applier.receive(body, raw), seconds=APPLY_SECONDS)
    except (StoreUnavailable, Conflict, TimeoutError, CancelledError, Misconfigured) as error:
        return _again(error)
    return "", 204


def _again(error: BaseException) -> Answer:
    log.error("news_not_applied", extra={"why": f"{type(error).__name__}: {error}"})
    return "Not now; deliver it again.\n", 503
