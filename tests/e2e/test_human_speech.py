"""Recorded human speech through the real endpoint: Debian's asterisk prompts, a studio voice at phone quality, played
as the caller. The demo recogniser knows booking words only, so it must not guess: it asks again, politely."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import jiwer
import pytest

from infra.cli.simulating import target_of
from infra.local.clients import Api
from infra.local.judge import of, texts
from infra.simulators.clips import Clip
from infra.simulators.config import PhoneConfig, new_sid
from infra.simulators.phone import place_call
from infra.simulators.report import CallReport
from infra.simulators.scenario import AfterAssistant, HangUp, Say, Scenario, Step
from infra.simulators.wav import read_mulaw
from tests.conftest import require
from tests.e2e.system import Running, in_turns, running

pytestmark = [pytest.mark.call, pytest.mark.timeout(180)]

FOLDER = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
SPOKEN = {
    "vm-goodbye": "goodbye",
    "tt-weasels": "weasels have eaten our phone system",
    "tt-monkeysintro": "they have been carried away by monkeys",
}


def clips() -> dict[str, Clip]:
    return {name: Clip(name, "human", text, read_mulaw(FOLDER / f"{name}.wav")) for name, text in SPOKEN.items()}


async def call(ground: Running, name: str) -> tuple[CallReport, list[dict[str, object]]]:
    steps = (
        Step(Say(name), AfterAssistant(900)),
        Step(HangUp(), AfterAssistant(900)),
    )
    scenario = Scenario(name=name, steps=steps, caller="+14155550199", deadline_s=60)
    target = target_of(ground.system)
    config = PhoneConfig(
        public_url=target.url, auth_token=target.auth_token, call_sid=new_sid("CA"), clips=clips(), wav_dir=None
    )
    report = await place_call(config, scenario)
    async with Api(target.url, target.username, target.password) as api:
        for _ in range(50):
            journal = await api.events(report.call_sid)
            if journal[-1]["type"] == "call_completed":
                break
            await asyncio.sleep(0.2)
        return report, journal


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def test_a_human_voice_is_heard_honestly_and_never_guessed_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require(FOLDER.is_dir(), "recorded human speech", "apt-get install asterisk-core-sounds-en-wav")

    async def go() -> dict[str, tuple[CallReport, list[dict[str, object]]]]:
        async with running(tmp_path) as ground:
            done = await in_turns(*(call(ground, name) for name in SPOKEN))
            assert await ground.appointments() == []
            return dict(zip(SPOKEN, done, strict=True))

    calls = asyncio.run(go())
    with capsys.disabled():
        for name, (_, journal) in calls.items():
            heard = " ".join(texts(journal, "final_transcript"))
            rate = jiwer.wer(SPOKEN[name], plain(heard) or "-")
            print(
                f"\n... human voice, {name}: said {SPOKEN[name]!r}, heard {heard!r}, word error rate {rate:.0%}", end=""
            )
    for name, (report, journal) in calls.items():
        assert report.violations == (), name
        assert [event["type"] for event in journal[-2:]] == ["call_status", "call_completed"], name
        assert of(journal, "provider_fault") == [], name
        assert of(journal, "tool_call") == [], name
    for name in ("tt-weasels", "tt-monkeysintro"):
        _, journal = calls[name]
        said = " ".join(texts(journal, "ai_response_complete")).lower()
        assert re.search(r"did not (understand|catch)|sorry", said), (name, said)
