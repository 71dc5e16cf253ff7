"""From an event of the journal (or the live lane) to the messages of the two older sockets. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from realtime.call import Call
from realtime.events import Event, EventType, LiveEvent, LiveType

_PARSED = ("transcript", "analysis_data", "metadata")
_ALWAYS = ("call_sid", "conversation_id", "status", "call_end_time", *_PARSED)


@dataclass(frozen=True, slots=True)
class Ids:
    """How clients know the call, and who is talking."""

    call_sid: str | None
    conversation_id: str | None
    caller: str | None = None
    """Their number, or who is logged in where the caller is a browser."""
    browser: bool = False

    @classmethod
    def of(cls, call: Call) -> Ids:
        """A call that a vendor hosts may have no CallSid of its own; clients then know it by its call id."""
        browser = call.metadata.get("source") == "browser"
        caller = call.metadata.get("user") if browser else call.caller_phone
        return cls(call.call_sid or call.call_id, call.conversation_id, caller, browser)


def transcription_message(
    event: Event | LiveEvent, ids: Ids, call_data: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The message of `/ws/calls/transcriptions`, None for an event that this socket does not carry. `call_data` is the
    whole record of a `call_completed`."""
    keys = {"conversation_id": ids.conversation_id, "call_sid": ids.call_sid}
    match event.type:
        case EventType.FINAL_TRANSCRIPT | EventType.AI_RESPONSE_COMPLETE | LiveType.PARTIAL_TRANSCRIPT:
            assistant = event.type is EventType.AI_RESPONSE_COMPLETE
            return {
                "type": "transcription",
                **keys,
                "speaker": "assistant" if assistant else "user",
                "text": event.data.get("text"),
                "final": event.type is not LiveType.PARTIAL_TRANSCRIPT,
                "timestamp": event.ts,
            }
        case EventType.CALL_STATUS:
            status, ended = event.data.get("status"), event.data.get("call_end_time")
            return {"type": "call_status", **keys, "status": status, "call_end_time": ended}
        case EventType.CALL_COMPLETED:
            return {"type": "call_completed", **keys, "call_data": whole_record(call_data or {}, ids)}
        case _:
            return None


def whole_record(call_data: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """`call_data` as clients get it: the documented keys always there (null when absent), JSON text parsed, text that
    is no JSON kept as `{"raw": ...}`."""
    record: dict[str, Any] = dict.fromkeys(_ALWAYS) | dict(call_data)
    record["call_sid"] = record["call_sid"] or ids.call_sid
    record["conversation_id"] = record["conversation_id"] or ids.conversation_id
    return record | {key: _parsed(record[key]) for key in _PARSED}


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except ValueError:
        return {"raw": value}


def global_message(event: Event | LiveEvent, ids: Ids, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The message of `/ws/events`. Durable events carry `seq` and `epoch`, live ones `n`; `extra` goes into `data`."""
    name = "metrics_updated" if event.type is EventType.TURN_METRICS else event.type.value
    place = {"n": event.n} if isinstance(event, LiveEvent) else {"seq": event.seq, "epoch": event.epoch}
    data = {
        **event.data,
        **(extra or {}),
        **place,
        "userId": ids.caller,
        "session_id": event.call_id,
        "text": event.data.get("text"),
        "timestamp": event.ts,
    }
    return {"event": name, "data": data}
