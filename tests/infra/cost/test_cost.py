"""The estimate, and the page that is written from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.cost.model import Assumptions, estimate, money, total
from infra.cost.page import page
from infra.cost.prices import usd
from infra.gcloud.profiles import PROFILES
from media_gateway.telephony.call_price import CHARACTERS, MINUTES, call_price
from media_gateway.voice.prices import Vendors, cost

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_fresh() -> None:
    assert (ROOT / "docs" / "costs.md").read_text() == page(), "python -m infra.cost > docs/costs.md"


def test_there_is_one_price_for_what_a_call_uses() -> None:
    bill = cost(Vendors(ears="deepgram", mind="openai", voice="deepgram"), prompt=1000, characters=1000, seconds=60)
    before = call_price("deepgram", "deepgram")
    assert usd("deepgram_listen") == pytest.approx(bill["stt"]) == pytest.approx(before["stt"] / MINUTES)
    assert usd("deepgram_speak") * 1000 == pytest.approx(bill["tts"])
    assert usd("deepgram_speak") * CHARACTERS == pytest.approx(before["tts"] / MINUTES)
    assert usd("openai_in") * 1000 == pytest.approx(bill["llm"])
    assert usd("twilio_inbound") + usd("twilio_stream") == pytest.approx(bill["telephone"])


def test_nothing_runs_and_dev_costs_next_to_nothing() -> None:
    idle = total(estimate(PROFILES["dev"], Assumptions(minutes=0)), vendor=False)
    assert 0 < idle < 2


def test_a_warm_instance_is_what_it_costs_to_be_there() -> None:
    """One instance of 1 vCPU and 1 GiB, idle: 2,628,000 s x 2 x 0.0000025."""
    lines = estimate(PROFILES["small"], Assumptions(minutes=0))
    assert {line.name: line.dollars for line in lines}["gateway, warm"] == pytest.approx(13.14)


@pytest.mark.parametrize("name", PROFILES)
def test_more_minutes_never_cost_less_and_fuller_instances_never_more(name: str) -> None:
    def google(**changes: float) -> float:
        return total(estimate(PROFILES[name], replace(Assumptions(), **changes)), vendor=False)  # type: ignore[arg-type]

    assert google(minutes=0) < google(minutes=1000) < google(minutes=100_000)
    assert google(minutes=100_000, full=1.0) <= google(minutes=100_000, full=0.1)


def test_money() -> None:
    assert [money(each) for each in (0.004, 12.3, 1204)] == ["$0.00", "$12.30", "$1,204"]
