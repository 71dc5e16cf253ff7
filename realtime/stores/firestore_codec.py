"""JSON values as Firestore keeps them, straight on the protocol buffers: microseconds a document.

Three things differ from JSON, and are turned here both ways. `expire_at`, ISO 8601 text, is a real timestamp, because
the TTL policy asks for one. An array directly in an array is not allowed: the inner one becomes `{"[]": [...]}`. Field
names may not be empty nor of the form `__x__`: those, `[]` itself and names that start with a backslash get a backslash
in front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.cloud.firestore_v1.types import Value
from google.protobuf.timestamp_pb2 import Timestamp

from realtime.clock import iso, parse_iso

EXPIRE_AT = "expire_at"
_INNER = "[]"
ValuePb: Any = Value.pb()
"""The protocol buffer under the library's `Value`."""


def encode_fields(data: Mapping[str, Any], fields: Any) -> None:
    """Fill the `fields` of a document. Raises ValueError, TypeError for what is not JSON, or too big an integer."""
    for name, value in data.items():
        encode_field(name, value, fields[_escaped(name)])


def encode_field(name: str, value: Any, into: Any) -> None:
    """Fill the `Value` of the top-level field `name`, or of what is compared with it."""
    if name == EXPIRE_AT and isinstance(value, str):
        into.timestamp_value.CopyFrom(timestamp(value))
    else:
        encode(value, into)


def encode(value: Any, into: Any) -> None:
    """Fill one protocol buffer `Value`."""
    if value is None:
        into.null_value = 0
    elif isinstance(value, bool):
        into.boolean_value = value
    elif isinstance(value, int):
        into.integer_value = value
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a number of JSON")
        into.double_value = value
    elif isinstance(value, str):
        into.string_value = value
    elif isinstance(value, Mapping):
        into.map_value.SetInParent()
        for name, item in value.items():
            encode(item, into.map_value.fields[_escaped(name)])
    elif isinstance(value, list | tuple):
        _encode_array(value, into)
    else:
        raise TypeError(f"a {type(value).__name__} cannot be kept in a document")


def _encode_array(values: list[Any] | tuple[Any, ...], into: Any) -> None:
    into.array_value.SetInParent()
    for item in values:
        slot = into.array_value.values.add()
        if isinstance(item, list | tuple):
            _encode_array(item, slot.map_value.fields[_INNER])
        else:
            encode(item, slot)


def decode_fields(fields: Any) -> dict[str, Any]:
    """The JSON values of a document's `fields` (those of the protocol buffer, not of the library's wrapper)."""
    return {_unescaped(name): decode(value) for name, value in fields.items()}


def decode(value: Any) -> Any:
    """The JSON value of one protocol buffer `Value`."""
    kind = value.WhichOneof("value_type")
    if kind == "map_value":
        return decode_fields(value.map_value.fields)
    if kind == "array_value":
        return [_decode_item(item) for item in value.array_value.values]
    if kind == "timestamp_value":
        return iso(moment(value.timestamp_value))
    if kind is None or kind == "null_value":
        return None
    return getattr(value, kind)


def _decode_item(item: Any) -> Any:
    fields = item.map_value.fields if item.WhichOneof("value_type") == "map_value" else {}
    return decode(fields[_INNER]) if len(fields) == 1 and _INNER in fields else decode(item)


def timestamp(text: str) -> Timestamp:
    """ISO 8601 text as a timestamp. Raises ValueError."""
    stamp = Timestamp()
    stamp.FromDatetime(parse_iso(text))
    return stamp


def moment(stamp: Timestamp) -> datetime:
    """A timestamp as a timezone-aware time."""
    time: datetime = stamp.ToDatetime(tzinfo=UTC)
    return time


def _escaped(name: str) -> str:
    reserved = name in ("", _INNER) or name.startswith("\\") or (name.startswith("__") and name.endswith("__"))
    return "\\" + name if reserved else name


def _unescaped(name: str) -> str:
    return name[1:] if name.startswith("\\") else name
