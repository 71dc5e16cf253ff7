"""Twilio's REST API on loopback, asked by Twilio's own SDK; its calls ring telephones that follow our TwiML."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from infra.simulators.callee import Callee
from infra.simulators.config import Faults
from infra.simulators.twilio_api import ACCOUNT_SID, Trouble, TwilioApi

from .gateway import CONNECT, LINE, RESUME, TOKEN, FakeGateway, Talk, gateway, scenario

pytestmark = pytest.mark.anyio
OURS, THEIRS = "+14155550100", "+14155550123"
OUTBOUND, STATUS, AMD = "/api/v1/voice/outbound", "/api/v1/voice/status", "/api/v1/voice/amd"
EVENTS = ["initiated", "ringing", "answered", "completed"]


class Rebased(TwilioHttpClient):  # type: ignore[misc]
    """The SDK pointed at the simulator."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=5)
        self.base = urlsplit(base)
        self.session.trust_env = False

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        asked = urlsplit(url)
        target = urlunsplit((self.base.scheme, self.base.netloc, asked.path, asked.query, ""))
        return super().request(method, target, *args, **kwargs)


class Account:
    """The SDK, a call at a time, off the loop."""

    def __init__(self, api: TwilioApi, token: str = TOKEN) -> None:
        self.http = Rebased(api.url)
        self.client = Client(ACCOUNT_SID, token, http_client=self.http)

    async def do(self, work: Callable[[Client], Any]) -> Any:
        return await asyncio.to_thread(work, self.client)

    async def create(self, **wanted: Any) -> Any:
        return await self.do(lambda client: client.calls.create(**wanted))

    async def update(self, sid: str, **changes: Any) -> Any:
        return await self.do(lambda client: client.calls(sid).update(**changes))

    async def refusal(self, work: Callable[[Client], Any]) -> tuple[int, int | None]:
        with pytest.raises(TwilioRestException) as caught:
            await self.do(work)
        return caught.value.status, caught.value.code


@asynccontextmanager
async def twilio(**parts: Any) -> AsyncIterator[tuple[TwilioApi, Account]]:
    async with TwilioApi(auth_token=TOKEN, **parts) as api:
        account = Account(api)
        try:
            yield api, account
        finally:
            account.http.session.close()


def create(wanted: dict[str, Any], client: Client) -> Any:
    return client.calls.create(**wanted)


async def greet(talk: Talk) -> None:
    await talk.until("start")
    await talk.say(300, "greeting")
    await talk.until("mark")
    await talk.socket.close(1000)


async def stay(talk: Talk) -> None:
    await talk.until("start")
    await talk.to_the_end()


def documents() -> dict[str, str]:
    return {OUTBOUND: CONNECT, RESUME: "<Response><Hangup/></Response>"}


def order(fake: FakeGateway, **more: Any) -> dict[str, Any]:
    return {
        "to": THEIRS,
        "from_": OURS,
        "url": f"{fake.http}{OUTBOUND}?flow=reminder",
        "status_callback": f"{fake.http}{STATUS}?intent=7",
        "status_callback_event": EVENTS,
        "machine_detection": "DetectMessageEnd",
        "async_amd": "true",
        "async_amd_status_callback": f"{fake.http}{AMD}",
        "timeout": 30,
        **more,
    }


def statuses(fake: FakeGateway) -> list[str]:
    return [form["CallStatus"] for form in fake.forms(f"{STATUS}?intent=7")]


async def test_a_call_is_rung_answered_and_followed() -> None:
    human = Callee(verdict="human", verdict_after_s=0.05)
    async with gateway(greet, documents()) as fake, twilio(phones={THEIRS: human}) as (api, account):
        created = await account.create(**order(fake))
        assert created.status == "queued"
        assert created.direction == "outbound-api"
        report = await api.finished(created.sid)
        assert not report.violations
        assert statuses(fake) == ["initiated", "ringing", "in-progress", "completed"]
        (asked,) = fake.forms(f"{OUTBOUND}?flow=reminder")
        assert {name: asked[name] for name in ("CallSid", "From", "To", "Direction", "CallStatus")} == {
            "CallSid": created.sid,
            "From": OURS,
            "To": THEIRS,
            "Direction": "outbound-api",
            "CallStatus": "in-progress",
        }
        (verdict,) = fake.forms(AMD)
        assert (verdict["AnsweredBy"], verdict["CallSid"]) == ("human", created.sid)
        assert all(posted.signed for posted in fake.posted)
        fetched = await account.do(lambda client: client.calls(created.sid).fetch())
        assert (fetched.status, fetched.answered_by) == ("completed", "human")
        assert fetched.to == THEIRS
        assert [round(span.end_ms - span.start_ms) for span in report.heard] == [300]


async def test_a_machine_greets_and_its_verdict_comes_when_it_has_ended() -> None:
    answering = scenario({"say": "line"}, {"wait": "stream_end"})
    machine = Callee(scenario=answering, verdict="machine_end_beep", verdict_after_s=0.5, clips={"line": LINE})

    async def wait_for_the_greeting(talk: Talk) -> None:
        await talk.until("start")
        await talk.until_heard()
        await talk.until_quiet()
        await talk.say(200, "message")
        await talk.until("mark")
        await talk.socket.close(1000)

    async with (
        gateway(wait_for_the_greeting, documents()) as fake,
        twilio(phones={THEIRS: machine}) as (api, account),
    ):
        created = await account.create(**order(fake))
        report = await api.finished(created.sid)
        assert not report.violations
        assert [form["AnsweredBy"] for form in fake.forms(AMD)] == ["machine_end_beep"]
        assert report.status == "completed"


@pytest.mark.parametrize("outcome", ["busy", "no-answer", "failed"])
async def test_who_is_not_reached(outcome: Literal["busy", "no-answer", "failed"]) -> None:
    async with (
        gateway(greet, documents()) as fake,
        twilio(anyone=Callee(outcome=outcome, ring_s=0.01)) as (api, account),
    ):
        created = await account.create(**order(fake))
        await api.finished(created.sid)
        assert statuses(fake) == ["initiated", "ringing", outcome]
        assert fake.forms(f"{OUTBOUND}?flow=reminder") == []
        assert (await account.do(lambda client: client.calls(created.sid).fetch())).status == outcome


async def test_it_rings_no_longer_than_it_was_told_to() -> None:
    async with gateway(greet, documents()) as fake, twilio(anyone=Callee(ring_s=60)) as (api, account):
        created = await account.create(**order(fake, timeout=0))
        await api.finished(created.sid)
        assert statuses(fake)[-1] == "no-answer"


async def test_status_callbacks_may_come_in_any_order() -> None:
    mixed = Callee(faults=Faults(statuses_reversed=True))
    async with gateway(greet, documents()) as fake, twilio(anyone=mixed) as (api, account):
        created = await account.create(**order(fake))
        await api.finished(created.sid)
        assert statuses(fake) == ["completed", "in-progress", "ringing", "initiated"]
        numbers = [form["SequenceNumber"] for form in fake.forms(f"{STATUS}?intent=7")]
        assert numbers == ["3", "2", "1", "0"]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("status", ["completed", "canceled"])
async def test_a_call_that_rings_can_be_taken_back(status: str) -> None:
    async with gateway(greet, documents()) as fake, twilio(anyone=Callee(ring_s=30)) as (api, account):
        created = await account.create(**order(fake))
        await until(lambda: api.calls[created.sid].phone.status == "ringing")
        await account.update(created.sid, status=status)
        await api.finished(created.sid)
        assert statuses(fake)[-1] == "canceled"


async def test_a_running_call_can_be_ended_and_sent_elsewhere() -> None:
    more = {**documents(), "/elsewhere": "<Response><Pause length='1'/><Hangup/></Response>"}
    async with gateway(stay, more) as fake, twilio() as (api, account):
        for change in ({"status": "completed"}, {"url": f"{fake.http}/elsewhere"}, {"twiml": "<Response/>"}):
            created = await account.create(**order(fake))
            await until(lambda: bool(fake.talks and fake.talks[-1].stream_sid))
            fake.talks.clear()
            await account.update(created.sid, **change)
            report = await api.finished(created.sid)
            assert report.status == "completed"
            assert report.violations == ()
        assert len(fake.forms("/elsewhere")) == 1
        over = created.sid
        assert await account.refusal(lambda client: client.calls(over).update(status="completed")) == (400, 21220)


async def test_what_twilio_refuses() -> None:
    async with gateway(greet, documents()) as fake, twilio(blocked=("+882",)) as (api, account):
        for to, code in (("12345", 21211), ("+88213300000", 21215), ("", 21201)):
            wrong = order(fake, to=to)
            assert await account.refusal(partial(create, wrong)) == (400, code)
        assert await account.refusal(lambda client: client.calls("CA0").fetch()) == (404, 20404)
        stranger = Account(api, "another token")
        assert await stranger.refusal(lambda client: client.calls.create(**order(fake))) == (401, 20003)
        stranger.http.session.close()
        assert api.calls == {}


@pytest.mark.parametrize(("trouble", "status", "made"), [("429", 429, 0), ("500", 500, 0), ("500_after", 500, 1)])
async def test_troubles_befall_the_next_creation_only(trouble: Trouble, status: int, made: int) -> None:
    async with gateway(greet, documents()) as fake, twilio() as (api, account):
        api.troubles.append(trouble)
        assert (await account.refusal(lambda client: client.calls.create(**order(fake))))[0] == status
        assert len(api.calls) == made
        await account.create(**order(fake))
        found = await account.do(lambda client: client.calls.list(to=THEIRS, from_=OURS, limit=20))
        assert [call.sid for call in found] == list(reversed(api.calls))
        assert await account.do(lambda client: client.calls.list(to="+14155550999", limit=20)) == []


async def test_messages() -> None:
    async with twilio(unsubscribed=frozenset({"+14155550999"})) as (api, account):
        send = {"from_": OURS, "body": "Your appointment is confirmed."}
        sent = await account.do(lambda client: client.messages.create(to=THEIRS, **send))
        assert (sent.status, sent.body) == ("queued", send["body"])
        assert [(message.to, message.body) for message in api.messages] == [(THEIRS, send["body"])]
        found = await account.do(lambda client: client.messages.list(to=THEIRS, limit=5))
        assert [message.sid for message in found] == [sent.sid]
        refused = await account.refusal(lambda client: client.messages.create(to="+14155550999", **send))
        assert refused == (400, 21610)
