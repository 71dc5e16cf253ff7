"""What the script finds out about a call, and the one shape of what is left of a call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from functions import elevenlabs_record
from functions.elevenlabs_news import news
from functions.outcome import Completion
from realtime import analysis
from realtime.analysis import Findings, shaped
from realtime.call import Call, Status
from realtime.clock import parse_iso
from realtime.events import Event, EventType
from realtime.post_call import post_call
from realtime.record import own_record
from tests.functions.apps import transcription

BEGAN, ENDED = "2026-11-20T10:00:00.000Z", "2026-11-20T10:01:00.000Z"
CALL = Call(
    call_id="CA1",
    status=Status.COMPLETED,
    started_at=BEGAN,
    ended_at=ENDED,
    flow="inbound_new",
    total_tokens=321,
    conversation_state={"intent": "book_appointment", "slots": {"service_type": "oil_change", "note": None}},
)


def events(*drafts: tuple[EventType, dict[str, Any]]) -> list[Event]:
    return [
        Event("CA1", "e", n, kind, f"2026-11-20T10:00:{n:02d}.000Z", data) for n, (kind, data) in enumerate(drafts, 1)
    ]


SAID = (EventType.FINAL_TRANSCRIPT, {"turn": 1, "speaker": "user", "text": "An oil change.", "confidence": 1.0})
ANSWERED = (
    EventType.AI_RESPONSE_COMPLETE,
    {"turn": 1, "speaker": "assistant", "text": "Booked.", "interrupted": False},
)


def tool(ok: bool) -> tuple[EventType, dict[str, Any]]:
    return EventType.TOOL_CALL, {"turn": 1, "tool": "book_appointment", "arguments": {"a": 1}, "result": {}, "ok": ok}


@pytest.mark.parametrize(
    ("call", "told", "success", "word"),
    [
        (CALL, (SAID, tool(True), ANSWERED), "success", "Done: book appointment"),
        (CALL, (SAID, tool(False)), "failure", "Not done: book appointment"),
        (CALL, (SAID, ANSWERED), "unknown", "spoke 1 time about book appointment"),
        (CALL, (SAID, (EventType.ESCALATION, {"turn": 1, "reason": "anger"})), "success", "handed to a person (anger)"),
        (replace(CALL, status=Status.FAILED), (SAID, tool(True)), "failure", "Done"),
        (replace(CALL, status=Status.BUSY), (), "failure", "busy"),
        (replace(CALL, status=Status.NO_ANSWER), (), "failure", "Nobody answered"),
        (CALL, (ANSWERED,), "failure", "Nothing was said"),
    ],
)
def test_what_the_script_says(call: Call, told: tuple[Any, ...], success: str, word: str) -> None:
    found = analysis.scripted(call, events(*told))
    assert (found.success, word in found.summary) == (success, True), found
    assert found.extracted == {"service_type": "oil_change"}


def test_what_is_kept_is_bounded() -> None:
    huge = Findings(
        summary="s" * 9_000,
        title="t" * 900,
        success="success",
        extracted={f"{n}" + "k" * 900: "v" * 9_000 for n in range(90)},
        why={},
    )
    kept = shaped(huge, source="openai")
    assert len(str(kept)) < 50_000
    assert len(kept["data_collection_results"]) == analysis.MOST_VALUES


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (CALL, True),
        (replace(CALL, hosted=True), False),
        (replace(CALL, status=Status.IN_PROGRESS), False),
        (replace(CALL, analysis={"a": 1}), False),
    ],
)
def test_which_calls_want_one(call: Call, wanted: bool) -> None:
    assert analysis.wants(call) is wanted


def own() -> dict[str, Any]:
    told = events(SAID, tool(True), ANSWERED)
    found = shaped(analysis.scripted(CALL, told), source="scripted")
    record = own_record(CALL, told, status=Status.COMPLETED, ended_at=ENDED)
    whole = post_call(replace(CALL, analysis=found), record)
    assert whole is not None
    return whole


def theirs() -> dict[str, Any]:
    data = transcription(
        analysis={
            "call_successful": "success",
            "transcript_summary": "The driver acknowledged.",
            "call_summary_title": "Acknowledged",
            "data_collection_results": {"eta": {"data_collection_id": "eta", "value": "noon", "rationale": "said so"}},
        },
        transcript=[
            {
                "role": "agent",
                "message": "Hello.",
                "time_in_call_secs": 0,
                "tool_calls": [{"request_id": "r1", "tool_name": "look_up", "params_as_json": '{"a": 1}'}],
                "tool_results": [{"request_id": "r1", "result_value": "no JSON", "is_error": False}],
            },
            {"role": "user", "message": "Hi.", "time_in_call_secs": 4, "interrupted": True, "tool_calls": None},
        ],
    )
    call = Call(call_id="EL_1", conversation_id="conv_1", hosted=True, status=Status.PROCESSING)
    message = news(data, body=b"", now=parse_iso(BEGAN))
    found = elevenlabs_record.outcome(call, message)
    assert isinstance(found, Completion)
    audio = {"name": "audio/x.mp3", "bytes": 3}
    over = replace(call, status=Status.COMPLETED, analysis=found.change["analysis"], metadata={"audio": audio})
    whole = post_call(over, found.call_data)
    assert whole is not None
    return whole


def test_ours_and_theirs_have_one_shape() -> None:
    ours, vendors = own(), theirs()
    assert ours.keys() == vendors.keys()
    for line in (*ours["transcript"], *vendors["transcript"]):
        assert line.keys() == {"role", "message", "time_in_call_secs", "interrupted", "tool_calls"}
        assert line["role"] in ("user", "assistant")
    (mine,), (other,) = ours["transcript"][0]["tool_calls"], vendors["transcript"][0]["tool_calls"]
    assert mine.keys() == other.keys()
    assert (mine["tool"], other["tool"], other["arguments"], other["ok"]) == (
        "book_appointment",
        "look_up",
        {"a": 1},
        True,
    )
    assert (ours["extracted"], vendors["extracted"]) == ({"service_type": "oil_change"}, {"eta": "noon"})
    assert (ours["cost"]["tokens"], vendors["cost"]["credits"]) == (321, 296)
    assert (ours["source"], vendors["source"]) == ("scripted", "elevenlabs")
    assert (ours["audio"], vendors["audio"]) == (None, {"name": "audio/x.mp3", "bytes": 3})
    assert (ours["success"], vendors["success"]) == ("success", "success")


@pytest.mark.parametrize(
    "record", [None, {}, {"transcript": "x", "metadata": 7, "analysis_data": []}, {"transcript": [7, {}]}]
)
def test_records_that_are_not_as_they_should_be(record: Any) -> None:
    found = post_call(replace(CALL, metadata={"audio": 7}), record)
    assert found is not None
    assert found["summary"] is None
    assert post_call(replace(CALL, status=Status.IN_PROGRESS), record) is None
