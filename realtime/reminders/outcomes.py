"""How an attempt went, from the call's record and the appointment's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from realtime.call import Call, Status
from realtime.clock import parse_iso
from realtime.records.appointment import Appointment
from realtime.reminders.model import Attempt, Outcome

NEVER_SEEN = timedelta(minutes=2)
"""After the last moment at which it could begin, a call that is not in the journal is not coming."""
NEVER_ENDED = timedelta(hours=1)
"""A reminder that goes on for longer has lost its end."""

_SAID: Mapping[str, Outcome] = {
    "confirmed": Outcome.CONFIRMED,
    "moved": Outcome.MOVED,
    "rescheduled": Outcome.MOVED,
    "cancelled": Outcome.CANCELLED,
    "canceled": Outcome.CANCELLED,
    "voicemail": Outcome.VOICEMAIL,
    "wrong_person": Outcome.WRONG_PERSON,
}


def outcome(attempt: Attempt, call: Call | None, appointment: Appointment, now: datetime) -> Outcome:
    """Of a pending attempt. What became of the appointment counts more than what the conversation says of itself."""
    if call is None:
        return Outcome.PENDING if now < attempt.until + NEVER_SEEN else Outcome.UNREACHED
    if not call.status.terminal:
        return Outcome.PENDING if now - parse_iso(call.started_at) < NEVER_ENDED else Outcome.UNDECIDED
    if call.status is not Status.COMPLETED or call.answered_by == "fax":
        return Outcome.UNREACHED
    if (call.answered_by or "").startswith("machine"):
        return Outcome.VOICEMAIL
    changed = appointment.data.get("changed_at")
    if appointment.status == "booked" and changed and parse_iso(changed) >= parse_iso(call.started_at):
        return Outcome.MOVED
    return _of_appointment(appointment) or _of_summary(call.conversation_summary or {}) or Outcome.UNDECIDED


def _of_appointment(appointment: Appointment) -> Outcome | None:
    return _SAID.get(appointment.status)


def _of_summary(summary: Mapping[str, Any]) -> Outcome | None:
    """The conversation says it in the slot `outcome`."""
    slots = summary.get("collected_slots") or {}
    for said in (slots.get("outcome"), summary.get("outcome")):
        if found := _SAID.get(str(said)):
            return found
    return Outcome.HANDED_OVER if summary.get("escalation_triggered") else None
