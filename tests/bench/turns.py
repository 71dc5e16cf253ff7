"""How long a caller waits: whole calls on the simulated vendors at their usual delays, stage by stage.

    python -m tests.bench.turns [--at-once 1,10] [--listen v2,v1] [--rounds 1] [--json FILE]

The gateway is a process of its own, vendors and callers are in this one; nothing is pinned, nothing is asserted. The
figures are the journal's `turn_metrics` of the turns that a model answered, and the telephone's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from infra.local.clients import Api
from infra.local.judge import of
from infra.local.simulate import Target
from infra.simulators import clips
from infra.simulators.config import PhoneConfig, new_sid
from infra.simulators.deepgram_listen_words import FRAME_MS
from infra.simulators.deepgram_speak import Delays as SpeakDelays
from infra.simulators.elevenlabs_tts import Delays as ElevenLabsDelays
from infra.simulators.mulaw import BYTES_PER_MS, is_loud
from infra.simulators.phone import place_call
from infra.simulators.report import CallReport
from infra.simulators.scenario import Scenario, load_scenario
from infra.simulators.vendors import FIRST_TOKEN_S, FRAME, HEARS_MS, TOKENS_PER_S, ByClip, Vendors
from media_gateway.voice.turns import real_words
from tests.e2e.system import running

Speak = Literal["elevenlabs", "deepgram"]
COMBINATIONS: tuple[tuple[Literal["v1", "v2"], Speak], ...] = (("v2", "elevenlabs"), ("v1", "deepgram"))
NAMES = ("book_oil_change", "new_caller", "barge_in")
"""A caller who is greeted by name, one whose greeting is at hand, and one who talks over an answer."""
STRANGER = "+14155550171"
WANTED = {
    "turn to first text of the model": 800,
    "first text to first sound": 500,
    "last word to first sound": 2_000,
    "talking over it: caller's first sound to silence": 200,
    "start to first sound, by name": 150,
    "start to first sound, rendered": 150,
    "parts against the telephone": 5,
}
"""ms."""
STAGES = ("endpointing", "thinking", "clause", "voicing", "sending")
STAGGER_S = 0.4
Figures = dict[str, list[float]]


async def one(target: Target, name: str, figures: Figures) -> None:
    """A call, and what it says."""
    scenario = load_scenario(name)
    if name == "barge_in":
        scenario = replace(scenario, caller=STRANGER)
    phone = PhoneConfig(public_url=target.url, auth_token=target.auth_token, call_sid=new_sid("CA"))
    report = await place_call(phone, scenario)
    async with Api(target.url, target.username, target.password) as api:
        async with asyncio.timeout(30):
            while True:
                journal = await api.events(report.call_sid)
                if journal and journal[-1]["type"] == "call_completed":
                    break
                await asyncio.sleep(0.1)
    _keep(scenario, report, journal, figures)


def _keep(scenario: Scenario, report: CallReport, journal: Sequence[Mapping[str, Any]], figures: Figures) -> None:
    known = "by name" if scenario.caller != STRANGER else "rendered"
    if report.first_media_ms is not None:
        figures[f"start to first sound, {known}"].append(report.first_media_ms)
    cuts = [clear.after_speech_ms for clear in report.clears if clear.after_speech_ms is not None]
    figures["talking over it: caller's first sound to silence"] += cuts
    figures["the telephone was late"].append(max(stream.late_ms for stream in report.streams))
    figures["faults"] += [1.0 for _ in of(journal, "provider_fault")]
    for event in of(journal, "turn_metrics"):
        stages, tokens = event["data"]["stages"], event["data"]["tokens"]
        if not tokens["prompt"] or not set(STAGES) <= stages.keys():
            continue
        whole = sum(stages[name] for name in STAGES) + stages.get("tools", 0)
        figures["endpointing"].append(stages["endpointing"])
        figures["turn to first text of the model"].append(stages["thinking"])
        figures["first text to first sound"].append(stages["clause"] + stages["voicing"] + stages["sending"])
        figures["last word to first sound"].append(whole)
        waited = _waited(report, event["data"]["turn"]) if scenario.name != "barge_in" else None
        if waited is not None:
            figures["the same at the telephone"].append(waited)
            figures["parts against the telephone"].append(abs(waited - whole))


def _waited(report: CallReport, turn: int) -> float | None:
    """What the telephone says: from the last sound of the caller's line that was turn `turn` to the next one heard."""
    waits = report.responses_ms()
    wait = waits[turn - 1] if 0 < turn <= len(waits) else None
    return None if wait is None else wait + _quiet_end_ms(report.spoken[turn - 1].clip)


@cache
def _quiet_end_ms(clip: str) -> float:
    """From the last sound of a line, as the recogniser hears it, to its end; and the frame that it is in, which leaves
    this telephone when it begins."""
    frames = _frames(clip)
    quiet = next(number for number, frame in enumerate(reversed(frames)) if is_loud(frame))
    return len(clips.load(clip, "rms").audio) / BYTES_PER_MS - (len(frames) - quiet - 1) * FRAME_MS


def _frames(clip: str) -> list[bytes]:
    audio = clips.load(clip, "rms").audio
    return [audio[at : at + FRAME] for at in range(0, len(audio), FRAME)]


def first_word_ms(clip: str) -> float:
    """From the first sound of a line to the moment at which its first word can be known that interrupts."""
    frames, source, said = _frames(clip), ByClip(), 0
    loud = next(number for number, frame in enumerate(frames) if is_loud(frame))
    for number, frame in enumerate(frames):
        said += sum(real_words(word.text) for word in source.hear(frame, 0.0, FRAME_MS))
        if said:
            return float((number + 1 - loud) * FRAME_MS)
    raise ValueError(clip)


async def measure(listen: Literal["v1", "v2"], speak: Speak, at_once: int, rounds: int) -> dict[str, Any]:
    """`rounds` of so many calls at once."""
    figures: Figures = {name: [] for name in (*WANTED, "endpointing", "the same at the telephone")}
    figures |= {"faults": [], "the telephone was late": []}
    with tempfile.TemporaryDirectory() as folder:
        vendors = Vendors()
        async with vendors.serving(), running(Path(folder), more=vendors.environment(listen=listen, speak=speak)) as it:
            if at_once == 1:
                for name in NAMES * rounds:
                    await one(it.target, name, figures)
            else:
                mixed = [NAMES[number % len(NAMES)] for number in range(at_once)]
                for _ in range(rounds):
                    calls = (_later(number * STAGGER_S, it.target, name, figures) for number, name in enumerate(mixed))
                    await asyncio.gather(*calls)
    return {name: told(values) for name, values in figures.items()}


async def _later(seconds: float, target: Target, name: str, figures: Figures) -> None:
    await asyncio.sleep(seconds)
    await one(target, name, figures)


def told(values: Sequence[float]) -> dict[str, float]:
    """How many, the middle, and what one in twenty exceeds."""
    if not values:
        return {"n": 0}
    high = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    return {"n": len(values), "p50": round(statistics.median(values), 1), "p95": round(high, 1)}


def delays() -> dict[str, float]:
    """The simulators' own, ms."""
    return {
        "recogniser, sound to word": HEARS_MS,
        "recogniser, caller's first sound to the word that interrupts": first_word_ms("need_oil_change"),
        "model, question to first token": FIRST_TOKEN_S * 1_000,
        "model, a token": 1_000 / TOKENS_PER_S,
        "ElevenLabs, text to first sound": ElevenLabsDelays().first_ms,
        "Deepgram, text to first sound": SpeakDelays().first_ms,
    }


async def main() -> int:
    """One JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", default="1,10", help="how many calls at the same time")
    parser.add_argument("--listen", default="v2,v1", help="v2 goes with ElevenLabs, v1 with Deepgram's voice")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    result: dict[str, Any] = {"wanted_ms": WANTED, "delays_ms": delays(), "load": os.getloadavg()[0]}
    for listen, speak in [pair for pair in COMBINATIONS if pair[0] in given.listen.split(",")]:
        for at_once in map(int, given.at_once.split(",")):
            measured = await measure(listen, speak, at_once, given.rounds)
            result[f"listen {listen}, {speak}, {at_once} at once"] = measured
    text = json.dumps(result, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
