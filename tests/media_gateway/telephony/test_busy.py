"""A call too many: what the caller hears, what they can leave, and that the calls that run are let be."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from media_gateway.telephony.busy import PATH, number_of
from realtime.call import Call
from realtime.records import inbox
from tests.media_gateway.harness import Running, gateway, start

pytestmark = pytest.mark.anyio
INCOMING = "/api/v1/voice/incoming"


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ({"Digits": "1", "From": "+14155550123"}, "+14155550123"),
        ({"Digits": "4155550199#", "From": "+14155550123"}, "+14155550199"),
        ({"SpeechResult": "415 555 0199.", "From": "+14155550123"}, "+14155550199"),
        ({"SpeechResult": "ask for Jim at the garage", "From": "+14155550123"}, "ask for Jim at the garage"),
        ({"Digits": "1", "From": "anonymous"}, None),
        ({"Digits": "12", "From": "+14155550123"}, None),
        ({"Digits": "", "SpeechResult": " "}, None),
        ({}, None),
    ],
)
def test_where_to_call_back(form: dict[str, str], number: str | None) -> None:
    assert number_of(form) == number


async def messages(running: Running) -> list[inbox.Message]:
    return (await inbox.newest(running.gateway.core.store, "default"))[0]


async def test_a_call_too_many_can_leave_a_number(tmp_path: Path) -> None:
    async with gateway(tmp_path, CALLBOARD_MAX_CALLS="1") as running:
        token = await running.ring("CA1")
        async with running.media() as ws:
            await ws.send(start("CA1", token))
            first = await running.session("CA1")
            form = {"CallSid": "CA2", "From": "+14155550123"}
            answer = await running.twilio(INCOMING, form)
            gather = ElementTree.fromstring(answer.text).find("Gather")
            assert gather is not None
            assert gather.get("action") == PATH
            assert "all our lines are busy" in answer.text
            assert "<Stream" not in answer.text
            for _ in range(2):  # Twilio asks twice when an answer got lost
                thanks = await running.twilio(PATH, {**form, "Digits": "1"})
                assert "We will call you back" in thanks.text
            (message,) = await messages(running)
            assert (message.call_id, message.callback, message.alert) == ("CA2", "+14155550123", "pending")
            assert [session.call_id for session in running.sessions] == ["CA1"]
            assert not first.ended
            out = await running.twilio("/api/v1/voice/outbound", {"CallSid": "CA3", "To": "+14155550123"})
            assert "<Gather" not in out.text
            assert "<Hangup" in out.text


async def test_the_number_is_left_with_whoever_has_the_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.gateway.core.journal.open(Call(call_id="CA2", org="acme"))
        await running.twilio(PATH, {"CallSid": "CA2", "From": "+14155550123", "Digits": "1"})
        assert await messages(running) == []
        ((message,), _) = await inbox.newest(running.gateway.core.store, "acme")
        assert message.callback == "+14155550123"


async def test_nothing_left_and_nobody_but_twilio(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert "did not get a number" in (await running.twilio(PATH, {"CallSid": "CA2"})).text
        assert (await running.twilio(PATH, {"CallSid": "CA2", "Digits": "1"}, token="wrong")).status_code == 403
        assert await messages(running) == []
