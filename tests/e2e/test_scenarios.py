"""Every scenario of the simulated phone against one running system, several calls at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.local.simulate import Verdict, simulate
from infra.simulators.scenario import load_scenario, scenario_names
from tests.e2e.system import Running, running

pytestmark = [pytest.mark.call, pytest.mark.xdist_group("calls"), pytest.mark.timeout(240)]

NEEDS_A_PERSON = {"typed"}
ELSEWHERE = {"book_oil_change"}
AT_ONCE = 4


async def all_of(ground: Running, names: list[str]) -> list[Verdict]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Verdict:
        async with limit:
            return await simulate(ground.target, load_scenario(name))

    return await asyncio.gather(*(one(name) for name in names))


def test_every_scenario_goes_as_expected(tmp_path: Path) -> None:
    names = [name for name in scenario_names() if name not in NEEDS_A_PERSON | ELSEWHERE]
    assert len(names) >= 10

    async def go() -> list[Verdict]:
        async with running(tmp_path) as ground:
            return await all_of(ground, names)

    verdicts = asyncio.run(go())
    wrong = {verdict.scenario: (list(verdict.failures), list(verdict.turns)) for verdict in verdicts if not verdict.ok}
    assert wrong == {}
