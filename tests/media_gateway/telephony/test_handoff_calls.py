"""Outcome by outcome on real sockets: a caller's telephone, a person's telephone, and the gateway between them."""

from __future__ import annotations

import asyncio
import wave
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from infra.local.system import free_port
from infra.simulators.config import Line as Receiver
from infra.simulators.config import Person, PhoneConfig
from infra.simulators.phone import place_call
from infra.simulators.report import CallReport, Entry
from infra.simulators.scenario import parse_scenario
from media_gateway.core import Core
from media_gateway.telephony.handoff import Person as Rung
from media_gateway.voice.ports import Line, StartedStream
from realtime.call import Call
from realtime.events import Event, EventType
from tests.media_gateway.harness import TOKEN, NotedSession, gateway

pytestmark = pytest.mark.anyio
NUMBER = "+14155550177"
STAYS = parse_scenario({"steps": [{"wait": "stream_end"}], "deadline_s": 20}, name="stays")
KNOWN = {
    "flow": "inbound_existing",
    "escalation_reason": "manager_request",
    "customer": {"first_name": "John"},
    "slots": {"service_type": "oil_change", "preferred_date": "2026-11-21", "preferred_time": "14:00"},
}


class Leaving(NotedSession):
    """Hands the caller over at once; when they are back it hangs up."""

    def __init__(self, core: Core, started: StartedStream, line: Line) -> None:
        super().__init__(started, line)
        self._journal = core.journal

    async def run(self) -> None:
        change: dict[str, Any] = {"next": "hangup"}
        if not self.started.resumed:
            change = {"next": "handoff", "conversation_state": KNOWN}
        await self._journal.append(self.call_id, (), change=change)
        self.line.close()


@dataclass(frozen=True)
class Done:
    """A call that is over."""

    report: CallReport
    call: Call
    events: list[Event]
    told: list[Mapping[str, Any]]

    @property
    def outcomes(self) -> list[str]:
        return [event.data["outcome"] for event in self.events if event.type is EventType.HANDOFF]


async def call(
    tmp_path: Path,
    person: Person | None,
    *,
    hang_up_at: str | None = None,
    own: Rung | None = None,
    number: str = NUMBER,
    pace: float = 0.02,
    joined_says: str | None = None,
) -> Done:
    """A caller who wants a person. They hang up when `hang_up_at` stands in the phone's timeline."""
    port, receiver = free_port(), Receiver()
    base = f"http://127.0.0.1:{port}"

    def observe(entry: Entry) -> None:
        if entry.what == hang_up_at:
            receiver.hang_up()

    async with gateway(tmp_path, make=Leaving, PUBLIC_BASE_URL=base, PORT=str(port), HANDOFF_NUMBER=number) as running:
        core = running.gateway.core
        if own:
            core.people["booking"] = own
        config = PhoneConfig(
            public_url=base,
            auth_token=TOKEN,
            people={NUMBER: person} if person else {},
            incoming_path="/api/v1/voice/incoming?flow=booking",
            wav_dir=tmp_path / "sound",
            pace=pace,
            joined_says=joined_says,
        )
        report = await place_call(config, STAYS, observer=observe, line=receiver)
        found = await core.journal.find(report.call_sid)
        assert found is not None
        events = await core.journal.events(report.call_sid)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return Done(report, found, events, [session.started.variables for session in running.sessions])


@pytest.mark.parametrize(
    ("person", "outcomes"),
    [
        (Person(outcome="no-answer"), ["no_answer"]),
        (Person(ring_s=60), ["no_answer"]),
        (Person(outcome="busy"), ["busy"]),
        (Person(outcome="failed"), ["failed"]),
        (Person(keys="-", verdict="machine_start"), ["machine"]),
        (Person(keys="--"), ["no_answer"]),
        (Person(keys="2"), ["refused"]),
        (Person(keys="2", dismissed="no-answer"), ["refused"]),
        (Person(keys="-", hangs_up_s=0.1), ["refused"]),
        (Person(keys="-", hangs_up_s=0.1, dismissed="no-answer"), ["refused"]),
        (Person(keys="71"), ["accepted", "ended"]),
        (Person(keys="-1"), ["accepted", "ended"]),
        (Person(), ["accepted", "ended"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
async def test_the_caller_comes_back_to_the_assistant(tmp_path: Path, person: Person, outcomes: list[str]) -> None:
    done = await call(tmp_path, person)
    assert done.report.violations == ()
    assert done.outcomes == ["dialled", *outcomes]
    assert done.report.ended_by == "gateway"
    assert len(done.report.streams) == 2, "the assistant, the person (or not), the assistant"
    assert done.told == [{}, {"handoff": outcomes[-1], "handoff_attempt": 1}]
    (leg,) = done.report.legs
    assert leg.number == NUMBER
    assert leg.bridged == ("accepted" in outcomes)
    assert done.call.conversation_state == KNOWN, "the history stays whole"
    assert {event.data["to"] for event in done.events if event.type is EventType.HANDOFF} == {NUMBER}


@pytest.mark.parametrize("caller_hangs_up", [True, False])
async def test_the_brief_is_for_the_person_alone(tmp_path: Path, caller_hangs_up: bool) -> None:
    person = Person(key_s=0.25, says="plain_yes", talk_s=0.8, caller_hangs_up=caller_hangs_up)
    done = await call(tmp_path, person, joined_says="need_oil_change")
    (leg,) = done.report.legs
    (brief,) = leg.heard[:1]
    assert brief.startswith("A call from John. They asked for a person. About: oil change, Saturday the twenty-first")
    assert brief.endswith("Press 1 to take the call, or 2 to refuse.")
    assert done.report.announced == (), "Twilio's voice says nothing to the caller"
    assert done.outcomes == ["dialled", "accepted", "ended"]
    assert done.report.ended_by == ("dial" if caller_hangs_up else "gateway")
    assert len(done.report.streams) == (1 if caller_hangs_up else 2)
    assert done.call.metadata["handoff"]["phase"] == ("over" if caller_hangs_up else "back")


def loud(path: str | None, channel: int, from_ms: float, to_ms: float) -> bool:
    """Is there sound on this side of the recording?"""
    assert path
    with wave.open(path, "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        samples = array("h", file.readframes(file.getnframes()))[channel::2]
    part = samples[int(from_ms * 8) : int(to_ms * 8)]
    return any(abs(sample) > 500 for sample in part)


async def test_both_legs_are_recorded_and_the_caller_is_never_in_silence(tmp_path: Path) -> None:
    person = Person(ring_s=0.2, key_s=0.5, says="plain_yes", talk_s=1.0)
    done = await call(tmp_path, person, joined_says="need_oil_change", pace=0.1)
    (leg,) = done.report.legs
    rang, joined = leg.rang_ms, leg.rang_ms + leg.hold_ms
    caller, assistant = 0, 1
    for at in range(int(rang) + 20, int(joined) - 120, 100):
        assert loud(done.report.wav, assistant, at, at + 100), f"the caller hears it ring at {at} ms"
    assert loud(done.report.wav, assistant, joined, joined + 400), "then the person"
    assert loud(done.report.wav, caller, joined, joined + 900), "who hears the caller"
    assert leg.hold_ms >= 700
    heard_alone = leg.hold_ms - 20
    assert loud(leg.wav, 1, 250, heard_alone), "the person hears the brief while the caller hears it ring"
    assert not loud(leg.wav, 1, 0, 180), "and nothing while their phone rings"
    assert loud(leg.wav, 1, leg.hold_ms, leg.hold_ms + 900)
    assert loud(leg.wav, 0, leg.hold_ms, leg.hold_ms + 400)


@pytest.mark.parametrize("moment", ["person_rings", "person_hears"])
async def test_a_caller_who_hangs_up_meanwhile(tmp_path: Path, moment: str) -> None:
    done = await call(tmp_path, Person(keys="-"), hang_up_at=moment, pace=0.2)
    assert done.report.ended_by == "caller"
    assert done.report.violations == ()
    assert done.outcomes == ["dialled", "caller_hung_up"]
    assert len(done.report.streams) == 1
    assert done.report.legs[0].status == "canceled"


async def test_cold_joins_them_at_once(tmp_path: Path) -> None:
    done = await call(tmp_path, Person(), own=Rung(NUMBER, "cold"), number="+14155550166")
    assert done.outcomes == ["dialled", "accepted", "ended"]
    (leg,) = done.report.legs
    assert leg.heard == ()
    assert leg.number == NUMBER, "the flow's own number goes before HANDOFF_NUMBER"
    assert done.told[-1] == {"handoff": "ended", "handoff_attempt": 1}
    busy = await call(tmp_path / "again", Person(outcome="busy"), own=Rung("", "cold"))
    assert busy.outcomes == ["dialled", "busy"]


async def test_without_a_number_the_caller_is_back_at_once(tmp_path: Path) -> None:
    done = await call(tmp_path, None, number="")
    assert done.outcomes == ["unavailable"]
    assert done.told == [{}, {"handoff": "unavailable", "handoff_attempt": 1}]
    assert done.report.legs == ()


async def test_calls_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    people = [Person(), Person(outcome="busy"), Person(keys="2")]
    done = await asyncio.gather(*(call(tmp_path / str(n), replace(one, ring_s=0.1)) for n, one in enumerate(people)))
    assert [one.outcomes[-1] for one in done] == ["ended", "busy", "refused"]
