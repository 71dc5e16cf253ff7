"""From an ElevenLabs webhook to a message on the bus. Pure; the applier decides what it means.

Envelope: `{"type", "event_timestamp": unix seconds, "data": {...}}`. Source: elevenlabs.io/docs, "Post-call webhooks".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from functions.baggage import IN_FILE
from realtime.bus.port import BusMessage
from realtime.clock import iso
from realtime.paths import is_id

SOURCE = "elevenlabs"


class NotAnEnvelope(ValueError):
    """The body is JSON but not a webhook of this vendor; the text says what is missing."""


def news(payload: object, *, body: bytes, now: datetime) -> BusMessage:
    """The bus message of a webhook. Its id is that of the news: a retry by the vendor has the same. Raises
    NotAnEnvelope."""
    if not isinstance(payload, dict):
        raise NotAnEnvelope("the body is not a JSON object")
    kind, data = payload.get("type"), payload.get("data")
    if not isinstance(kind, str) or not kind:
        raise NotAnEnvelope("`type` is missing")
    if not isinstance(data, dict):
        raise NotAnEnvelope("`data` is not an object")
    stamp = payload.get("event_timestamp")
    conversation = data.get("conversation_id")
    if conversation is None or stamp is None:
        identity = hashlib.sha256(body).hexdigest()
    else:
        identity = hashlib.sha256(f"{kind}\n{conversation}\n{stamp}".encode()).hexdigest()
    told = {name: value for name, value in data.items() if name != IN_FILE}  # that word is ours
    return BusMessage(identity, SOURCE, kind, keys(data), _moment(stamp, now), told)


def keys(data: Mapping[str, Any]) -> dict[str, str]:
    """The ids by which the call may be known: the conversation, Twilio's CallSid, and ours, which we gave to the
    vendor as the user id or a dynamic variable when the call was placed."""
    metadata = as_object(data.get("metadata"))
    client = as_object(data.get("conversation_initiation_client_data"))
    found = {
        "conversation_id": data.get("conversation_id"),
        "call_sid": as_object(metadata.get("phone_call")).get("call_sid")
        or as_object(metadata.get("body")).get("CallSid")
        or as_object(metadata.get("body")).get("call_sid"),
        "call_id": as_object(client.get("dynamic_variables")).get("call_id")
        or data.get("user_id")
        or client.get("user_id"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and is_id(value)}


def _moment(stamp: object, now: datetime) -> str:
    """ISO 8601 of unix seconds; of `now` if there are none that make sense."""
    if isinstance(stamp, int | float) and not isinstance(stamp, bool) and 0 < stamp < 1e11:
        return iso(datetime.fromtimestamp(stamp, UTC))
    return iso(now)


def as_object(value: object) -> Mapping[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
