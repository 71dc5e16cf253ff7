"""Whole calls that Deepgram hears: the real gateway, the simulated vendor, a caller on real sound; and the vendor's
connection breaks in the middle of the call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.local.clients import Api
from infra.local.simulate import simulate
from infra.simulators.deepgram_listen import API_KEY, DeepgramListen
from infra.simulators.deepgram_listen_words import Script
from infra.simulators.scenario import load_scenario
from infra.simulators.vendor_faults import Fault, Faults, Kind
from tests.e2e.system import running

pytestmark = [pytest.mark.long, pytest.mark.call, pytest.mark.timeout(180)]
SAID = ("I need to schedule an oil change.", "Tomorrow at two in the afternoon.", "Yes, please.", "No, thank you.")


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_a_caller_books_an_oil_change_though_the_connection_breaks(tmp_path: Path, api: str) -> None:
    asyncio.run(check(tmp_path, api))


async def check(folder: Path, api: str) -> None:
    script = Script(SAID)  # one caller: it goes on where it was in the next connection
    # The first connection is the warm-up's. The second breaks while the greeting is heard.
    faults = Faults(Fault(kind=Kind.CUT, after_ms=60_000), Fault(kind=Kind.CUT, after_ms=1_200))
    async with DeepgramListen(lambda: script, faults=faults, latency_ms=120).serving() as vendor:
        more = {
            "CALLBOARD_STT": "deepgram",
            "CALLBOARD_TTS": "embedded",
            "DEEPGRAM_API_KEY": API_KEY,
            "DEEPGRAM_BASE_URL": vendor.url,
            "DEEPGRAM_LISTEN": api,
        }
        async with running(folder, more=more) as ground:
            verdict = await simulate(ground.target, load_scenario("book_oil_change"))
            assert verdict.failures == ()
            assert verdict.violations == []
            async with Api(ground.target.url, ground.target.username, ground.target.password) as client:
                journal = await client.events(verdict.call_id)
    heard = [event["data"]["text"] for event in journal if event["type"] == "final_transcript"]
    assert [text for text in heard if text in SAID] == list(SAID)
    faulty = [event["data"] for event in journal if event["type"] == "provider_fault"]
    met = [(fault["stage"], fault["provider"], fault["kind"]) for fault in faulty]
    assert met == [("hearing", "deepgram", "broken")]
    assert vendor.violations == []
    assert len(vendor.streams) == 3
    assert vendor.alive == 0
