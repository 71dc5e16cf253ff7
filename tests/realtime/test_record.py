"""The record of a call of our own."""

from __future__ import annotations

from typing import Any

from realtime.call import Call, Status
from realtime.events import Event, EventType
from realtime.record import own_record


def test_the_record_has_what_was_said_and_done() -> None:
    call = Call(call_id="CA1", call_sid="CA1", flow="booking", started_at="2026-11-20T10:00:00.000Z", total_tokens=9)
    lines: list[tuple[EventType, dict[str, Any]]] = [
        (EventType.AI_RESPONSE_COMPLETE, {"speaker": "assistant", "text": "Hello", "interrupted": True}),
        (EventType.FINAL_TRANSCRIPT, {"speaker": "user", "text": "Hi"}),
        (EventType.AI_RESPONSE_COMPLETE, {"speaker": "assistant", "text": ""}),
        (EventType.TOOL_CALL, {"tool": "book", "arguments": {"a": 1}, "result": {}, "ok": True, "ms": 3}),
    ]
    events = [
        Event("CA1", "e", n, type, f"2026-11-20T10:00:0{n}.600Z", data) for n, (type, data) in enumerate(lines, start=1)
    ]
    record = own_record(call, events, status=Status.NO_ANSWER, ended_at="2026-11-20T10:01:30.000Z")
    assert record["transcript"] == [
        {"role": "assistant", "message": "Hello", "time_in_call_secs": 2, "interrupted": True},
        {"role": "user", "message": "Hi", "time_in_call_secs": 3, "interrupted": False},
    ]
    assert (record["status"], record["duration_secs"], record["analysis_data"]) == ("no_answer", 90, None)
    assert record["metadata"]["tool_calls"] == [
        {"tool": "book", "arguments": {"a": 1}, "result": {}, "ok": True, "time_in_call_secs": 5}
    ]
    assert record["metadata"]["total_tokens"] == 9


def test_a_call_that_never_began_has_an_empty_one() -> None:
    call = Call(call_id="CA1", started_at="2026-11-20T10:00:00.000Z")
    record = own_record(call, [], status=Status.BUSY, ended_at="2026-11-20T09:59:59.000Z")
    assert (record["transcript"], record["duration_secs"]) == ([], 0)
