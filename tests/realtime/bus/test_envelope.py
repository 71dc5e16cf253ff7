"""What is published and pushed, and what is not a bus message at all."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from realtime.bus.envelope import Malformed, decode, encode, open_push, push_body
from realtime.bus.port import BusMessage

NEWS = BusMessage("1", "test", "tick", {"call_id": "EL_1"}, "2026-11-20T10:00:00.000Z", {"a": [1, None, "ü"]})


def pushed(message: BusMessage = NEWS) -> dict[str, Any]:
    data, attributes = encode(message)
    return push_body(data, attributes, message_id="7", publish_time="now", ordering_key="k")


def test_round_trip() -> None:
    assert decode(encode(NEWS)[0]) == NEWS
    assert open_push(pushed()) == NEWS
    assert open_push({"specversion": "1.0", "data": pushed()}) == NEWS


@pytest.mark.parametrize(
    "change", [{"id": ""}, {"source": 1}, {"keys": {"phone": "1"}}, {"keys": {"call_id": 1}}, {"data": []}]
)
def test_fields_that_are_not_as_they_should_be(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode(json.dumps({**NEWS.to_dict(), **change}).encode())


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b"7"])
def test_data_that_is_no_message(data: bytes) -> None:
    with pytest.raises(Malformed):
        open_push({"message": {"data": base64.b64encode(data).decode()}})


@pytest.mark.parametrize("body", [None, 7, [], {}, {"message": 1}, {"message": {"data": 1}}, {"specversion": "1.0"}])
def test_bodies_that_are_no_push(body: object) -> None:
    with pytest.raises(Malformed):
        open_push(body)


def test_what_is_not_json_cannot_be_published() -> None:
    with pytest.raises(ValueError):
        encode(BusMessage("1", "t", "t", {}, "x", {"a": float("nan")}))
