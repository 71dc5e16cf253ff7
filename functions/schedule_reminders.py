"""HTTP (Cloud Scheduler): tomorrow's appointments are looked through, and the calls of the next minutes are queued.

Stateless: everything it knows is in the store, so it may run as often as it likes, and twice at once. Who may call it
is IAM's matter, as for `apply_call_event`: deployed without public access, Scheduler calls with an OIDC token.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from concurrent.futures import CancelledError
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from functions.body import BodyTooLarge, read_body
from functions.reminder_settings import ReminderSettings
from functions.runtime import runtime
from functions.service_token import operator_token
from functions.settings import Misconfigured
from realtime.clock import utcnow
from realtime.paths import is_id
from realtime.queue.port import QueueUnavailable, TaskQueue
from realtime.reminders.round import Busy, Reminders
from realtime.stores.port import StoreUnavailable

if TYPE_CHECKING:
    import flask

log = logging.getLogger(__name__)

MAX_BODY = 4096
RUN_SECONDS = 120.0
USER = "schedule_reminders"

Answer = tuple[dict[str, Any], int]


class BadRequest(ValueError):
    """The body asks for something that there is not; the text says what."""


def schedule_reminders(request: flask.Request) -> Answer:
    """`{"org"?, "dry_run"?}` -> 200 what was planned, and why not the others (ids only). 503: run it again."""
    if request.method != "POST":
        return _error(405, "method_not_allowed", "This is called by a schedule.", "Send a POST.")
    try:
        org, dry_run = _asked(request)
        settings = ReminderSettings.of(os.environ)
        here = runtime(settings.base)
        work = reminders(settings, org)
        now = utcnow()
        report = here.run(work.preview(now) if dry_run else work.run(now), seconds=RUN_SECONDS)
    except (BadRequest, BodyTooLarge) as error:
        return _error(400, "bad_request", f"Not understood: {error}.", 'Send {} or {"org": ..., "dry_run": true}.')
    except Misconfigured as error:
        log.error("reminders_not_run", extra={"why": str(error)})
        return _error(503, "misconfigured", f"{error}.", "Set it and deploy again.")
    except (StoreUnavailable, QueueUnavailable, Busy, TimeoutError, CancelledError) as error:
        log.error("reminders_not_run", extra={"why": f"{type(error).__name__}: {error}"})
        return _error(503, "unavailable", "The reminders could not all be planned.", "Run it again; nothing is lost.")
    except (ValueError, KeyError) as error:
        log.error("reminders_not_run", extra={"why": f"{type(error).__name__}: {error}"})
        return _error(500, "bad_record", f"A record cannot be read: {error}.", "Mend it in the store.")
    told = report.to_dict()
    log.info("reminders_run", extra={"org": org, "day": told["day"], "planned": len(told["planned"])})
    return {"org": org, "dry_run": dry_run, **told}, 200


def reminders(settings: ReminderSettings, org: str) -> Reminders:
    """The reminders of `org` on this process's store and queue. Raises Misconfigured, StoreUnavailable,
    QueueUnavailable."""
    here = runtime(settings.base)

    def bearer(begins: datetime, ends: datetime) -> str:
        return operator_token(settings.key, user=USER, org=org, begins=begins, ends=ends)

    return Reminders(
        store=here.store,
        journal=here.journal,
        queue=queue(settings),
        org=org,
        zone=ZoneInfo(settings.timezone),
        gateway=settings.gateway,
        bearer=bearer,
    )


def _asked(request: flask.Request) -> tuple[str, bool]:
    raw = read_body(request, MAX_BODY)
    try:
        asked = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(asked, dict):
        raise BadRequest("the body is not an object")
    org, dry_run = asked.get("org", "default"), asked.get("dry_run", False)
    if not isinstance(org, str) or not is_id(org):
        raise BadRequest("`org` is no organisation's id")
    if not isinstance(dry_run, bool):
        raise BadRequest("`dry_run` is not true or false")
    return org, dry_run


_lock = threading.Lock()
_queues: dict[tuple[str, str, str], TaskQueue] = {}


def queue(settings: ReminderSettings) -> TaskQueue:
    """One per process and configuration, made when it is first needed. Raises QueueUnavailable."""
    key = (settings.queue, settings.tasks_url, str(settings.base.database))
    with _lock:
        if key not in _queues:
            _queues[key] = _open(settings)
        return _queues[key]


def close_all() -> None:
    """Let go of every queue of this process."""
    with _lock:
        while _queues:
            _, one = _queues.popitem()
            one.close()


def _open(settings: ReminderSettings) -> TaskQueue:
    if settings.queue:
        from realtime.queue.cloud_tasks import ENDPOINT, CloudTasks

        if settings.tasks_url:
            return CloudTasks(settings.queue, endpoint=settings.tasks_url, metadata=None)
        return CloudTasks(settings.queue, endpoint=ENDPOINT)
    from realtime.queue.embedded import EmbeddedQueue

    return EmbeddedQueue(settings.base.database)


def _error(status: int, code: str, message: str, fix: str) -> Answer:
    return {"error": {"code": code, "message": message, "fix": fix}}, status
