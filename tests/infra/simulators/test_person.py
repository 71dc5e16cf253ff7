"""The second telephone of a `<Dial>`, against a gateway that says what the test says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.simulators.config import Line, Person
from infra.simulators.phone import place_call
from infra.simulators.recorder import HTTP_RETRIEVAL
from infra.simulators.report import CallReport, Entry

from .gateway import HANG_UP, INCOMING, FakeGateway, FastClock, Talk, gateway, scenario

pytestmark = pytest.mark.anyio
NUMBER = "+14155550199"
DIAL = (
    f'<Response><Dial action="/done" timeout="20"><Number url="/brief?n=1">{NUMBER}</Number></Dial>'
    "<Redirect>/after</Redirect></Response>"
)
ASK = (
    '<Response><Gather numDigits="1" timeout="8" action="/key"><Say>Somebody calls. Press 1.</Say></Gather>'
    "<Redirect>/none</Redirect></Response>"
)
JOIN = "<Response><Say>Connecting.</Say></Response>"
PAGES = {INCOMING: DIAL, "/brief": ASK, "/key": JOIN, "/none": HANG_UP, "/done": HANG_UP, "/after": HANG_UP}


async def no_stream(talk: Talk) -> None:
    raise AssertionError("no stream was asked for")


async def ring(
    person: Person, *, pages: dict[str, str] | None = None, hang_up_at: str = "", wav_dir: Path | None = None
) -> tuple[CallReport, FakeGateway]:
    line = Line()

    def observe(entry: Entry) -> None:
        if entry.what == hang_up_at:
            line.hang_up()

    async with gateway(no_stream, {**PAGES, **(pages or {})}) as fake:
        config = fake.config(people={NUMBER: person}, wav_dir=wav_dir)
        stay = scenario({"wait": "stream_end"})
        report = await place_call(config, stay, clock=FastClock(), observer=observe, line=line)
    return report, fake


async def test_who_presses_1_is_joined(tmp_path: Path) -> None:
    report, fake = await ring(Person(talk_s=2), wav_dir=tmp_path)
    assert not report.violations
    assert all(posted.signed for posted in fake.posted)
    (leg,) = report.legs
    assert (leg.status, leg.answered, leg.bridged, leg.pressed) == ("completed", True, True, "1")
    assert leg.heard == ("Somebody calls. Press 1.", "Connecting.")
    (asked,) = fake.forms("/key")
    assert (asked["Digits"], asked["CallSid"], asked["ParentCallSid"]) == ("1", leg.call_sid, report.call_sid)
    assert (asked["To"], asked["Direction"]) == (NUMBER, "outbound-dial")
    (done,) = fake.forms("/done")
    assert (done["CallSid"], done["DialCallSid"]) == (report.call_sid, leg.call_sid)
    assert (done["DialCallStatus"], done["DialBridged"], done["DialCallDuration"]) == ("completed", "true", "2")
    assert done["CallStatus"] == "in-progress"
    assert leg.wav
    assert report.wav
    assert leg.wav != report.wav


@pytest.mark.parametrize(
    ("person", "status"),
    [
        (Person(outcome="busy"), "busy"),
        (Person(outcome="no-answer"), "no-answer"),
        (Person(outcome="failed"), "failed"),
        (Person(ring_s=25), "no-answer"),
    ],
)
async def test_a_phone_that_is_not_answered_asks_nothing(person: Person, status: str) -> None:
    report, fake = await ring(person)
    (done,) = fake.forms("/done")
    assert (done["DialCallStatus"], done["DialBridged"]) == (status, "false")
    assert "DialCallDuration" not in done
    assert fake.forms("/brief?n=1") == []
    assert report.legs[0].hold_ms <= 21_000


async def test_no_key_goes_on_behind_the_question() -> None:
    report, fake = await ring(Person(keys="-"))
    assert fake.forms("/key") == []
    assert len(fake.forms("/none")) == 1
    assert report.legs[0].hold_ms >= 9_000, "what was said, and eight seconds of waiting"
    assert not report.legs[0].bridged


@pytest.mark.parametrize("moment", ["person_rings", "person_answers", "person_hears"])
async def test_a_caller_who_hangs_up_takes_the_other_leg_along(moment: str) -> None:
    report, fake = await ring(Person(ring_s=1, keys="-"), hang_up_at=moment)
    assert (report.ended_by, report.legs[0].status) == ("caller", "canceled")
    (done,) = fake.forms("/done")
    assert done["CallStatus"] == "completed"
    assert fake.forms("/after") == []


async def test_a_machine_is_reported_where_it_was_asked_for() -> None:
    dial = DIAL.replace("<Number ", '<Number machineDetection="Enable" amdStatusCallback="{base}/amd" ')
    async with gateway(no_stream, {**PAGES, "/amd": HANG_UP}) as fake:
        fake.documents[INCOMING] = dial.replace("{base}", fake.http)
        config = fake.config(people={NUMBER: Person(keys="-", verdict="machine_start", verdict_s=1)})
        report = await place_call(config, scenario({"wait": "stream_end"}), clock=FastClock())
    assert not report.violations
    (news,) = fake.forms("/amd")
    assert (news["AnsweredBy"], news["MachineDetectionDuration"]) == ("machine_start", "1000")


async def test_a_brief_that_cannot_be_had_is_a_violation_and_a_failed_leg() -> None:
    report, fake = await ring(Person(), pages={"/brief": "no xml"})
    assert HTTP_RETRIEVAL not in {violation.code for violation in report.violations}
    assert report.violations
    assert fake.forms("/done")[0]["DialCallStatus"] == "failed"


async def test_it_is_over_when_the_deadline_comes() -> None:
    async with gateway(no_stream, PAGES) as fake:
        config = fake.config(people={NUMBER: Person(keys="1", talk_s=100)})
        stay = scenario({"wait": "stream_end"}, deadline_s=5)
        async with asyncio.timeout(20):
            report = await place_call(config, stay, clock=FastClock())
    assert report.ended_by == "deadline"
