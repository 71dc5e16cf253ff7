"""What Twilio's callbacks mean for a call. Pure: `(call, message) -> outcome`.

`status`: `{CallSid, CallStatus, CallDuration?, ...}`, in any order; `amd`: `{CallSid, AnsweredBy}`. Source: Twilio's
"StatusCallback" and "Answering Machine Detection". The gateway has verified and published them.
"""

from __future__ import annotations

from functions.elevenlabs_record import status_plan
from functions.outcome import Completion, Outcome, Unusable
from realtime.bus.port import BusMessage
from realtime.call import Call, Status
from realtime.plan import Plan

_STATUS = {
    "queued": Status.INITIATED,
    "initiated": Status.INITIATED,
    "ringing": Status.RINGING,
    "in-progress": Status.IN_PROGRESS,
    "answered": Status.IN_PROGRESS,
    "completed": Status.COMPLETED,
    "busy": Status.BUSY,
    "no-answer": Status.NO_ANSWER,
    "canceled": Status.CANCELED,
    "failed": Status.FAILED,
}
_ANSWERED_BY = {"human": "human", "fax": "fax", "unknown": "unknown"}


def outcome(call: Call, message: BusMessage) -> Outcome:
    """Raises Unusable for a kind that is not known, or one that does not look as it should."""
    match message.type:
        case "status":
            return _status(call, message)
        case "amd":
            return _amd(call, message)
        case _:
            raise Unusable(f"Twilio's news {message.type!r} is not known here")


def _status(call: Call, message: BusMessage) -> Outcome:
    status = _STATUS.get(str(message.data.get("CallStatus")))
    if status is None:
        raise Unusable(f"CallStatus {message.data.get('CallStatus')!r} is not one of {', '.join(_STATUS)}")
    if call.status.terminal:
        return None
    if not status.terminal:
        return status_plan(call, status, message)
    if call.hosted and status is Status.COMPLETED:
        # The line is down; the vendor that held the conversation will send its record.
        return status_plan(call, Status.PROCESSING, message)
    return Completion(status, message.occurred_at, message.occurred_at)


def _amd(call: Call, message: BusMessage) -> Outcome:
    answered_by = message.data.get("AnsweredBy")
    if not isinstance(answered_by, str) or not answered_by:
        raise Unusable("AnsweredBy is missing")
    machine = answered_by.startswith("machine")
    found = "voicemail" if machine else _ANSWERED_BY.get(answered_by, "unknown")
    return None if call.answered_by == found else Plan(change={"answered_by": found})
