"""The handoff's callbacks one by one: who may ask, what they get, twice, late, and without the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from realtime.call import Call, Status
from tests.media_gateway.harness import Running, gateway

pytestmark = pytest.mark.anyio
BASE = "/api/v1/voice/handoff"
NUMBER = "+15551230000"
CALLER = {"CallSid": "CA1", "AccountSid": "AC1", "From": "+15550001111", "CallStatus": "in-progress"}
PERSON = {"CallSid": "CA2", "ParentCallSid": "CA1", "AccountSid": "AC1", "To": NUMBER, "CallStatus": "in-progress"}


async def ask(running: Running, name: str, form: dict[str, str], **query: Any) -> list[Element]:
    """The verbs of the answer."""
    parameters = "&".join(f"{key}={value}" for key, value in ({"call": "CA1", "attempt": 1} | query).items())
    answer = await running.twilio(f"{BASE}/{name}?{parameters}", form)
    assert answer.status_code == 200, answer.text
    return list(ElementTree.fromstring(answer.content))


async def hand_over(running: Running) -> list[Element]:
    """A call whose conversation wants a person; what follows its stream."""
    await running.ring("CA1")
    await running.gateway.core.journal.append("CA1", (), change={"next": "handoff"})
    return await resume(running)


async def resume(running: Running) -> list[Element]:
    answer = await running.twilio("/api/v1/voice/resume", CALLER)
    return list(ElementTree.fromstring(answer.content))


async def head(running: Running) -> Call:
    call = await running.gateway.core.journal.find("CA1")
    assert call is not None
    return call


def tags(verbs: list[Element]) -> list[str]:
    return [verb.tag for verb in verbs]


async def test_the_twiml_of_a_warm_handoff(tmp_path: Path) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER=NUMBER) as running:
        (dial,) = await hand_over(running)
        public = f"https://calls.example.com{BASE}"
        assert dial.attrib == {
            "action": f"{public}/done?call=CA1&attempt=1",
            "timeout": "20",
            "answerOnBridge": "true",
        }
        (noun,) = dial
        assert noun.text == NUMBER
        assert noun.attrib == {
            "url": f"{public}/brief?call=CA1&attempt=1",
            "machineDetection": "Enable",
            "amdStatusCallback": f"{public}/amd?call=CA1&attempt=1",
        }
        gather, redirect = await ask(running, "brief", PERSON)
        assert (gather.tag, gather.get("numDigits"), gather.get("action")) == ("Gather", "1", redirect.text)
        said = gather[0].text or ""
        assert len(said.split()) <= 30, "ten seconds"
        (say,) = await ask(running, "key", {**PERSON, "Digits": "1"}, ask=1)
        assert say.tag == "Say", "and nothing more: at its end Twilio joins the two"
        assert tags(await ask(running, "done", {**CALLER, "DialCallStatus": "completed"})) == ["Connect", "Redirect"]


@pytest.mark.parametrize("name", ["brief", "key", "amd", "done"])
async def test_only_twilio_may_ask(tmp_path: Path, name: str) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER=NUMBER) as running:
        await hand_over(running)
        before = await head(running)
        path = f"{BASE}/{name}?call=CA1&attempt=1&ask=1"
        refused = await running.twilio(path, {**PERSON, "Digits": "1"}, token="another")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "bad_signature")
        # The signature covers the URL: it cannot be turned on another call.
        signed = await running.http.post(path.replace("CA1", "CA9"), headers={"X-Twilio-Signature": "x"})
        assert signed.status_code == 403
        assert await head(running) == before


@pytest.mark.parametrize("query", ["x=1", "call=CA1", "call=..%2Fx&attempt=1", "call=CA1&attempt=one", "attempt=1"])
async def test_a_url_that_is_not_ours(tmp_path: Path, query: str) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.twilio(f"{BASE}/done?{query}", CALLER)
        assert answer.status_code == 422


async def test_every_question_may_come_twice(tmp_path: Path) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER=NUMBER) as running:
        assert tags(await hand_over(running)) == tags(await resume(running)) == ["Dial"]
        for name, form, wanted in (
            ("brief", PERSON, ["Gather", "Redirect"]),
            ("key", {**PERSON, "Digits": "2"}, ["Say", "Hangup"]),
            ("done", {**CALLER, "DialCallStatus": "no-answer", "DialBridged": "false"}, ["Connect", "Redirect"]),
        ):
            for _ in range(2):
                assert tags(await ask(running, name, form, ask=1)) == wanted
        events = await running.gateway.core.journal.events("CA1")
        assert [event.data.get("outcome") for event in events[1:]] == ["dialled", "refused"]
        assert (await head(running)).next is None, "the next stream is the assistant's"


async def test_a_second_attempt_is_another_one_and_the_first_ones_news_is_late(tmp_path: Path) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER=NUMBER) as running:
        await hand_over(running)
        await ask(running, "done", {**CALLER, "DialCallStatus": "busy"})
        await running.gateway.core.journal.append("CA1", (), change={"next": "handoff"})
        (dial,) = await resume(running)
        assert "attempt=2" in (dial.get("action") or "")
        assert tags(await ask(running, "key", {**PERSON, "Digits": "1"}, attempt=1, ask=1)) == ["Say", "Hangup"]
        assert (await head(running)).metadata["handoff"]["phase"] == "ringing"


async def test_a_machine_is_not_asked_twice(tmp_path: Path) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER=NUMBER) as running:
        await hand_over(running)
        await ask(running, "brief", PERSON)
        news = {**PERSON, "AnsweredBy": "machine_start"}
        assert (await running.twilio(f"{BASE}/amd?call=CA1&attempt=1", news)).status_code == 204
        assert tags(await ask(running, "key", PERSON, ask=1)) == ["Say", "Hangup"]
        await ask(running, "done", {**CALLER, "DialCallStatus": "completed", "DialBridged": "false"})
        assert (await head(running)).metadata["handoff"]["outcome"] == "machine"


async def test_who_answers_for_a_caller_that_has_gone_is_dismissed(tmp_path: Path) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER=NUMBER) as running:
        await hand_over(running)
        await running.gateway.core.journal.complete(
            "CA1", Status.COMPLETED, call_data={"call_end_time": None}, key="end", ts="2026-01-01T00:00:00.000Z"
        )
        size = await running.journal_size()
        assert tags(await ask(running, "brief", PERSON)) == ["Say", "Hangup"]
        assert tags(await ask(running, "done", {**CALLER, "DialCallStatus": "canceled"})) == ["Hangup"]
        assert await running.journal_size() == size, "nothing is written behind the end"


async def test_without_the_store_the_two_are_still_joined(tmp_path: Path) -> None:
    async with gateway(tmp_path, HANDOFF_NUMBER=NUMBER) as running:
        await hand_over(running)
        await running.gateway.core.store.aclose()
        assert tags(await ask(running, "brief", PERSON)) == ["Gather", "Redirect"]
        assert tags(await ask(running, "key", {**PERSON, "Digits": "1"}, ask=1)) == ["Say"]
        assert tags(await ask(running, "key", PERSON, ask=2)) == ["Say", "Hangup"]
        over = await ask(running, "done", {**CALLER, "DialCallStatus": "no-answer"})
        assert tags(over) == ["Say", "Hangup"], "words, not silence"


async def test_nobody_there_three_times_and_a_word_of_regret(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert tags(await hand_over(running)) == ["Connect", "Redirect"]
        for wanted in (["Connect", "Redirect"], ["Connect", "Redirect"], ["Say", "Hangup"]):
            await running.gateway.core.journal.append("CA1", (), change={"next": "handoff"})
            assert tags(await resume(running)) == wanted
