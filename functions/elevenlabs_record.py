"""What ElevenLabs' news means for a call. Pure: `(call, message) -> outcome`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from functions.baggage import audio_of
from functions.elevenlabs_news import as_object
from functions.outcome import Completion, Outcome, Unusable
from realtime.bus.port import BusMessage
from realtime.call import Call, Status
from realtime.clock import iso
from realtime.events import Draft, EventType
from realtime.plan import Plan

_ONGOING = {
    "initiated": Status.INITIATED,
    "in-progress": Status.IN_PROGRESS,
    "processing": Status.PROCESSING,
}
_CALL_RESULT = {"busy": Status.BUSY, "no_answer": Status.NO_ANSWER, "failed": Status.FAILED}
_ANSWERED_BY = {"answered": "human", "voicemail": "voicemail"}
_FAILURE = {"busy": Status.BUSY, "no-answer": Status.NO_ANSWER}
_TAKEN = ("agent_id", "agent_name", "user_id", "has_audio")


def outcome(call: Call, message: BusMessage) -> Outcome:
    """Raises Unusable for a kind that is not known, one that does not look as it should, or another call's news."""
    _check_belongs(call, message)
    match message.type:
        case "post_call_transcription":
            return _transcription(call, message)
        case "call_initiation_failure":
            return _failure(call, message)
        case "post_call_audio":
            return _audio(call, message)
        case _:
            raise Unusable(f"ElevenLabs sent a {message.type!r}, which nobody here knows")


def _check_belongs(call: Call, message: BusMessage) -> None:
    """A signature says that the vendor has sent the news, not that the news is about this call: our id in it was put
    there by whoever started the conversation. Only a call that the vendor holds is its to tell about, and only under
    the ids that the call is known by. Raises Unusable."""
    if not call.hosted:
        raise Unusable("the call is not held by ElevenLabs")
    for name, known in (("conversation_id", call.conversation_id), ("call_sid", call.call_sid)):
        told = message.keys.get(name)
        if known is not None and told is not None and told != known:
            raise Unusable(f"the call has another {name}")


def parsed(value: object) -> Any:
    """JSON values as they are, JSON text parsed, text that is no JSON as `{"raw": text}`, nothing as None."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except ValueError:
        return {"raw": value}


def _transcription(call: Call, message: BusMessage) -> Outcome:
    data = message.data
    state = str(data.get("status") or "done")
    if state in _ONGOING:
        # Fetched before the vendor was done: nothing final yet.
        return status_plan(call, _ONGOING[state], message, change=_ids(call, message))
    analysis, metadata = parsed(data.get("analysis")), parsed(data.get("metadata"))
    about = as_object(metadata)
    result = str(as_object(about.get("phone_call")).get("call_result"))
    change = _ids(call, message)
    if call.status.terminal:
        return _late_analysis(call, message, analysis, change)
    status = Status.FAILED if state == "failed" else _CALL_RESULT.get(result, Status.COMPLETED)
    answered_by = _ANSWERED_BY.get(result, call.answered_by)
    ended_at = _ended_at(about) or message.occurred_at
    record = {
        **_record(call, message, status, ended_at),
        "transcript": parsed(data.get("transcript")),
        "analysis_data": analysis,
        "metadata": metadata,
        "duration_secs": about.get("call_duration_secs"),
        "answered_by": answered_by,
        "termination_reason": about.get("termination_reason"),
        **{name: data.get(name) for name in _TAKEN},
    }
    kept = analysis if isinstance(analysis, dict) else None
    return Completion(
        status, message.occurred_at, ended_at, record, {**change, "analysis": kept, "answered_by": answered_by}
    )


def _late_analysis(call: Call, message: BusMessage, analysis: object, change: dict[str, Any]) -> Outcome:
    """The call is over already: its end stays as it is, an analysis it does not have yet is added."""
    if call.analysis is not None or not isinstance(analysis, dict):
        return None
    draft = Draft(EventType.ANALYSIS_READY, {"analysis": analysis}, f"{message.id}:analysis", message.occurred_at)
    return Plan([draft], {**change, "analysis": analysis})


def _failure(call: Call, message: BusMessage) -> Outcome:
    reason = message.data.get("failure_reason")
    status = _FAILURE.get(str(reason), Status.FAILED)
    metadata = parsed(message.data.get("metadata"))
    record = {
        **_record(call, message, status, message.occurred_at),
        "metadata": metadata,
        "failure_reason": reason,
        "agent_id": message.data.get("agent_id"),
    }
    return Completion(status, message.occurred_at, message.occurred_at, record, _ids(call, message))


def _audio(call: Call, message: BusMessage) -> Outcome:
    kept = audio_of(message)
    pointer = {
        "source": "elevenlabs",
        "conversation_id": message.keys.get("conversation_id"),
        "bytes": kept.get("bytes", message.data.get("audio_bytes")),
        **{name: kept[name] for name in ("name", "content_type") if name in kept},
    }
    if call.metadata.get("audio") == pointer:
        return None
    return Plan(change={**_ids(call, message), "metadata": {**call.metadata, "audio": pointer}})


def _record(call: Call, message: BusMessage, status: Status, ended_at: str) -> dict[str, Any]:
    """The fields every record has; null when there is nothing."""
    return {
        "call_id": call.call_id,
        "call_sid": call.call_sid or message.keys.get("call_sid"),
        "conversation_id": call.conversation_id or message.keys.get("conversation_id"),
        "status": status.value,
        "call_end_time": ended_at,
        "transcript": None,
        "analysis_data": None,
        "metadata": None,
        "duration_secs": None,
    }


def _ids(call: Call, message: BusMessage) -> dict[str, Any]:
    """The ids that the call did not have yet."""
    own = {"conversation_id": call.conversation_id, "call_sid": call.call_sid}
    return {name: message.keys[name] for name, value in own.items() if value is None and name in message.keys}


def _ended_at(metadata: Mapping[str, Any]) -> str | None:
    start, lasted = metadata.get("start_time_unix_secs"), metadata.get("call_duration_secs")
    if not isinstance(start, int | float) or not isinstance(lasted, int | float) or not 0 < start + lasted < 1e11:
        return None
    return iso(datetime.fromtimestamp(start + lasted, UTC))


def status_plan(call: Call, news: Status, message: BusMessage, *, change: Mapping[str, Any] | None = None) -> Plan:
    """A step of the status that does not end the call; the journal drops it if the call is further already."""
    data = {"status": news.value, "call_end_time": None, "reason": None}
    draft = Draft(EventType.CALL_STATUS, data, f"{message.id}:status", message.occurred_at)
    return Plan([draft], change)
