"""What the vendor's news means for a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.elevenlabs_news import news
from functions.elevenlabs_record import outcome, parsed
from functions.outcome import Completion, Unusable
from realtime.bus.port import BusMessage
from realtime.call import Call, Status
from realtime.events import EventType
from realtime.plan import Plan
from tests.functions.apps import failure, transcription

CALL = Call(call_id="EL_1", hosted=True, conversation_id="conv_1")
NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


def message(payload: dict[str, Any]) -> BusMessage:
    return news(payload, body=b"", now=NOW)


def completion(payload: dict[str, Any], call: Call = CALL) -> tuple[Completion, dict[str, Any]]:
    found = outcome(call, message(payload))
    assert isinstance(found, Completion)
    assert found.call_data is not None
    return found, dict(found.call_data)


def test_a_transcription_completes_with_the_whole_record() -> None:
    payload = transcription()
    found, record = completion(payload)
    assert found.status is Status.COMPLETED
    assert found.ended_at == "2026-11-20T17:59:21.000Z"
    assert found.change == {"call_sid": "CA1", "analysis": payload["data"]["analysis"], "answered_by": "human"}
    assert record["transcript"] == payload["data"]["transcript"]
    assert record["analysis_data"] == payload["data"]["analysis"]
    assert record["metadata"] == payload["data"]["metadata"]
    assert record["termination_reason"] == "end_call tool was called"


def test_what_is_absent_is_null_and_what_is_text_is_parsed() -> None:
    found, record = completion(
        transcription(transcript=None, analysis='{"call_successful": "success"}', metadata="not { json")
    )
    assert record["transcript"] is None
    assert record["analysis_data"] == {"call_successful": "success"}
    assert record["metadata"] == {"raw": "not { json"}
    assert record["duration_secs"] is None
    assert found.ended_at == "2026-11-20T18:00:00.000Z"
    payload = transcription()
    for name in ("transcript", "analysis", "metadata"):
        del payload["data"][name]
    found, record = completion(payload)
    assert (record["transcript"], record["analysis_data"], record["metadata"]) == (None, None, None)
    assert found.change["analysis"] is None


@pytest.mark.parametrize(
    ("value", "result"), [("", None), (" ", None), ("[1]", [1]), ("x", {"raw": "x"}), (3, 3), (None, None)]
)
def test_parsed(value: object, result: object) -> None:
    assert parsed(value) == result


@pytest.mark.parametrize(
    ("state", "result", "status", "answered_by"),
    [
        ("done", "answered", Status.COMPLETED, "human"),
        ("done", "voicemail", Status.COMPLETED, "voicemail"),
        ("done", "no_answer", Status.NO_ANSWER, None),
        ("done", "busy", Status.BUSY, None),
        ("failed", "answered", Status.FAILED, "human"),
        (None, ["?"], Status.COMPLETED, None),
    ],
)
def test_the_status_is_that_of_the_call(state: object, result: object, status: Status, answered_by: object) -> None:
    found, record = completion(transcription(status=state, metadata={"phone_call": {"call_result": result}}))
    assert (found.status, found.change["answered_by"]) == (status, answered_by)
    assert record["status"] == status.value


@pytest.mark.parametrize("state", ["initiated", "in-progress", "processing"])
def test_before_the_vendor_is_done_nothing_is_final(state: str) -> None:
    found = outcome(CALL, message(transcription(status=state)))
    assert isinstance(found, Plan)
    assert [draft.data["status"] for draft in found.drafts] == [state.replace("-", "_")]


def test_a_call_that_is_over_only_gains_an_analysis() -> None:
    over = replace(CALL, status=Status.COMPLETED, call_sid="CA1")
    found = outcome(over, message(transcription()))
    assert isinstance(found, Plan)
    assert [draft.type for draft in found.drafts] == [EventType.ANALYSIS_READY]
    assert outcome(replace(over, analysis={"call_successful": "success"}), message(transcription())) is None
    assert outcome(over, message(transcription(analysis=None))) is None


@pytest.mark.parametrize(
    ("reason", "status"),
    [("busy", Status.BUSY), ("no-answer", Status.NO_ANSWER), ("unknown", Status.FAILED), (None, Status.FAILED)],
)
def test_a_call_that_could_not_be_placed_has_a_record_too(reason: str, status: Status) -> None:
    found, record = completion(failure(reason=reason))
    assert (found.status, record["status"], record["failure_reason"]) == (status, status.value, reason)
    assert (record["transcript"], record["analysis_data"]) == (None, None)
    assert record["metadata"]["body"]["CallSid"] == "CA1"


def test_audio_is_a_pointer_on_the_head() -> None:
    told = message({"type": "post_call_audio", "event_timestamp": 1, "data": {"conversation_id": "conv_1"}})
    name = f"audio/conv_1-{told.id[:16]}.mp3"
    audio = replace(told, data={"audio": {"name": name, "bytes": 3}})
    found = outcome(replace(CALL, metadata={"driver": "7"}), audio)
    assert isinstance(found, Plan)
    pointer = {"source": "elevenlabs", "conversation_id": "conv_1", "bytes": 3, "name": name}
    assert found.change == {"metadata": {"driver": "7", "audio": pointer}}
    assert found.drafts == ()
    assert outcome(replace(CALL, metadata={"audio": pointer}), audio) is None


def test_a_pointer_that_the_vendor_wrote_points_nowhere() -> None:
    told = message({"type": "post_call_audio", "event_timestamp": 1, "data": {"conversation_id": "conv_1"}})
    for name in ("audio/conv_2-0.mp3", "news/x.json", None, 7):
        found = outcome(CALL, replace(told, data={"audio": {"name": name, "bytes": 3}}))
        assert isinstance(found, Plan)
        assert found.change is not None
        assert "name" not in found.change["metadata"]["audio"]


def test_an_unknown_kind_is_unusable() -> None:
    with pytest.raises(Unusable, match="unredacted_audio"):
        outcome(CALL, message({"type": "unredacted_audio", "data": {}}))


def named(call_id: str) -> dict[str, Any]:
    return {"dynamic_variables": {"call_id": call_id}}


@pytest.mark.parametrize("payload", [transcription(), failure(), transcription(status="initiated")])
@pytest.mark.parametrize(
    ("call", "why"),
    [
        (replace(CALL, hosted=False), "not held by ElevenLabs"),
        (replace(CALL, hosted=False, conversation_id=None, call_sid="CA1"), "not held by ElevenLabs"),
        (replace(CALL, conversation_id="conv_other"), "another conversation_id"),
        (replace(CALL, call_sid="CA_other"), "another call_sid"),
        (replace(CALL, status=Status.COMPLETED, conversation_id="conv_other"), "another conversation_id"),
    ],
)
def test_news_of_another_call_is_refused(payload: dict[str, Any], call: Call, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        outcome(call, message(payload))


def test_a_hosted_call_that_does_not_know_its_conversation_yet_is_found_by_the_id_we_gave() -> None:
    fresh = replace(CALL, conversation_id=None)
    found = outcome(fresh, message(transcription(conversation_initiation_client_data=named("EL_1"))))
    assert isinstance(found, Completion)
    assert found.change["conversation_id"] == "conv_1"
