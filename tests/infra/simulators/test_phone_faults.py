"""Whole calls that go wrong: bad frames, refusals, broken peers, and what is left behind."""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from infra.simulators.config import Faults, PhoneConfig
from infra.simulators.fields import ScenarioError
from infra.simulators.phone import place_call
from infra.simulators.recorder import ProtocolViolations

from .gateway import (
    CONNECT,
    HANG_UP,
    INCOMING,
    RESUME,
    STATUS,
    FastClock,
    Talk,
    gateway,
    scenario,
)
from .test_phone import STAY, close_at_once, greet_answer_close, ring

pytestmark = pytest.mark.anyio

BAD_FRAMES: list[tuple[str | bytes, str]] = [
    (b"\x00", "binary frame"),
    ("{", "not JSON"),
    ("[]", "not a JSON object"),
    ('{"event":"hello","streamSid":"SID"}', "unknown event 'hello'"),
    ('{"event":"clear","streamSid":"MZother"}', "streamSid 'MZother'"),
    ('{"event":"media","streamSid":"SID","media":{"payload":"%%%"}}', "not base64"),
]


async def test_every_bad_frame_is_listed_and_fails_the_run() -> None:
    async def misbehave(talk: Talk) -> None:
        await talk.until("start")
        for frame, _ in BAD_FRAMES:
            await talk.socket.send(frame.replace("SID", talk.stream_sid) if isinstance(frame, str) else frame)
        await talk.say(20, "still fine")
        await talk.until("mark")
        await talk.socket.close(1000)

    async with gateway(misbehave) as fake:
        report = await ring(fake, STAY)
    with pytest.raises(ProtocolViolations) as failure:
        report.raise_for_violations()
    assert len(report.violations) == len(BAD_FRAMES)
    for _, what in BAD_FRAMES:
        assert what in str(failure.value)


async def test_frames_before_start_are_violations() -> None:
    async def eager(talk: Talk) -> None:
        await talk.until("connected")
        await talk.send("clear")
        await talk.until("start")
        await talk.socket.close(1000)

    async with gateway(eager) as fake:
        report = await ring(fake, STAY, faults=Faults(start_delay_ms=400))
    assert [violation.what for violation in report.violations] == ["clear before start"]


async def test_an_unusable_webhook_ends_the_call() -> None:
    async with gateway(close_at_once) as fake:
        fake.content_type = "application/json"
        report = await ring(fake, STAY)
    assert (report.ended_by, report.status) == ("failed", "failed")
    assert "application/json" in (report.problem or "")
    assert report.violations


async def test_a_refused_webhook_ends_the_call() -> None:
    async with gateway(close_at_once) as fake:
        fake.status = HTTPStatus.FORBIDDEN
        report = await ring(fake, STAY, status_events=(), faults=Faults(webhook_signature="bad"))
    assert not fake.posted[0].signed
    assert report.ended_by == "failed"
    assert "403" in (report.problem or "")


@pytest.mark.parametrize("signature", ["bad", "none"])
async def test_a_refused_socket_is_a_violation_and_the_twiml_goes_on(signature: Any) -> None:
    async with gateway(close_at_once) as fake:
        report = await ring(fake, STAY, faults=Faults(socket_signature=signature))
    assert fake.upgrades == [False]
    assert "403" in report.violations[0].what
    assert len(fake.forms(RESUME)) == 1
    assert not report.streams


async def test_twiml_that_goes_in_circles_is_stopped() -> None:
    async with gateway(close_at_once, {RESUME: CONNECT}) as fake:
        report = await ring(fake, STAY, max_documents=4)
    assert report.ended_by == "failed"
    assert "circles" in (report.problem or "")
    assert len(report.twiml) == 4


async def test_replaced_parameters_and_a_second_start_reach_the_gateway() -> None:
    async def count_starts(talk: Talk) -> None:
        await talk.until("start", 2)
        await talk.socket.close(1008)

    async with gateway(count_starts) as fake:
        await ring(fake, STAY, faults=Faults(parameters={"token": "stolen"}, second_start=True))
    starts = [message["start"] for message in fake.talks[0].received if message["event"] == "start"]
    assert [start["customParameters"] for start in starts] == [{"token": "stolen"}] * 2


async def test_raw_text_goes_out_as_it_is() -> None:
    raw: list[str] = []

    async def collect(talk: Talk) -> None:
        await talk.until("start")
        async for message in talk.socket:
            if str(message).startswith("garbage"):
                raw.append(str(message))
                break
        await talk.socket.close(1003)

    async with gateway(collect) as fake:
        report = await ring(fake, {"raw": "garbage"}, STAY)
    assert raw == ["garbage"]
    assert report.streams[0].close_code == 1003


async def test_an_unknown_clip_is_named_before_anything_rings() -> None:
    async with gateway(close_at_once) as fake:
        with pytest.raises(ScenarioError, match="no clip 'nonsense'"):
            await ring(fake, {"say": "nonsense"})
    assert fake.posted == []


async def test_the_observer_hears_of_everything_as_it_happens() -> None:
    seen: list[str] = []
    async with gateway(greet_answer_close) as fake:
        report = await place_call(
            fake.config(),
            scenario({"say": "line", "when": "after_assistant"}, STAY),
            clock=FastClock(),
            observer=lambda entry: seen.append(entry.what),
        )
    assert seen == [entry.what for entry in report.timeline]
    for what in ("ringing", "answered", "start", "first_media", "say", "said", "stream_closed", "ended"):
        assert what in seen


async def test_a_redirect_by_get_carries_the_fields_in_its_signed_query() -> None:
    by_get = "<Response><Redirect method='GET'>/next?step=2</Redirect></Response>"
    async with gateway(close_at_once, {INCOMING: by_get, "/next": HANG_UP}) as fake:
        report = await ring(fake, STAY)
    (asked,) = [posted for posted in fake.posted if posted.path.startswith("/next")]
    assert asked.signed
    assert asked.path.startswith("/next?step=2&")
    assert f"CallSid={report.call_sid}" in asked.path
    assert report.ended_by == "gateway"


async def test_a_refused_status_callback_is_a_violation() -> None:
    async with gateway(close_at_once) as fake:
        fake.broken.add(STATUS)
        report = await ring(fake, STAY)
    assert report.ended_by == "gateway"
    assert [violation.what for violation in report.violations] == [f"POST {fake.http}{STATUS} (completed) answered 503"]


async def test_a_gateway_that_is_not_there(unused_tcp_port_url: str) -> None:
    config = PhoneConfig(public_url=unused_tcp_port_url, auth_token="t", status_events=())
    report = await place_call(config, scenario(STAY), clock=FastClock())
    assert report.ended_by == "failed"
    assert "ConnectError" in (report.problem or "")


@pytest.fixture
def unused_tcp_port_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def test_a_frame_of_more_than_a_megabyte_breaks_the_stream() -> None:
    async def shout(talk: Talk) -> None:
        await talk.until("start")
        await talk.say(110_000)
        await talk.to_the_end()

    async with gateway(shout) as fake:
        report = await ring(fake, STAY)
    assert report.streams[0].close_code == 1009
    assert "1009" in report.violations[0].what
    assert len(fake.forms(RESUME)) == 1


async def test_nothing_in_a_call_blocks_the_loop_and_nothing_stays_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with gateway(greet_answer_close) as fake:
        with blockbuster_ctx("infra.simulators"):
            report = await ring(fake, {"say": "need_oil_change", "when": "after_assistant"}, STAY, wav_dir=tmp_path)
    assert report.ended_by == "gateway"
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    opened = asyncio.Event()

    async def wait(talk: Talk) -> None:
        await talk.until("start")
        opened.set()
        await talk.to_the_end()

    before = asyncio.all_tasks()
    async with gateway(wait) as fake:
        call = asyncio.create_task(ring(fake, STAY))
        await opened.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert call not in asyncio.all_tasks()
    assert fake.talks[0].socket.close_code == 1006
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
