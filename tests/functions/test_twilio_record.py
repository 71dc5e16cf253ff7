"""What Twilio's callbacks mean for a call."""

from __future__ import annotations

import pytest

from functions.outcome import Completion, Unusable
from functions.twilio_record import outcome
from realtime.bus.port import BusMessage
from realtime.call import Call, Status
from realtime.plan import Plan

TS = "2026-11-20T10:00:00.000Z"
OURS = Call(call_id="CA1", call_sid="CA1", status=Status.IN_PROGRESS)
HOSTED = Call(call_id="EL_1", call_sid="CA1", hosted=True, status=Status.IN_PROGRESS)


def news(kind: str, **data: str) -> BusMessage:
    return BusMessage("twilio:1", "twilio", kind, {"call_sid": "CA1"}, TS, {"CallSid": "CA1", **data})


@pytest.mark.parametrize(
    ("word", "status"), [("queued", "initiated"), ("ringing", "ringing"), ("in-progress", "in_progress")]
)
def test_a_step_is_a_line_of_the_journal(word: str, status: str) -> None:
    found = outcome(OURS, news("status", CallStatus=word))
    assert isinstance(found, Plan)
    assert [dict(draft.data) for draft in found.drafts] == [{"status": status, "call_end_time": None, "reason": None}]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("completed", Status.COMPLETED),
        ("busy", Status.BUSY),
        ("no-answer", Status.NO_ANSWER),
        ("canceled", Status.CANCELED),
        ("failed", Status.FAILED),
    ],
)
def test_the_end_of_one_of_our_calls_completes_it(word: str, status: Status) -> None:
    assert outcome(OURS, news("status", CallStatus=word)) == Completion(status, TS, TS)
    over = Call(call_id="CA1", status=Status.COMPLETED)
    assert outcome(over, news("status", CallStatus=word)) is None


def test_a_hosted_call_that_has_ended_awaits_its_record() -> None:
    found = outcome(HOSTED, news("status", CallStatus="completed"))
    assert isinstance(found, Plan)
    assert found.drafts[0].data["status"] == "processing"
    assert outcome(HOSTED, news("status", CallStatus="busy")) == Completion(Status.BUSY, TS, TS)


@pytest.mark.parametrize(
    ("word", "answered_by"),
    [
        ("human", "human"),
        ("machine_start", "voicemail"),
        ("machine_end_beep", "voicemail"),
        ("fax", "fax"),
        ("?", "unknown"),
    ],
)
def test_who_answered_is_noted_on_the_head(word: str, answered_by: str) -> None:
    assert outcome(OURS, news("amd", AnsweredBy=word)) == Plan(change={"answered_by": answered_by})


@pytest.mark.parametrize("bad", [news("status", CallStatus="dancing"), news("status"), news("amd"), news("fax")])
def test_what_cannot_be_understood_is_unusable(bad: BusMessage) -> None:
    with pytest.raises(Unusable):
        outcome(OURS, bad)
