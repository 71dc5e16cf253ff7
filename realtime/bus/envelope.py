"""The Pub/Sub shapes of a bus message: what is published, and what a push delivers.

Push body (JSON), the same from Pub/Sub, its emulator and the embedded dispatcher:
`{"message": {"data": base64, "attributes": {}, "messageId", "publishTime", "orderingKey"}, "subscription"}`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from realtime.bus.port import MAX_DATA_BYTES, SUBSCRIPTION, BusMessage, TooLarge

KEYS = frozenset({"conversation_id", "call_sid", "call_id"})


class Malformed(Exception):
    """What was delivered is not a bus message; the text says what is wrong. Delivering it again will not help."""


def encode(message: BusMessage) -> tuple[bytes, dict[str, str]]:
    """(data, attributes) as published. Raises TypeError, ValueError if `data` is not JSON values; TooLarge."""
    body = json.dumps(message.to_dict(), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if len(body) > MAX_DATA_BYTES:
        raise TooLarge(f"{message.id} is {len(body)} bytes; the bus takes {MAX_DATA_BYTES}")
    return body, {"id": message.id, "source": message.source, "type": message.type}


def decode(data: bytes) -> BusMessage:
    """The inverse of `encode`. Raises Malformed."""
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise Malformed(f"the data is not JSON: {type(error).__name__}") from error
    if not isinstance(fields, dict):
        raise Malformed("the data is not a JSON object")
    for name in ("id", "source", "type", "occurred_at"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise Malformed(f"`{name}` is not a text")
    for name in ("keys", "data"):
        if not isinstance(fields.get(name), dict):
            raise Malformed(f"`{name}` is not an object")
    if not all(name in KEYS and isinstance(value, str) for name, value in fields["keys"].items()):
        raise Malformed(f"`keys` may only hold texts for {sorted(KEYS)}")
    return BusMessage.from_dict(fields)


def push_body(
    data: bytes, attributes: Mapping[str, str], *, message_id: str, publish_time: str, ordering_key: str
) -> dict[str, Any]:
    """The wrapped push envelope. Pub/Sub sends both spellings of the id and the time."""
    return {
        "message": {
            "data": base64.b64encode(data).decode(),
            "attributes": dict(attributes),
            "messageId": message_id,
            "message_id": message_id,
            "publishTime": publish_time,
            "publish_time": publish_time,
            "orderingKey": ordering_key,
        },
        "subscription": f"projects/embedded/subscriptions/{SUBSCRIPTION}",
    }


def open_push(body: object) -> BusMessage:
    """The bus message in a push body, in a structured CloudEvent around one, or in the data of a binary CloudEvent
    (which is the push body itself). Raises Malformed."""
    if isinstance(body, dict) and "specversion" in body:
        body = body.get("data")
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        raise Malformed("this is not a Pub/Sub push: `message` is missing")
    data = message.get("data")
    if not isinstance(data, str):
        raise Malformed("`message.data` is missing")
    try:
        return decode(base64.b64decode(data, validate=True))
    except binascii.Error as error:
        raise Malformed("`message.data` is not base64") from error
