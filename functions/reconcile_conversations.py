"""HTTP (Cloud Scheduler): hosted calls without their record are asked for, and what ElevenLabs says is published as its
webhook would be; only the applier maps it. Stateless: it may run as often as it likes, and twice at once.

Who may call it is IAM's matter, as for `schedule_reminders`.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from functions import reconcile
from functions.body import BodyTooLarge, read_body
from functions.elevenlabs_rest import Conversations, VendorAway
from functions.publisher import publish
from functions.runtime import runtime
from functions.settings import Misconfigured, Settings
from realtime.blobs.port import BlobsUnavailable
from realtime.bus.port import BusMessage, PublishFailed
from realtime.call import Call
from realtime.clock import parse_iso, utcnow
from realtime.stores.port import StoreUnavailable

if TYPE_CHECKING:
    import flask

log = logging.getLogger(__name__)

MAX_BODY = 4096
READ_SECONDS = 30.0
AT_ONCE = 50
"""Calls that one run asks for, those that have waited longest first; the next run goes on."""
EARLIER_SECONDS = 120
"""How much the vendor's clock may be behind ours."""

Answer = tuple[dict[str, Any], int]


def reconcile_conversations(request: flask.Request) -> Answer:
    """200 `{looked_at, published, unknown, failed}`, ids of calls in each; 503 when nothing could be done: run it
    again."""
    if request.method != "POST":
        return _error(405, "method_not_allowed", "This is called by a schedule.", "Send a POST.")
    try:
        read_body(request, MAX_BODY)
        settings = Settings.of(os.environ)
        if not settings.elevenlabs_key:
            raise Misconfigured("ELEVENLABS_API_KEY is not set; it must be the workspace's own")
        here = runtime(settings)
        now = utcnow()
        active = here.run(here.journal.active(), seconds=READ_SECONDS)
        calls = sorted((call for call in active if reconcile.wanting(call, now)), key=lambda call: call.last_updated)
        report = _heal(calls[:AT_ONCE], settings)
    except BodyTooLarge:
        return _error(413, "too_large", "This takes no body.", "Send {}.")
    except Misconfigured as error:
        log.error("not_reconciled", extra={"why": str(error)})
        return _error(503, "misconfigured", f"{error}.", "Set it and deploy again.")
    except (StoreUnavailable, TimeoutError, CancelledError) as error:
        log.error("not_reconciled", extra={"why": f"{type(error).__name__}: {error}"})
        return _error(503, "unavailable", "The calls could not be read.", "Run it again; nothing is lost.")
    counts = {name: len(ids) for name, ids in report.items()}
    log.info("reconciled", extra={**counts, "waiting": max(0, len(calls) - AT_ONCE)})
    return dict(report), 503 if report["failed"] and not report["published"] else 200


def _heal(calls: list[Call], settings: Settings) -> dict[str, list[str]]:
    """One call's trouble is not another's."""
    report: dict[str, list[str]] = {"looked_at": [], "published": [], "unknown": [], "failed": []}
    vendor = Conversations(key=settings.elevenlabs_key, url=settings.elevenlabs_url)
    try:
        for call in calls:
            report["looked_at"].append(call.call_id)
            try:
                message = _news_of(call, vendor)
                if message is not None:
                    publish(message, settings)
            except (VendorAway, PublishFailed, BlobsUnavailable) as error:
                log.warning("call_not_reconciled", extra={"call_id": call.call_id, "why": str(error)})
                report["failed"].append(call.call_id)
            else:
                report["published" if message is not None else "unknown"].append(call.call_id)
    finally:
        vendor.close()
    return report


def _news_of(call: Call, vendor: Conversations) -> BusMessage | None:
    """What the vendor says of the call; None while it may still appear there. Raises VendorAway."""
    since = int(parse_iso(call.started_at).timestamp()) - EARLIER_SECONDS
    conversation_id = call.conversation_id or vendor.named(call.call_id, since=since)
    conversation = vendor.get(conversation_id) if conversation_id else None
    if conversation is None:
        return reconcile.never_made(call, utcnow())
    return reconcile.healed(call, {"conversation_id": conversation_id, **conversation}, utcnow())


def _error(status: int, code: str, message: str, fix: str) -> Answer:
    return {"error": {"code": code, "message": message, "fix": fix}}, status
