"""Twilio's webhooks on a real server: signatures, the TwiML, what follows a stream, and news for the bus."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from media_gateway.telephony.webhooks import MAX_RESUMES
from realtime.call import Status
from realtime.events import EventType
from tests.media_gateway.harness import connected, gateway, start

pytestmark = pytest.mark.anyio
INCOMING = "/api/v1/voice/incoming"
RESUME = "/api/v1/voice/resume"
FORM = {
    "CallSid": "CA1",
    "AccountSid": "AC1",
    "From": "+15550001111",
    "To": "+15559990000",
    "CallStatus": "ringing",
    "Direction": "inbound",
    "CallerName": "",
    "FromCity": "",
}


async def test_incoming_opens_the_call_and_connects_a_stream(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.twilio(f"{INCOMING}?flow=booking", FORM)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/xml")
        twiml = ElementTree.fromstring(answer.content)
        assert [verb.tag for verb in twiml] == ["Connect", "Redirect"]
        assert twiml[0].attrib == {}
        assert twiml[1].text == RESUME
        stream = twiml[0][0]
        assert stream.attrib == {"url": "wss://calls.example.com/api/v1/voice/media-stream"}
        assert stream[0].attrib["name"] == "token"
        assert len(stream[0].attrib["name"] + stream[0].attrib["value"]) < 500
        call = await running.gateway.core.journal.find("CA1")
        assert call is not None
        assert (call.status, call.flow, call.caller_phone, call.to_number, call.direction) == (
            Status.RINGING,
            "booking",
            "+15550001111",
            "+15559990000",
            "inbound",
        )
        (event,) = await running.gateway.core.journal.events("CA1")
        assert (event.type, event.data["status"]) == (EventType.CALL_STATUS, "ringing")


async def test_the_same_webhook_again_is_the_same_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        first, second = [await running.ring("CA1") for _ in range(2)]
        assert first != second
        assert await running.journal_size() == 1


@pytest.mark.parametrize("number", ["anonymous", "Restricted", "client:joe", "", "+266696687x"])
async def test_a_withheld_number_is_no_number(tmp_path: Path, number: str) -> None:
    async with gateway(tmp_path) as running:
        await running.twilio(INCOMING, {**FORM, "From": number})
        call = await running.gateway.core.journal.find("CA1")
        assert call is not None
        assert call.caller_phone is None


async def test_outbound_is_answered_the_same_way(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.twilio("/api/v1/voice/outbound", {**FORM, "CallStatus": "in-progress"})
        assert "<Stream" in answer.text
        call = await running.gateway.core.journal.find("CA1")
        assert call is not None
        assert (call.direction, call.caller_phone) == ("outbound", "+15559990000")


@pytest.mark.parametrize("path", ["incoming", "outbound", "resume", "status", "amd"])
async def test_a_bad_signature_is_403_and_leaves_no_trace(tmp_path: Path, path: str) -> None:
    async with gateway(tmp_path) as running:
        url = f"/api/v1/voice/{path}"
        wrong = await running.twilio(url, FORM, token="another")
        assert wrong.status_code == 403
        assert wrong.json()["error"]["code"] == "bad_signature"
        assert (await running.http.post(url, content=urlencode(FORM))).status_code == 403
        assert await running.gateway.core.journal.find("CA1") is None
        assert running.bus.messages == []


async def test_a_signature_is_for_the_public_address_and_the_whole_form(tmp_path: Path) -> None:
    from twilio.request_validator import RequestValidator

    async with gateway(tmp_path) as running:
        validator = RequestValidator("a-twilio-auth-token")
        of_host = validator.compute_signature(f"http://127.0.0.1{INCOMING}", FORM)
        of_less = validator.compute_signature(
            f"{running.settings.base_url}{INCOMING}", {key: value for key, value in FORM.items() if value}
        )
        for signature in (of_host, of_less):
            answer = await running.http.post(
                INCOMING, content=urlencode(FORM), headers={"X-Twilio-Signature": signature}
            )
            # Blank values add their names to what is signed: leaving them out must not fit.
            assert answer.status_code == 403


@pytest.mark.parametrize(
    "sid", ["", "../../calls", "CA 1", "C" * 65, "__x__", "\udc80".encode("utf-8", "replace").decode()]
)
async def test_a_call_sid_that_is_none(tmp_path: Path, sid: str) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.twilio(INCOMING, {**FORM, "CallSid": sid})
        assert answer.status_code == 422


async def test_too_large_a_form(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.twilio(INCOMING, {**FORM, "CallerName": "x" * 70_000})
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "too_large"


@pytest.mark.parametrize(
    ("following", "handoff", "verbs"),
    [
        ("hangup", "", ["Hangup"]),
        ("handoff", "+15551230000", ["Dial"]),
        ("handoff", "", ["Connect", "Redirect"]),
        ("move", "", ["Connect", "Redirect"]),
        (None, "", ["Connect", "Redirect"]),
    ],
)
async def test_what_follows_a_stream(tmp_path: Path, following: str | None, handoff: str, verbs: list[str]) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER=handoff) as running:
        await running.ring("CA1")
        journal = running.gateway.core.journal
        await journal.append("CA1", (), change={"next": following})
        answer = await running.twilio(RESUME, FORM)
        twiml = ElementTree.fromstring(answer.content)
        assert [verb.tag for verb in twiml] == verbs
        if following == "handoff":
            await running.twilio(RESUME, FORM)
            *_, event = await journal.events("CA1")
            outcome = "dialled" if handoff else "unavailable"
            assert (event.seq, event.type) == (2, EventType.HANDOFF), "once, however often Twilio asks"
            assert event.data == {"outcome": outcome, "to": handoff or None, "attempt": 1, "mode": "warm"}
        call = await journal.find("CA1")
        assert call is not None
        assert call.next == (following if following == "hangup" or handoff else None)


async def test_a_resumed_stream_is_known_as_one(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        answer = await running.twilio(RESUME, FORM)
        token = answer.text.split('value="')[1].split('"')[0]
        async with running.media() as ws:
            await ws.send(connected())
            await ws.send(start("CA1", token))
            session = await running.session("CA1")
            assert session.started.resumed
        await asyncio.wait_for(running.gateway.sessions.empty(), 5)


async def test_a_call_that_breaks_again_and_again_ends_politely(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        for _ in range(MAX_RESUMES):
            assert "<Stream" in (await running.twilio(RESUME, FORM)).text
        last = await running.twilio(RESUME, FORM)
        assert "<Stream" not in last.text
        assert "<Hangup" in last.text


async def test_a_call_that_is_over_stays_over(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        await running.gateway.core.journal.complete(
            "CA1", Status.COMPLETED, call_data={"call_end_time": None}, key="end", ts="2026-01-01T00:00:00.000Z"
        )
        for path in (RESUME, INCOMING):
            twiml = ElementTree.fromstring((await running.twilio(path, FORM)).content)
            assert [verb.tag for verb in twiml] == ["Hangup"]


async def test_resume_of_a_call_that_nobody_knows(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert "<Hangup" in (await running.twilio(RESUME, FORM)).text


async def test_status_and_amd_are_published(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        status = {
            **FORM,
            "CallStatus": "completed",
            "SequenceNumber": "3",
            "Timestamp": "Tue, 10 Nov 2026 10:00:00 +0000",
        }
        assert (await running.twilio("/api/v1/voice/status", status)).status_code == 204
        amd = {"CallSid": "CA1", "AccountSid": "AC1", "AnsweredBy": "machine_start"}
        assert (await running.twilio("/api/v1/voice/amd", amd)).status_code == 204
        first, second = running.bus.messages
        assert (first.source, first.type, first.id) == ("twilio", "status", "twilio:status:CA1:3")
        assert first.keys == {"call_sid": "CA1"}
        assert first.occurred_at == "2026-11-10T10:00:00.000Z"
        assert first.data == status
        assert (second.type, second.data["AnsweredBy"]) == ("amd", "machine_start")


async def test_news_that_cannot_be_passed_on_is_not_acknowledged(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.bus.broken = True
        answer = await running.twilio("/api/v1/voice/status", FORM)
        assert answer.status_code == 503
        assert answer.json()["error"]["fix"]


async def test_a_caller_hears_words_when_the_store_is_gone(tmp_path: Path) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER="+15551230000") as running:
        await running.gateway.core.store.aclose()
        answer = await running.twilio(INCOMING, FORM)
        assert answer.status_code == 200
        assert "<Dial" in answer.text
        assert (await running.http.get("/readyz")).status_code == 503
        assert (await running.http.get("/livez")).status_code == 200
