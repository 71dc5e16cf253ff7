from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.simulators import clips
from infra.simulators.expect import Appointment, Expect
from infra.simulators.fields import ScenarioError
from infra.simulators.scenario import (
    AfterAssistant,
    Aside,
    AtOnce,
    Cut,
    HangUp,
    Over,
    Press,
    Raw,
    Say,
    Silence,
    Step,
    StreamEnd,
    Wait,
    load_scenario,
    parse_scenario,
    scenario_names,
)
from infra.simulators.steps import clip_names

PROMISED = {
    "ask_hours",
    "backchannel",
    "barge_in",
    "book_oil_change",
    "cut_midway",
    "dtmf",
    "hang_up_midway",
    "manager",
    "out_of_domain",
    "silent_caller",
    *("angry", "busy", "driver", "followup_complaint", "followup_happy", "never_mind", "new_caller", "nobody_answers"),
    *("other_day", "reminder", "reminder_cancel", "slot_taken", "voicemail", "withheld_number", "wrong_vin"),
}


def test_the_promised_scenarios_are_there() -> None:
    assert set(scenario_names()) >= PROMISED


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_can_be_played(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.description
    assert scenario.expect.ended_by
    for clip in clip_names(scenario):
        assert clips.load(clip, scenario.voice).audio


def test_the_main_one() -> None:
    scenario = load_scenario("book_oil_change")
    said = [step.action.clip for step in scenario.steps if isinstance(step.action, Say)]
    assert said == ["need_oil_change", "tomorrow_at_two_afternoon", "yes_please", "no_thank_you"]
    assert scenario.expect.appointment == Appointment(
        service_type="oil_change", preferred_date="tomorrow", preferred_time="14:00"
    )


def test_every_kind_of_step() -> None:
    steps: list[dict[str, Any]] = [
        {"say": "x"},
        {"say": "x", "when": "after_assistant"},
        {"say": "x", "when": {"after_assistant": {"quiet_ms": 50}}},
        {"say": "x", "when": {"over": {"after_ms": 800}}},
        {"press": "1*#"},
        {"silence_ms": 5},
        {"wait": "after_assistant"},
        {"wait": "stream_end"},
        {"raw": "{}"},
        {"hangup": True},
        {"cut": True},
        {"cut": {"resume": True}},
        {"type": "hello"},
        {"meanwhile": "take_slot"},
    ]
    assert parse_scenario({"steps": steps, "quiet_ms": 700}, name="s").steps == (
        Step(Say("x"), AtOnce()),
        Step(Say("x"), AfterAssistant(700)),
        Step(Say("x"), AfterAssistant(50)),
        Step(Say("x"), Over(800)),
        Step(Press("1*#")),
        Step(Silence(5)),
        Step(Wait(), AfterAssistant(700)),
        Step(Wait(), StreamEnd()),
        Step(Raw("{}")),
        Step(HangUp()),
        Step(Cut()),
        Step(Cut(resume=True)),
        Step(Aside("type", "hello")),
        Step(Aside("meanwhile", "take_slot")),
    )


def test_every_expectation() -> None:
    expect = {
        "status": "failed",
        "said": "hello",
        "heard": ["a", "b"],
        "tools": ["t"],
        "no_tools": ["u"],
        "appointment": {"preferred_time": "14:00"},
        "no_appointment": False,
        "escalation": True,
        "interrupted": False,
        "intent": "book",
        "digits": "1",
        "flow": "driver_check",
        "reason": "anger",
        "answered_by": "human",
        "slots": {"outcome": "reported"},
        "ended_by": ["caller"],
        "clears": {"min": 1},
        "violations": 2,
    }
    assert parse_scenario({"steps": [], "expect": expect}, name="s").expect == Expect(
        status="failed",
        said=("hello",),
        heard=("a", "b"),
        tools=("t",),
        no_tools=("u",),
        appointment=Appointment(preferred_time="14:00"),
        escalation=True,
        interrupted=False,
        intent="book",
        digits="1",
        flow="driver_check",
        reason="anger",
        answered_by="human",
        slots={"outcome": "reported"},
        ended_by=("caller",),
        clears=(1, 1_000_000),
        violations=2,
    )


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([], "s: a mapping is needed"),
        ({}, "steps is missing"),
        ({"steps": {}}, "steps is a list"),
        ({"steps": ["hangup"]}, r"steps\[0\]: a mapping"),
        ({"steps": [{}]}, "exactly one of"),
        ({"steps": [{"say": "x", "press": "1"}]}, "exactly one of"),
        ({"steps": [{"say": True}]}, "YAML reads bare yes/no"),
        ({"steps": [{"press": 1}]}, "use quotes"),
        ({"steps": [{"press": "A"}]}, "press takes keys"),
        ({"steps": [{"say": "x", "then": "y"}]}, r"steps\[0\]: unknown: then"),
        ({"steps": [{"say": "x", "when": "soon"}]}, "when is at_once"),
        ({"steps": [{"say": "x", "when": {"over": {}}}]}, "after_ms is missing"),
        ({"steps": [{"say": "x", "when": {"over": {"after_ms": -1}}}]}, "at least 0"),
        ({"steps": [{"say": "x", "when": "stream_end"}]}, "use wait: stream_end"),
        ({"steps": [{"hangup": False}]}, "leave the step out"),
        ({"steps": [{"cut": {"resume": "maybe"}}]}, "true or false"),
        ({"steps": [], "deadlin_s": 3}, "unknown: deadlin_s"),
        ({"steps": [], "quiet_ms": 1.5}, "whole number"),
        ({"steps": [], "expect": {"heard": [True]}}, "list of texts"),
        ({"steps": [], "expect": {"slots": {"outcome": True}}}, "slots is a mapping of texts"),
        ({"steps": [], "placed": {}}, "placed: flow is missing"),
        ({"steps": [], "placed": {"flow": "f", "variables": []}}, "variables is a mapping"),
        ({"steps": [], "placed": {"flow": "f", "answered_by": "a cat"}}, "human, machine, nobody, busy"),
        ({"steps": [], "placed": {"flow": "f", "to": "+1"}}, "unknown: to"),
        ({"steps": [], "has_appointment": {"day": "x"}}, "unknown: day"),
        ({"steps": [], "expect": {"appointment": {"day": "x"}}}, "unknown: day"),
    ],
)
def test_what_is_wrong_is_said_and_where(data: object, what: str) -> None:
    with pytest.raises(ScenarioError, match=what):
        parse_scenario(data, name="s")


def test_unknown_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'nope'; there are: angry, ask_hours"):
        load_scenario("nope")
    broken = tmp_path / "broken.yaml"
    broken.write_text("steps: [")
    with pytest.raises(ScenarioError, match=r"broken\.yaml is not YAML"):
        load_scenario(broken)
