"""What the two older sockets say of each event."""

from __future__ import annotations

from typing import Any

import pytest

from media_gateway.dashboard.encoders import Ids, global_message, transcription_message, whole_record
from media_gateway.dashboard.metrics import CallMetrics, of_events
from realtime.call import Call
from realtime.events import Event, EventType, LiveEvent, LiveType

IDS = Ids("CA1", "conv_1", "+15550001111")
TS = "2026-11-20T12:00:00.000Z"


def event(type_: EventType, seq: int = 1, **data: Any) -> Event:
    return Event("CA1", "e1", seq, type_, TS, data)


def live(type_: LiveType, **data: Any) -> LiveEvent:
    return LiveEvent("CA1", 4, type_, TS, data)


def test_who_speaks_and_whether_it_is_final() -> None:
    said = transcription_message(event(EventType.FINAL_TRANSCRIPT, text="hi"), IDS)
    answered = transcription_message(event(EventType.AI_RESPONSE_COMPLETE, text="hello", full_text="hello you"), IDS)
    partial = transcription_message(live(LiveType.PARTIAL_TRANSCRIPT, turn=1, text="h"), IDS)
    assert said
    assert answered
    assert partial
    assert (said["speaker"], said["text"], said["final"]) == ("user", "hi", True)
    assert (answered["speaker"], answered["text"], answered["final"]) == ("assistant", "hello", True)
    assert (partial["speaker"], partial["text"], partial["final"]) == ("user", "h", False)
    assert said["timestamp"] == TS


@pytest.mark.parametrize(
    "type_", sorted(set(EventType) - {"final_transcript", "ai_response_complete", "call_status", "call_completed"})
)
def test_the_transcription_socket_carries_nothing_else(type_: EventType) -> None:
    assert transcription_message(event(type_), IDS) is None


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ('{"a": 1}', {"a": 1}),
        ("[]", []),
        ("not json", {"raw": "not json"}),
        ({"a": 1}, {"a": 1}),
        ([1], [1]),
    ],
)
def test_the_record_is_parsed(given: Any, parsed: Any) -> None:
    record = whole_record({"transcript": given, "analysis_data": given, "metadata": given, "cost": 3}, IDS)
    assert (record["transcript"], record["analysis_data"], record["metadata"]) == (parsed, parsed, parsed)
    assert record["cost"] == 3
    assert record["call_sid"] == "CA1"
    assert record["conversation_id"] == "conv_1"
    assert record["status"] is None
    assert record["call_end_time"] is None


@pytest.mark.parametrize("type_", list(EventType))
def test_every_durable_event_is_on_the_global_stream(type_: EventType) -> None:
    message = global_message(event(type_, 7, text="x", extra=1), IDS)
    assert message["event"] == ("metrics_updated" if type_ is EventType.TURN_METRICS else type_.value)
    data = message["data"]
    assert (data["seq"], data["epoch"], data["extra"]) == (7, "e1", 1)
    assert (data["userId"], data["session_id"], data["text"], data["timestamp"]) == ("+15550001111", "CA1", "x", TS)


@pytest.mark.parametrize("type_", list(LiveType))
def test_every_live_event_too(type_: LiveType) -> None:
    message = global_message(live(type_, turn=2, text="so far"), IDS)
    assert message["event"] == type_.value
    assert (message["data"]["n"], message["data"]["turn"], message["data"]["text"]) == (4, 2, "so far")
    assert "seq" not in message["data"]


def test_a_hosted_call_without_a_sid_is_known_by_its_call_id() -> None:
    assert (
        Ids.of(Call(call_id="EL_d1_20261120T120000000Z", conversation_id="c")).call_sid == "EL_d1_20261120T120000000Z"
    )


def metrics(seq: int, **data: Any) -> Event:
    return event(EventType.TURN_METRICS, seq, **data)


def test_the_numbers_of_a_call() -> None:
    assert CallMetrics().to_dict(0)["average_latency"] is None
    folded = of_events(
        [
            event(EventType.CALL_STATUS, 1),
            metrics(2, total_ms=400, tokens={"prompt": 5, "completion": 1, "cached": 4}),
            metrics(3, stages={"stt": 100, "llm": 200}),
            metrics(4, stages={}, tokens=None),
        ]
    )
    assert folded.after(metrics(3, total_ms=9_999)) == folded, "counted before"
    assert folded.to_dict(7) == {
        "last_response_time": 300.0,
        "total_conversations": 7,
        "average_latency": 350.0,
        "turn_latencies": [400.0, 300.0],
        "total_tokens": 6,
    }
