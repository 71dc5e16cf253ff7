"""`reminders plan|run|stop|resume`: what `schedule_reminders` would do or does, and its switch."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from functions import schedule_reminders as function
from functions.reminder_settings import ReminderSettings
from functions.runtime import Runtime, close_all, runtime
from functions.settings import Misconfigured
from media_gateway.settings import load
from realtime.clock import parse_iso, utcnow
from realtime.queue.port import QueueUnavailable
from realtime.reminders import ledger
from realtime.reminders.round import Busy, Reminders
from realtime.stores.port import Conflict, StoreUnavailable

SECONDS = 120.0
DAY = timedelta(hours=24)

_WORDS = {
    "stopped": "reminders are stopped",
    "not_booked": "not booked any more",
    "confirmed": "confirmed already",
    "settled": "settled by an earlier call",
    "no_number": "no number to call",
    "do_not_call": "on the do-not-call list",
    "in_progress": "a call is on its way",
    "too_many_attempts": "called as often as allowed",
    "too_late": "no time left in the window",
    "later": "later (outside the look-ahead, the window, or the spacing)",
    "no_line": "no free line in time",
}


def plan(out: Console, *, as_json: bool) -> int:
    """What would be called within the next day, as things stand; nothing is written."""
    with _opened() as (here, work):
        report = here.run(work.preview(utcnow(), ahead=DAY), seconds=SECONDS).to_dict()
    return _told(out, report, work.zone, as_json=as_json)


def once(out: Console, *, as_json: bool) -> int:
    """One run, as the schedule makes it."""
    with _opened() as (here, work):
        report = here.run(work.run(utcnow()), seconds=SECONDS).to_dict()
    return _told(out, report, work.zone, as_json=as_json)


def switch(out: Console, *, stopped: bool, as_json: bool) -> int:
    """Stop: nothing more is planned, and what is queued and has not begun is taken back. Resume: go on."""
    with _opened() as (here, work):
        here.run(ledger.switch(work.store, work.org, stopped=stopped), seconds=SECONDS)
        withdrawn: list[str] = []
        if stopped:
            try:
                withdrawn = list(here.run(work.run(utcnow()), seconds=SECONDS).withdrawn)
            except QueueUnavailable as error:
                raise QueueUnavailable(f"stopped, but {error}; the next scheduled run takes back what waits") from error
    if as_json:
        sys.stdout.write(json.dumps({"stopped": stopped, "withdrawn": sorted(withdrawn)}) + "\n")
    else:
        taken = f" {len(withdrawn)} waiting calls were taken back." if stopped else ""
        out.print(f"Reminders are {'stopped' if stopped else 'on'}.{taken}")
    return 0


def guarded(err: Console, work: Any) -> int:
    """What is missing or away becomes one clear line and exit code 1."""
    try:
        code: int = work()
    except (Misconfigured, StoreUnavailable, QueueUnavailable, Busy, Conflict, TimeoutError, ValueError) as problem:
        err.print(f"[red]{problem or type(problem).__name__}[/]", soft_wrap=True)
        return 1
    return code


@contextmanager
def _opened() -> Iterator[tuple[Runtime, Reminders]]:
    settings = load(dev=True)
    chosen = {
        "CALLBOARD_STORE": settings.callboard_store,
        "CALLBOARD_BUS": settings.callboard_bus,
        "CALLBOARD_DATA_DIR": str(settings.callboard_data_dir),
        "CALLBOARD_TIMEZONE": settings.callboard_timezone,
        "PUBLIC_BASE_URL": settings.base_url,
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
    }
    own = ReminderSettings.of({**os.environ, **chosen})
    try:
        yield runtime(own.base), function.reminders(own, "default")
    finally:
        function.close_all()
        close_all()


def _told(out: Console, report: dict[str, Any], zone: ZoneInfo, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return 0
    out.print(f"{report['appointments']} appointments on {report['day']}, {len(report['planned'])} calls planned:")
    for call in report["planned"]:
        at = parse_iso(call["at"]).astimezone(zone).strftime("%a %H:%M:%S")
        out.print(f"  {at}  {call['appointment_id']}  (call {call['attempt']})", highlight=False)
    for why, ids in report["skipped"].items():
        out.print(f"  {_WORDS[why]}: {', '.join(ids)}", highlight=False)
    if report["withdrawn"]:
        out.print(f"  taken back: {', '.join(report['withdrawn'])}", highlight=False)
    return 0
