"""Whole calls against a tiny gateway of the test's own."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import pytest

from infra.simulators.config import ALL_STATUS_EVENTS, DialResult, Faults, Line
from infra.simulators.phone import place_call
from infra.simulators.report import CallReport

from .gateway import (
    CONNECT,
    HANG_UP,
    INCOMING,
    RESUME,
    STATUS,
    FakeGateway,
    FastClock,
    Talk,
    gateway,
    scenario,
)

pytestmark = pytest.mark.anyio
STAY = {"wait": "stream_end"}


async def ring(
    fake: FakeGateway, *steps: dict[str, Any], top: dict[str, Any] | None = None, **config: Any
) -> CallReport:
    return await place_call(fake.config(**config), scenario(*steps, **(top or {})), clock=FastClock())


async def greet_answer_close(talk: Talk) -> None:
    await talk.until("start")
    await talk.say(500, "greeting")
    await talk.until("mark")
    await talk.until_heard()
    await talk.until_quiet()
    await talk.say(300, "answer")
    await talk.until("mark")
    await talk.socket.close(1000)


async def test_a_call_from_ring_to_hangup(tmp_path: Path) -> None:
    async with gateway(greet_answer_close) as fake:
        report = await ring(
            fake,
            {"say": "line", "when": "after_assistant"},
            STAY,
            status_events=ALL_STATUS_EVENTS,
            wav_dir=tmp_path,
        )
    assert not report.violations
    assert (report.ended_by, report.status, report.steps_done) == ("gateway", "completed", 2)
    assert [seen.url for seen in report.twiml] == [fake.http + INCOMING, fake.http + RESUME]
    assert all(posted.signed for posted in fake.posted)
    assert fake.upgrades == [True]
    assert [mark.name for mark in report.marks] == ["greeting", "answer"]
    assert [(span.first_byte, span.end_byte) for span in report.heard] == [(0, 4000), (4000, 6400)]
    assert [round(span.end_ms - span.start_ms) for span in report.heard] == [500, 300]
    (spoken,) = report.spoken
    assert spoken.complete
    assert spoken.start_ms > report.heard[0].end_ms + 200
    assert report.first_media_ms is not None
    assert report.responses_ms()[0] is not None
    json.dumps(report.to_dict())
    check_recording(Path(report.wav or ""), report)


def check_recording(path: Path, report: CallReport) -> None:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        frames = file.readframes(file.getnframes())

    def loud(channel: int, at_ms: float) -> bool:
        sample = frames[4 * int(at_ms * 8) + 2 * channel :][:2]
        return bool(sample != b"\x00\x00")

    assert loud(1, report.heard[0].start_ms + 250)
    assert not loud(0, report.heard[0].start_ms + 250)
    assert loud(0, report.spoken[0].start_ms + 200)
    assert not loud(1, report.spoken[0].start_ms + 200)


async def test_what_the_gateway_is_sent() -> None:
    async def listen(talk: Talk) -> None:
        await talk.until("start")
        await talk.say(100)
        await talk.to_the_end()

    async with gateway(listen) as fake:
        report = await ring(fake, {"press": "1#", "when": "after_assistant"}, {"hangup": True})
    (talk,) = fake.talks
    events = [message["event"] for message in talk.received]
    assert events[:2] == ["connected", "start"]
    assert events[-1] == "stop"
    assert "streamSid" not in talk.received[0]
    numbered = talk.received[1:]
    assert [message["sequenceNumber"] for message in numbered] == [str(n + 1) for n in range(len(numbered))]
    start = talk.received[1]["start"]
    assert start["customParameters"] == {"token": "t1"}
    assert start["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert start["callSid"] == report.call_sid
    media = [message["media"] for message in talk.received if message["event"] == "media"]
    assert [frame["timestamp"] for frame in media] == [str(20 * n) for n in range(len(media))]
    assert [frame["chunk"] for frame in media] == [str(n + 1) for n in range(len(media))]
    digits = [message["dtmf"]["digit"] for message in talk.received if message["event"] == "dtmf"]
    assert digits == ["1", "#"]
    assert report.ended_by == "caller"
    assert len(fake.forms(RESUME)) == 0, "a caller who hung up is not redirected"


async def test_status_callbacks_as_twilio_posts_them() -> None:
    async with gateway(greet_answer_close) as fake:
        await ring(fake, {"say": "line", "when": "after_assistant"}, STAY, status_events=ALL_STATUS_EVENTS)
    forms = fake.forms(STATUS)
    assert [form["CallStatus"] for form in forms] == ["initiated", "ringing", "in-progress", "completed"]
    assert [form["SequenceNumber"] for form in forms] == ["0", "1", "2", "3"]
    assert all("CallDuration" not in form for form in forms[:3])
    assert int(forms[3]["CallDuration"]) >= 2
    assert forms[3]["Duration"] == "1"
    assert forms[0]["Timestamp"].endswith("GMT")
    assert [form["CallStatus"] for form in fake.forms(INCOMING)] == ["ringing"]
    assert [form["CallStatus"] for form in fake.forms(RESUME)] == ["in-progress"]
    assert fake.forms(INCOMING)[0]["FromCity"] == "", "Twilio sends empty fields, and signs them"


async def test_barge_in_is_measured_and_heard_is_exact() -> None:
    async def interrupted(talk: Talk) -> None:
        await talk.until("start")
        for part in range(10):
            await talk.say(200, f"g0:{part}")
        await talk.until_heard()
        await talk.send("clear")
        await talk.to_the_end()

    async with gateway(interrupted) as fake:
        report = await ring(fake, {"say": "line", "when": {"over": {"after_ms": 600}}}, {"hangup": True})
    (clear,) = report.clears
    # How fast this machine was is not the question; that the figure is the true one is. A frame that went out late was
    # heard late.
    (line,), (stream,) = report.spoken, report.streams
    assert clear.after_speech_ms == pytest.approx(clear.at_ms - line.start_ms, abs=60 + stream.late_ms)
    assert report.heard[-1].end_ms == pytest.approx(clear.at_ms, abs=20)
    heard_ms = sum(span.end_byte - span.first_byte for span in report.heard) / 8
    assert heard_ms + clear.dropped_ms == 2000
    assert 600 <= heard_ms < 2000
    assert report.heard[-1].cut
    assert report.heard[-1].mark == clear.marks[0]
    echoed = [message["mark"]["name"] for message in fake.talks[0].received if message["event"] == "mark"]
    assert echoed == [f"g0:{part}" for part in range(10)], "those that played, then all of the clear"
    outcomes = [mark.outcome for mark in report.marks]
    assert outcomes == ["played"] * (10 - len(clear.marks)) + ["cleared"] * len(clear.marks)


async def test_a_peer_that_does_not_echo_the_marks_of_a_clear() -> None:
    async def cleared(talk: Talk) -> None:
        await talk.until("start")
        await talk.say(5000, "lost")
        await talk.send("clear")
        await talk.send("mark", mark={"name": "idle"})
        await talk.until("mark")
        await talk.socket.close(1000)

    async with gateway(cleared) as fake:
        report = await ring(fake, STAY, faults=Faults(echo_cleared_marks=False))
    assert [(mark.name, mark.outcome, mark.echoed_ms is None) for mark in report.marks] == [
        ("lost", "dropped", True),
        ("idle", "idle", False),
    ]


async def test_delayed_marks_come_late_but_the_truth_is_kept() -> None:
    async def marked(talk: Talk) -> None:
        await talk.until("start")
        await talk.say(100, "a")
        await talk.until("mark")
        await talk.socket.close(1000)

    async with gateway(marked) as fake:
        report = await ring(fake, STAY, faults=Faults(mark_delay_ms=400))
    (mark,) = report.marks
    assert mark.settled_ms == report.heard[0].end_ms
    assert mark.echoed_ms is not None
    assert mark.echoed_ms >= mark.settled_ms + 390


async def test_a_cut_socket_sends_no_stop_and_no_redirect() -> None:
    async def talk_on(talk: Talk) -> None:
        await talk.until("start")
        await talk.say(3000)
        await talk.to_the_end()

    async with gateway(talk_on) as fake:
        report = await ring(fake, {"cut": True, "when": {"over": {"after_ms": 200}}})
    assert report.ended_by == "cut"
    assert report.frames_sent.get("stop") is None
    assert fake.forms(RESUME) == []
    assert fake.forms(STATUS)[-1]["CallStatus"] == "completed"
    assert fake.talks[0].socket.close_code == 1006


async def test_a_lost_stream_is_resumed_and_the_line_said_again() -> None:
    async def second_time_lucky(talk: Talk) -> None:
        await talk.until("start")
        await talk.say(200)
        await talk.until_heard()
        if len(fake.talks) == 1:
            await talk.socket.close(1011)
        else:
            await talk.until_quiet()
            await talk.socket.close(1000)

    async with gateway(second_time_lucky) as fake:
        fake.documents[RESUME] = CONNECT.replace("resume", "resume2")
        fake.documents[RESUME + "2"] = HANG_UP
        report = await ring(fake, {"say": "line", "when": "after_assistant"}, STAY)
    assert [line.complete for line in report.spoken] == [False, True]
    assert [stream.close_code for stream in report.streams] == [1011, 1000]
    assert {span.stream for span in report.heard} == {0, 1}
    assert report.ended_by == "gateway"


async def test_cut_with_resume_goes_on_with_the_twiml() -> None:
    async def talk_on(talk: Talk) -> None:
        await talk.until("start")
        await talk.say(3000)
        await talk.to_the_end()

    async with gateway(talk_on) as fake:
        report = await ring(fake, {"cut": {"resume": True}, "when": {"over": {"after_ms": 200}}})
    assert len(fake.forms(RESUME)) == 1
    assert report.ended_by == "gateway"


async def close_at_once(talk: Talk) -> None:
    await talk.until("start")
    await talk.socket.close(1000)


DIAL = '<Response><Dial timeout="20"><Number>+14155550199</Number></Dial><Redirect>/after</Redirect></Response>'


@pytest.mark.parametrize(
    ("result", "ended_by", "fetched_after"),
    [
        (DialResult(), "dial", 0),
        (DialResult(caller_hangs_up=False), "gateway", 1),
        (DialResult(status="no-answer"), "gateway", 1),
    ],
)
async def test_dial_and_what_follows(result: DialResult, ended_by: str, fetched_after: int) -> None:
    async with gateway(close_at_once, {RESUME: DIAL, "/after": HANG_UP}) as fake:
        report = await ring(fake, STAY, dial=result)
    assert [(seen.number, seen.status) for seen in report.dials] == [("+14155550199", result.status)]
    assert report.ended_by == ended_by
    assert len(fake.forms("/after")) == fetched_after
    assert not report.violations


@pytest.mark.parametrize(
    ("result", "duration"),
    [(DialResult(status="busy"), None), (DialResult(after_s=2, caller_hangs_up=False), "2")],
)
async def test_dial_tells_its_action(result: DialResult, duration: str | None) -> None:
    document = DIAL.replace("<Dial ", '<Dial action="/dialled" ')
    async with gateway(close_at_once, {RESUME: document, "/dialled": HANG_UP}) as fake:
        await ring(fake, STAY, dial=result)
    (form,) = fake.forms("/dialled")
    assert form["DialCallStatus"] == result.status
    assert form.get("DialCallDuration") == duration
    assert fake.forms("/after") == [], "the action's TwiML takes the place of what stood behind"


@pytest.mark.parametrize(
    ("document", "ended_by", "status"),
    [
        ("<Response/>", "gateway", "completed"),
        ("<Response><Pause length='1'/><Say>Goodbye.</Say></Response>", "gateway", "completed"),
        ("<Response><Dial>+14155550199</Dial></Response>", "dial", "completed"),
        ("<Response><Reject reason='busy'/></Response>", "rejected", "busy"),
        ("<Response><Reject/></Response>", "rejected", "no-answer"),
    ],
)
async def test_twiml_without_a_stream(document: str, ended_by: str, status: str) -> None:
    async with gateway(close_at_once, {INCOMING: document}) as fake:
        report = await ring(fake, STAY)
    assert (report.ended_by, report.status) == (ended_by, status)
    assert fake.forms(STATUS)[-1]["CallStatus"] == status
    assert not report.violations


async def test_the_caller_hangs_up_at_any_moment() -> None:
    line = Line()

    async def say_and_wait(talk: Talk) -> None:
        await talk.until("start")
        line.hang_up()
        await talk.to_the_end()

    async with gateway(say_and_wait) as fake:
        report = await place_call(fake.config(), scenario(STAY), clock=FastClock(), line=line)
    assert report.ended_by == "caller"
    assert fake.talks[0].received[-1]["event"] == "stop"


@pytest.mark.parametrize(
    ("top", "ended_by"), [({"deadline_s": 1.0}, "deadline"), ({"step_timeout_s": 0.5}, "step_timeout")]
)
async def test_patience_ends(top: dict[str, Any], ended_by: str) -> None:
    async def mute(talk: Talk) -> None:
        await talk.to_the_end()

    async with gateway(mute) as fake:
        report = await ring(fake, {"say": "line", "when": "after_assistant"}, top=top)
    assert report.ended_by == ended_by
    assert report.problem
    assert report.steps_done == 0
