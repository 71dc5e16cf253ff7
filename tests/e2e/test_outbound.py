"""Calls that we place, end to end on the embedded engines: the REST interface, Twilio's API on loopback, a telephone
that is rung, and the functions that apply its callbacks."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.local.clients import Api
from infra.simulators.callee import Callee
from infra.simulators.config import Faults
from infra.simulators.report import CallReport
from infra.simulators.scenario import Scenario, parse_scenario
from infra.simulators.twilio_api import ACCOUNT_SID, TwilioApi
from realtime.records import shop
from realtime.records.appointments import Booked, Holder, book
from realtime.records.customers import phone_key
from realtime.stores.port import DocumentStore
from tests.e2e.system import Running, in_turns, running

pytestmark = [pytest.mark.call, pytest.mark.timeout(240)]

TOKEN = "the-token-of-the-account"
OURS = "+14155550100"
CONFIRMS, MACHINE, BUSY, HANGS_UP = "+14155550141", "+14155550142", "+14155550143", "+14155550144"
ZONE = ZoneInfo("America/New_York")


def scenario(*steps: Mapping[str, Any]) -> Scenario:
    return parse_scenario({"steps": list(steps), "deadline_s": 90}, name="callee")


PHONES = {
    CONFIRMS: Callee(
        scenario=scenario(
            {"say": "plain_yes", "when": "after_assistant"},
            {"say": "plain_yes", "when": "after_assistant"},
            {"say": "no_thank_you", "when": "after_assistant"},
            {"wait": "stream_end"},
        ),
        verdict="human",
        verdict_after_s=2.0,
        faults=Faults(statuses_reversed=True),
    ),
    MACHINE: Callee(
        scenario=scenario({"say": "quick_brown_fox"}, {"wait": "stream_end"}),
        verdict="machine_end_beep",
        verdict_after_s=4.0,
    ),
    BUSY: Callee(outcome="busy"),
    HANGS_UP: Callee(scenario=scenario({"hangup": True, "when": "after_assistant"}), verdict=None),
}


@dataclass(frozen=True)
class Done:
    """A call that is over."""

    answer: Mapping[str, Any]
    report: CallReport
    call: Mapping[str, Any]
    journal: list[dict[str, Any]]

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.journal if event["type"] == type_]


async def booked(store: DocumentStore) -> dict[str, Any]:
    """An appointment of the one who will confirm it, on the next day that is open."""
    place, now = await shop.load(store, "default"), datetime.now(ZONE)
    service = next(service for service in place.services if service.key == "oil_change")
    holder = Holder("CA0", phone_key=phone_key(CONFIRMS), phone=CONFIRMS)
    for days in range(1, 5):
        day = (now + timedelta(days=days)).date()
        made = await book(store, "default", place, holder, service, day, time(14), now)
        if isinstance(made, Booked):
            await store.commit(made.writes)
            names = ("appointment_id", "date", "time", "service_type")
            return {name: getattr(made, name) for name in names}
    raise AssertionError("closed for four days")


async def one(api: Api, twilio: TwilioApi, to: str, appointment: Mapping[str, Any]) -> Done:
    variables = {"first_name": "John", "appointment": appointment}
    body = {"to": to, "flow": "outbound_reminder", "variables": variables}
    headers = {"Idempotency-Key": f"reminder {to}"}
    answer = await api.post("/api/v1/calls", body, headers=headers)
    again = await api.post("/api/v1/calls", body, headers=headers)
    assert again["call_id"] == answer["call_id"]
    report = await twilio.finished(answer["call_id"])
    async with asyncio.timeout(30):
        while not (await head(api, answer))["ended_at"]:
            await asyncio.sleep(0.1)
    return Done(answer, report, await head(api, answer), await api.events(answer["call_id"]))


async def head(api: Api, answer: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = await api.get(f"/api/v1/calls/{answer['call_id']}")
    return found


async def cli(ground: Running, *arguments: str) -> Any:
    """A reader of the command line, against this system."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "infra.cli", *arguments, "--url", ground.target.url, "--json"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "ADMIN_USERNAME": ground.target.username, "ADMIN_PASSWORD": ground.target.password},
    )
    text, _ = await process.communicate()
    assert process.returncode == 0, text
    return text.decode()


async def calls(folder: Path) -> tuple[dict[str, Done], dict[str, Any]]:
    async with TwilioApi(auth_token=TOKEN, phones=PHONES) as twilio:
        account = {
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_PHONE_NUMBER": OURS,
            "TWILIO_API_BASE_URL": twilio.url,
        }
        async with running(folder, more=account) as ground:
            async with Api(ground.target.url, ground.target.username, ground.target.password) as api:
                appointment = await booked(ground.store)
                done = await in_turns(*(one(api, twilio, number, appointment) for number in PHONES))
                (kept,) = await ground.appointments()
            call_id = done[1].answer["call_id"]
            listed, shown, tailed = await asyncio.gather(
                cli(ground, "calls"), cli(ground, "show", call_id), cli(ground, "tail", call_id)
            )
            read = {
                "calls": json.loads(listed),
                "show": json.loads(shown),
                "tail": [json.loads(line) for line in tailed.splitlines()],
                "appointment": kept.data,
            }
            return dict(zip(PHONES, done, strict=True)), read


def ends_well(done: Done) -> None:
    assert done.report.violations == ()
    assert [event["seq"] for event in done.journal] == list(range(1, len(done.journal) + 1))
    assert [event["type"] for event in done.journal[-2:]] == ["call_status", "call_completed"]
    assert sum(event["type"] == "call_completed" for event in done.journal) == 1
    assert done.of("provider_fault") == []


def test_calls_that_we_place(tmp_path: Path) -> None:
    done, read = asyncio.run(calls(tmp_path))
    for call in done.values():
        ends_well(call)

    human = done[CONFIRMS]
    assert (human.call["status"], human.call["answered_by"]) == ("completed", "human")
    assert (human.call["direction"], human.call["flow"]) == ("outbound", "outbound_reminder")
    said = [data["text"] for data in human.of("ai_response_complete")]
    assert "John" in said[0]
    assert "oil change" in said[1]
    (confirmed,) = human.of("tool_call")
    assert (confirmed["tool"], confirmed["ok"]) == ("confirm_appointment", True)
    assert read["appointment"]["status"] == "confirmed"
    states = [data["state"] for data in human.of("state_changed")]
    assert states == ["greeting", "confirmation", "execution", "closing", "closing"]
    assert human.call["conversation_summary"]["call_type"] == "outbound_reminder"

    machine = done[MACHINE]
    assert (machine.call["status"], machine.call["answered_by"]) == ("completed", "voicemail")
    message = machine.of("ai_response_complete")[-1]
    assert "reminder of your appointment" in message["text"]
    assert not message["interrupted"]
    assert machine.report.ended_by == "gateway"
    beep = next(entry.at_ms for entry in machine.report.timeline if entry.what == "amd")
    left = [span for span in machine.report.heard if span.start_ms >= beep]
    assert sum(span.end_ms - span.start_ms for span in left) > 3000, "the message was not heard after the beep"

    assert (done[BUSY].call["status"], done[BUSY].report.status) == ("busy", "busy")
    assert (done[HANGS_UP].call["status"], done[HANGS_UP].report.ended_by) == ("completed", "caller")

    assert {call["call_id"] for call in read["calls"]["calls"]} == {call.answer["call_id"] for call in done.values()}
    for events in (read["show"]["events"], read["tail"]):
        assert [event for event in events if event["type"] != "analysis_ready"] == machine.journal
