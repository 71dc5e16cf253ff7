"""Handing over to a person on the whole system: real processes, real voices, two telephones, both recorded."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.cli.simulating import target_of
from infra.local.clients import Api
from infra.local.judge import of, texts
from infra.local.simulate import simulate
from infra.simulators.config import Person, PhoneConfig, new_sid
from infra.simulators.phone import place_call
from infra.simulators.report import CallReport
from infra.simulators.scenario import load_scenario, parse_scenario
from tests.e2e.system import Running, in_turns, running

pytestmark = [pytest.mark.call, pytest.mark.timeout(240)]

NUMBER = "+14155550177"
PACE = 0.3
WANTS_A_PERSON: list[dict[str, Any]] = [{"say": "speak_to_manager", "when": "after_assistant"}, {"wait": "stream_end"}]
GIVES_UP: list[dict[str, Any]] = [
    {"say": "plain_no", "when": "after_assistant"},
    {"say": "no_thank_you", "when": "after_assistant"},
]


@dataclass(frozen=True)
class Done:
    """A call that is over: what the phone saw, the head, the journal."""

    report: CallReport
    call: dict[str, Any]
    journal: list[dict[str, Any]]

    @property
    def outcomes(self) -> list[str]:
        return [event["data"]["outcome"] for event in of(self.journal, "handoff")]

    @property
    def said(self) -> list[str]:
        return texts(self.journal, "ai_response_complete")


async def call(ground: Running, person: Person, steps: list[dict[str, Any]], sound: Path) -> Done:
    target = target_of(ground.system)
    config = PhoneConfig(
        public_url=target.url,
        auth_token=target.auth_token,
        call_sid=new_sid("CA"),
        people={NUMBER: person},
        joined_says="need_oil_change",
        pace=PACE,
        wav_dir=sound,
    )
    scenario = parse_scenario({"steps": steps, "deadline_s": 90}, name="handoff")
    report = await place_call(config, scenario)
    async with Api(target.url, target.username, target.password) as api:
        for _ in range(100):
            journal = await api.events(report.call_sid)
            if journal[-1]["type"] == "call_completed":
                break
            await asyncio.sleep(0.2)
        answer = await api.get(f"/api/v1/calls/{report.call_sid}")
        return Done(report, answer.get("call", answer), journal)


async def three(ground: Running, sound: Path) -> list[Done]:
    accepts = Person(ring_s=1.5, key_s=1.0, says="plain_yes", talk_s=2.0, caller_hangs_up=True)
    machine = Person(keys="-", verdict="machine_end_beep", verdict_s=0.5)
    leaves = Person(talk_s=1.0, key_s=0.5)
    return await in_turns(
        call(ground, accepts, WANTS_A_PERSON, sound),
        call(ground, machine, [*WANTS_A_PERSON, *GIVES_UP], sound),
        call(ground, leaves, [*WANTS_A_PERSON, {"say": "no_thank_you", "when": "after_assistant"}], sound),
    )


def test_the_caller_is_joined_or_back_with_the_assistant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_NUMBER", NUMBER)

    async def go() -> list[Done]:
        async with running(tmp_path) as ground:
            return await three(ground, tmp_path / "sound")

    done = asyncio.run(go())
    accepted, machine, left = done
    for one in done:
        assert one.report.violations == ()
        assert one.said[1] == "Let me connect you with our service advisor."
        assert [event["type"] for event in one.journal[-2:]] == ["call_status", "call_completed"]
        assert [event["seq"] for event in one.journal] == list(range(1, len(one.journal) + 1))
        assert one.call["conversation_summary"]["escalation_triggered"] is True
        assert one.call["conversation_summary"]["escalation_reason"] == "manager_request"
        (leg,) = one.report.legs
        assert one.report.wav
        assert leg.wav
        # A busy machine may not find the caller's record in time; then they are nobody we know.
        assert re.match(r"A call from (John|a caller we do not know)\. They asked for a person\. ", leg.heard[0])

    assert accepted.outcomes == ["dialled", "accepted", "ended"]
    assert accepted.report.ended_by == "dial"
    assert accepted.report.legs[0].hold_ms > 2_000

    assert machine.outcomes == ["dialled", "machine"]
    assert machine.report.ended_by == "gateway"
    assert "nobody can take your call" in machine.said[2]
    assert "anything else" in machine.said[3].lower()
    assert not any("cut off" in said for said in machine.said)
    assert machine.call["conversation_state"]["memory"]["handoff"] == "machine"

    assert left.outcomes == ["dialled", "accepted", "ended"]
    assert left.said[2] == "Is there anything else I can do for you?"
    assert left.report.ended_by == "gateway"


def test_without_a_number_the_assistant_takes_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDOFF_NUMBER", raising=False)

    async def go() -> Any:
        async with running(tmp_path) as ground:
            return await simulate(ground.target, load_scenario("manager"))

    verdict = asyncio.run(go())
    assert verdict.failures == ()
    assert any("nobody can take your call" in turn["text"] for turn in verdict.turns)
