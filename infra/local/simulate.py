"""`simulate-call`: a caller, two dashboard clients, and a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from infra.local import judge
from infra.local.backstage import Backstage
from infra.local.clients import Api, Watcher, events, transcriptions
from infra.local.ordering import order
from infra.simulators.config import PhoneConfig, new_sid
from infra.simulators.phone import place_call
from infra.simulators.report import CallReport, Observer
from infra.simulators.scenario import Scenario
from infra.simulators.twilio_api import TwilioApi

SAID = ("final_transcript", "ai_response_complete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running system, and the keys to it."""

    url: str
    username: str
    password: str
    auth_token: str
    zone: ZoneInfo
    wav_dir: Path | None = None
    database: Path | None = None
    """The embedded store's file, when the system is ours."""
    twilio: TwilioApi | None = None
    """What the system takes for Twilio's API: it rings our telephones."""
    engines: str = "local demo engines"
    """Whose delays the latencies are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What happened, as `simulate-call --json` prints it."""

    call_id: str
    scenario: str
    ok: bool
    failures: Sequence[str]
    status: str | None
    turns: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    appointments: Sequence[Mapping[str, Any]]
    latencies: Mapping[str, Any]
    received: Mapping[str, int]
    violations: Sequence[str]
    wav: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


async def simulate(target: Target, scenario: Scenario, observer: Observer | None = None) -> Verdict:
    """Place the call, or have it placed, and watch it from two dashboards. Raises ScenarioError for a scenario that
    this target cannot play."""
    call_sid = new_sid("CA")
    async with Api(target.url, target.username, target.password) as api, events(api) as everything:
        stage = Backstage(scenario, api, call_sid, target.zone, target.database)
        standing = await stage.standing()
        if scenario.placed:
            call_sid = await order(target.twilio, api, scenario, standing, wav_dir=target.wav_dir, observer=observer)
        async with transcriptions(api, call_sid) as one:
            if target.twilio and scenario.placed:
                report = await target.twilio.finished(call_sid)
            else:
                report = await place_call(_phone(target, call_sid, stage), scenario, observer=observer)
            await _completed(call_sid, everything, one)
        call, journal = await _record(api, call_sid)
    today = datetime.now(target.zone).date()
    found = judge.failures(scenario.expect, report, call, journal, today)
    found += seen_exactly_once(journal, durable(everything, call_sid), "/ws/events")
    ending = [message["type"] for message in one.messages[-2:]]
    if ending != ["call_status", "call_completed"]:
        found.append(f"/ws/calls/transcriptions ended in {ending}")
    return _verdict(target.engines, scenario, report, call, journal, found, everything, one)


def _phone(target: Target, call_sid: str, stage: Backstage) -> PhoneConfig:
    return PhoneConfig(
        public_url=target.url,
        auth_token=target.auth_token,
        call_sid=call_sid,
        wav_dir=target.wav_dir,
        aside=stage.aside,
    )


async def _completed(call_sid: str, everything: Watcher, one: Watcher) -> None:
    """The end of the call comes to both dashboards."""

    def over(message: dict[str, Any]) -> bool:
        return bool(message["event"] == "call_completed" and message["data"]["session_id"] == call_sid)

    await asyncio.gather(everything.until(over), one.until(lambda message: message["type"] == "call_completed"))


async def _record(api: Api, call_sid: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    answer = await api.get(f"/api/v1/calls/{call_sid}")
    return answer.get("call", answer), await api.events(call_sid)


def durable(watcher: Watcher, call_id: str) -> list[int]:
    """The journal numbers of the durable events that a `/ws/events` client saw of a call, as they came."""
    data = [message["data"] for message in watcher.messages if message.get("event") != "analysis_ready"]
    return [item["seq"] for item in data if item.get("session_id") == call_id and item.get("seq") is not None]


def seen_exactly_once(journal: judge.Journal, seen: Sequence[int], who: str) -> list[str]:
    """Every event of the journal once, in order."""
    wanted = [event["seq"] for event in journal]
    return [] if list(seen) == wanted else [f"{who} saw {list(seen)} of {wanted}"]


def _verdict(
    engines: str,
    scenario: Scenario,
    report: CallReport,
    call: Mapping[str, Any],
    journal: judge.Journal,
    found: Sequence[str],
    everything: Watcher,
    one: Watcher,
) -> Verdict:
    return Verdict(
        call_id=report.call_sid,
        scenario=scenario.name,
        ok=not found,
        failures=tuple(found),
        status=call.get("status"),
        turns=[
            {key: e["data"].get(key) for key in ("speaker", "text", "interrupted")}
            for e in journal
            if e["type"] in SAID
        ],
        tools=[
            {key: e["data"][key] for key in ("tool", "arguments", "result", "ok", "ms")}
            for e in judge.of(journal, "tool_call")
        ],
        appointments=judge.booked(journal),
        latencies={
            "engines": engines,
            "first_media_ms": report.first_media_ms,
            "responses_ms": report.responses_ms(),
            "longest_silence_ms": report.longest_silence_ms(),
            "turns": [event["data"] for event in judge.of(journal, "turn_metrics")],
            "phone_late_ms": max((stream.late_ms for stream in report.streams), default=0.0),
        },
        received={
            "journal": len(journal),
            "/ws/events": len(everything.messages),
            "/ws/calls/transcriptions": len(one.messages),
        },
        violations=[str(violation) for violation in report.violations],
        wav=report.wav,
    )
