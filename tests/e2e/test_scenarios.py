"""The scenarios of the simulated phone against one running system, several calls at a time: of every mechanism one in
the ordinary run, all of them in the long one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.cli.simulating import target_of, twilio_for
from infra.local.ordering import account
from infra.local.simulate import Verdict, simulate
from infra.simulators.scenario import Scenario, load_scenario, scenario_names
from tests.e2e.system import in_turns, running

pytestmark = [pytest.mark.call, pytest.mark.timeout(400)]

NEEDS_A_PERSON = {"typed"}
ELSEWHERE = {"book_oil_change"}
ORDINARY = {
    *("backchannel", "barge_in", "change_of_mind", "cough", "cut_midway", "driver", "followup_complaint"),
    *("hang_up_midway", "manager", "nobody_answers", "out_of_domain", "silent_caller", "slot_taken"),
    *("withheld_number", "wrong_vin"),
}
AT_ONCE = 3


async def all_of(folder: Path, scenarios: list[Scenario]) -> list[Verdict]:
    async with twilio_for(*scenarios) as twilio, running(folder, more=account(twilio) if twilio else {}) as ground:
        target = target_of(ground.system, folder, twilio)
        return await in_turns(*(simulate(target, scenario) for scenario in scenarios), at_once=AT_ONCE)


def check(folder: Path, names: set[str]) -> None:
    verdicts = asyncio.run(all_of(folder, [load_scenario(name) for name in sorted(names)]))
    wrong = {verdict.scenario: (list(verdict.failures), list(verdict.turns)) for verdict in verdicts if not verdict.ok}
    assert wrong == {}


def test_scenarios_go_as_expected(tmp_path: Path) -> None:
    check(tmp_path, ORDINARY)


@pytest.mark.long
def test_all_the_other_scenarios_go_as_expected(tmp_path: Path) -> None:
    names = set(scenario_names()) - NEEDS_A_PERSON - ELSEWHERE
    assert len(names) >= 20
    assert names > ORDINARY
    check(tmp_path, names - ORDINARY)
