"""The bus message of a webhook."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.elevenlabs_news import NotAnEnvelope, keys, news
from tests.functions.apps import failure, transcription

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


def test_the_id_is_that_of_the_news_and_the_data_is_whole() -> None:
    payload = transcription()
    message = news(payload, body=b"one", now=NOW)
    assert message == news(payload, body=b"the same, spelt otherwise", now=NOW)
    assert message.id == hashlib.sha256(b"post_call_transcription\nconv_1\n1795197600").hexdigest()
    assert (message.source, message.type) == ("elevenlabs", "post_call_transcription")
    assert message.keys == {"conversation_id": "conv_1", "call_sid": "CA1"}
    assert message.occurred_at == "2026-11-20T18:00:00.000Z"
    assert message.data == payload["data"]
    others = [{**payload, "event_timestamp": 1}, {**payload, "type": "x"}, transcription("conv_2")]
    assert len({message.id, *(news(other, body=b"", now=NOW).id for other in others)}) == 4


def test_the_word_for_data_in_a_file_is_ours_alone() -> None:
    data = {"conversation_id": "conv_1", "callboard_in_file": {"name": "news/x.json"}, "a": 1}
    message = news({"type": "post_call_transcription", "event_timestamp": 1, "data": data}, body=b"", now=NOW)
    assert message.data == {"conversation_id": "conv_1", "a": 1}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (transcription(user_id="EL_1")["data"], {"conversation_id": "conv_1", "call_sid": "CA1", "call_id": "EL_1"}),
        (
            {"conversation_initiation_client_data": {"dynamic_variables": {"call_id": "EL_2"}}, "user_id": "u"},
            {"call_id": "EL_2"},
        ),
        ({"conversation_initiation_client_data": {"user_id": "EL_3"}}, {"call_id": "EL_3"}),
        (failure()["data"], {"conversation_id": "conv_1", "call_sid": "CA1"}),
        ({"metadata": {"type": "sip", "body": {"call_sid": "CA9"}}}, {"call_sid": "CA9"}),
        ({"conversation_id": "../../calls", "user_id": 7, "metadata": "x"}, {}),
        ({}, {}),
    ],
)
def test_every_id_that_can_be_one_is_a_key(data: dict[str, Any], expected: dict[str, str]) -> None:
    assert keys(data) == expected


@pytest.mark.parametrize("stamp", [None, "soon", True, -1, 1e300, [1]])
def test_without_a_time_that_makes_sense_the_news_is_from_now(stamp: object) -> None:
    message = news({"type": "x", "event_timestamp": stamp, "data": {}}, body=b"b", now=NOW)
    assert message.occurred_at == "2026-11-20T18:00:00.000Z"
    assert message.id == hashlib.sha256(b"b").hexdigest()


@pytest.mark.parametrize(
    "payload", [None, [], "x", {}, {"type": 1, "data": {}}, {"type": "x"}, {"type": "x", "data": []}]
)
def test_what_is_no_envelope_is_said_to_be_none(payload: object) -> None:
    with pytest.raises(NotAnEnvelope):
        news(payload, body=b"", now=NOW)
