"""The judge of simulated calls: each expectation can fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from infra.local import judge
from infra.local.simulate import seen_exactly_once
from infra.simulators.expect import Appointment, Expect
from infra.simulators.report import CallReport

FRIDAY = date(2026, 11, 20)


def event(seq: int, type_: str, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "type": type_, "data": data}


JOURNAL = [
    event(1, "call_status", status="ringing"),
    event(2, "ai_response_complete", text="Thank you for calling. How can I help?", speaker="assistant"),
    event(3, "final_transcript", text="oil change tomorrow at two", speaker="user"),
    event(4, "tool_call", tool="get_available_slots", ok=True, result={}),
    event(
        5,
        "tool_call",
        tool="book_appointment",
        ok=True,
        result={"service_type": "oil_change", "date": "2026-11-21", "time": "14:00"},
    ),
    event(6, "interruption", confirmed=True, words="wait"),
    event(7, "dtmf", digit="1"),
    event(8, "call_status", status="completed"),
    event(9, "call_completed", call_data={}),
]
CALL = {"status": "completed", "conversation_state": {"intent": "schedule_appointment"}}
REPORT = CallReport(
    call_sid="CA1",
    account_sid="AC1",
    caller="+1",
    called="+2",
    scenario="x",
    ended_by="gateway",
    problem=None,
    status="completed",
    duration_ms=1.0,
    steps_done=1,
    steps_total=1,
    twiml=(),
    streams=(),
    marks=(),
    clears=(),
    heard=(),
    spoken=(),
    dials=(),
    violations=(),
    timeline=(),
    wav=None,
)
RIGHT = Expect(
    said=("how can i help",),
    heard=("oil_change", "at two"),
    tools=("get_available_slots", "book_appointment"),
    no_tools=("send_sms",),
    appointment=Appointment(service_type="oil_change", preferred_date="tomorrow", preferred_time="14:00"),
    escalation=False,
    interrupted=True,
    intent="schedule_appointment",
    digits="1",
)


def test_a_call_that_went_as_expected() -> None:
    assert judge.failures(RIGHT, REPORT, CALL, JOURNAL, FRIDAY) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"said": ("goodbye",)}, "the assistant said"),
        ({"heard": ("at two", "wednesday")}, "the recogniser heard"),
        ({"tools": ("book_appointment", "get_available_slots")}, "tools"),
        ({"no_tools": ("book_appointment",)}, "should not have"),
        ({"no_appointment": True}, "should not have been"),
        ({"appointment": Appointment(preferred_date="monday")}, "no such appointment"),
        ({"appointment": Appointment(preferred_time="15:00")}, "no such appointment"),
        ({"escalation": True}, "escalation"),
        ({"interrupted": False}, "interrupted"),
        ({"intent": "check_hours"}, "intent"),
        ({"digits": "2"}, "digits"),
        ({"status": "busy"}, "status"),
    ],
)
def test_each_expectation_can_fail(change: dict[str, Any], complaint: str) -> None:
    found = judge.failures(replace(RIGHT, **change), REPORT, CALL, JOURNAL, FRIDAY)
    assert any(complaint in failure for failure in found), found


def test_a_hole_in_the_journal_and_a_missing_end_are_failures() -> None:
    without_tool = [line for line in JOURNAL if line["seq"] != 4]
    assert "hole" in " ".join(judge.failures(RIGHT, REPORT, CALL, without_tool, FRIDAY))
    assert "does not end" in " ".join(judge.failures(RIGHT, REPORT, CALL, JOURNAL[:-1], FRIDAY))


@pytest.mark.parametrize("seen", [[1, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 9], [2, 1, 3, 4, 5, 6, 7, 8, 9]])
def test_a_watcher_must_see_everything_once_and_in_order(seen: list[int]) -> None:
    assert seen_exactly_once(JOURNAL, list(range(1, 10)), "x") == []
    assert seen_exactly_once(JOURNAL, seen, "x") != []
