"""Whole calls on all vendors at once: the real gateway, every vendor's wire simulated, a caller on real sound."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest

from infra.cli.simulating import target_of, twilio_for
from infra.local.clients import Api
from infra.local.judge import of
from infra.local.ordering import account
from infra.local.simulate import Target, Verdict, simulate
from infra.simulators.report import Entry
from infra.simulators.scenario import load_scenario
from infra.simulators.vendor_faults import Fault, Kind
from infra.simulators.vendors import Vendors
from tests.e2e.system import running

pytestmark = [pytest.mark.call, pytest.mark.timeout(240)]

Journal = list[dict[str, Any]]
Call = tuple[Verdict, Journal]
Listen = Literal["v1", "v2"]
Speak = Literal["elevenlabs", "deepgram"]


async def journal_of(target: Target, verdict: Verdict) -> Journal:
    async with Api(target.url, target.username, target.password) as api:
        return await api.events(verdict.call_id)


async def calls(folder: Path, vendors: Vendors, names: tuple[str, ...], listen: Listen, speak: Speak) -> list[Call]:
    """These scenarios at once on one system."""
    scenarios = [load_scenario(name) for name in names]
    async with vendors.serving(), twilio_for(*scenarios) as twilio:
        more = vendors.environment(listen=listen, speak=speak) | (account(twilio) if twilio else {})
        async with running(folder, more=more) as ground:
            target = target_of(ground.system, folder, twilio)
            verdicts = await asyncio.gather(*(simulate(target, scenario) for scenario in scenarios))
            return [(verdict, await journal_of(target, verdict)) for verdict in verdicts]


def went_well(verdict: Verdict, journal: Journal) -> None:
    assert verdict.failures == (), verdict.turns
    assert verdict.violations == []
    assert of(journal, "provider_fault") == []


async def on_both(folder: Path, flux: Vendors, nova: Vendors) -> tuple[list[Call], list[Call]]:
    return await asyncio.gather(
        calls(folder / "flux", flux, ("book_oil_change", "barge_in"), "v2", "elevenlabs"),
        calls(folder / "nova", nova, ("book_oil_change",), "v1", "deepgram"),
    )


def test_an_oil_change_is_booked_and_a_caller_talks_over_the_answer(tmp_path: Path) -> None:
    flux, nova = Vendors(), Vendors()
    on_flux, on_nova = asyncio.run(on_both(tmp_path, flux, nova))
    for verdict, journal in (*on_flux, *on_nova):
        went_well(verdict, journal)
    (cut,) = [event["data"] for event in of(on_flux[1][1], "ai_response_complete") if event["data"]["interrupted"]]
    assert len(cut["text"]) < len(cut["full_text"])
    assert flux.violations == nova.violations == []
    assert (flux.deepgram.speak.said, nova.elevenlabs.said) == ([], []), "a stand-in spoke"


@pytest.mark.long
def test_the_six_flows(tmp_path: Path) -> None:
    vendors = Vendors()
    names = ("new_caller", "book_oil_change", "withheld_number", "reminder", "followup_happy", "driver")
    for verdict, journal in asyncio.run(calls(tmp_path, vendors, names, "v2", "elevenlabs")):
        went_well(verdict, journal)
    assert vendors.violations == []


async def with_faults(folder: Path) -> tuple[Verdict, Journal, list[str]]:
    """A call in which each vendor fails once; and what the stand-in of the voice said."""
    vendors, said = Vendors(), 0

    def trouble(entry: Entry) -> None:
        nonlocal said
        if entry.what != "say":
            return
        said += 1
        loop = asyncio.get_running_loop()
        match said:
            case 1:  # in the middle of what the caller says
                loop.call_later(1.0, vendors.deepgram.listen.faults.strike, Fault(kind=Kind.CUT))
            case 2:
                vendors.openai.faults.add(Fault(kind=Kind.HUNG))
            case 3:
                vendors.elevenlabs.faults.strike(Fault(kind=Kind.HUNG))

    async with vendors.serving(), running(folder, more=vendors.environment()) as ground:
        verdict = await simulate(ground.target, load_scenario("book_oil_change"), trouble)
        return verdict, await journal_of(ground.target, verdict), vendors.deepgram.speak.said


async def unheard(folder: Path) -> Call:
    """Nobody takes connections at Deepgram, and there is no person to hand the caller to."""
    vendors = Vendors()
    vendors.deepgram.listen.faults.add(Fault(kind=Kind.REFUSED, times=None))
    async with vendors.serving(), running(folder, more=vendors.environment()) as ground:
        verdict = await simulate(ground.target, load_scenario("silent_caller"))
        return verdict, await journal_of(ground.target, verdict)


async def both(folder: Path) -> tuple[tuple[Verdict, Journal, list[str]], Call]:
    return await asyncio.gather(with_faults(folder / "once"), unheard(folder / "unheard"))


def faults_of(journal: Journal) -> list[tuple[str, str, str]]:
    met = [event["data"] for event in of(journal, "provider_fault")]
    return [(fault["stage"], fault["provider"], fault["kind"]) for fault in met]


def test_every_vendor_fails_once_in_a_call_and_one_for_good_in_another(tmp_path: Path) -> None:
    (booked, journal, stood_in), (deaf, regret) = asyncio.run(both(tmp_path))
    assert booked.failures == ()
    assert booked.violations == []
    assert [(stage, provider) for stage, provider, _ in faults_of(journal)] == [
        ("hearing", "deepgram"),
        ("thinking", "openai"),
        ("speaking", "elevenlabs"),
    ]
    assert stood_in, "nobody spoke in the stead of ElevenLabs"
    assert {fault[:2] for fault in faults_of(regret)} == {("hearing", "deepgram")}
    assert (deaf.status, deaf.violations) == ("completed", [])
    assert [event["data"]["outcome"] for event in of(regret, "handoff")] == ["unavailable"]
    assert "nobody can take your call" in deaf.turns[-1]["text"]
