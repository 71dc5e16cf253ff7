"""Does a system answer its phone? Asked from outside, as Twilio and a dashboard would, at any address of it.

Every request is signed over PUBLIC_BASE_URL and sent to the address under test, which may be that of a revision's tag.
The call is one of a simulated caller, and says in its record that it is a test.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from infra.local.clients import Api, Watcher, transcriptions
from infra.simulators import signing
from infra.simulators.config import PhoneConfig, new_sid, reached
from infra.simulators.phone import place_call
from infra.simulators.scenario import AfterAssistant, HangUp, Say, Scenario, Step

INCOMING = "/api/v1/voice/incoming?test=1"
MEDIA = "/api/v1/voice/media-stream"
SOCKETS = ("/ws/calls/transcriptions", "/ws/events")
DEADLINE_S = 15.0
CALL_S = 60.0
QUIET_MS = 900
FAILED = (httpx2.HTTPError, httpx2.InvalidURL, WebSocketException, OSError, TimeoutError, KeyError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`phone` answers Twilio and `desk` the dashboards (mostly the same); `public` is PUBLIC_BASE_URL. Without
    `auth_token` nothing can be signed."""

    phone: str
    desk: str
    public: str
    auth_token: str
    username: str
    password: str
    others: str = ""
    """The address of the neighbouring revision: what one has given out, the other takes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    what: str
    ok: bool
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.detail or ('ok' if self.ok else 'failed')}"


class _Wrong(Exception):
    """A check did not come out as it should; the text says how."""


async def smoke(
    target: Target, told: Callable[[Finding], None] = lambda _one: None, *, call: bool = True
) -> list[Finding]:
    """Everything, one after the other; a check that fails does not keep the next from being made."""
    sid = new_sid("CA")
    checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("alive", lambda: _alive(target)),
        ("signed webhook", lambda: _twiml(target, new_sid("CA"))),
        ("bad signature", lambda: _refused(target)),
        ("media socket", lambda: _media(target)),
        *[(path, lambda path=path: _socket(target, path)) for path in SOCKETS],
    ]
    if call:
        checks.append(("a simulated call", lambda: _call(target, sid)))
        if target.others:
            checks.append(("neighbouring revision", lambda: _neighbour(target, sid)))
    found = []
    for what, check in checks:
        try:
            async with asyncio.timeout(CALL_S + DEADLINE_S):
                one = Finding(what, True, await check())
        except _Wrong as wrong:
            one = Finding(what, False, str(wrong))
        except FAILED as error:
            said = next(iter(str(error).splitlines()), "")
            one = Finding(what, False, f"{type(error).__name__}: {said[:200]}")
        told(one)
        found.append(one)
    return found


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(timeout=DEADLINE_S)


async def _alive(target: Target) -> str:
    async with _client() as client:
        answer = await client.get(f"{target.phone}/livez")
    if answer.status_code != 200:
        raise _Wrong(f"GET /livez answered {answer.status_code}")
    return "GET /livez answered 200"


def _form(call_sid: str) -> dict[str, str]:
    return {"CallSid": call_sid, "AccountSid": "AC" + "0" * 32, "From": "+15005550006", "To": "+15005550001",
            "CallStatus": "ringing", "Direction": "inbound", "ApiVersion": "2010-04-01"}  # fmt: skip


async def _post(target: Target, path: str, form: Mapping[str, str], token: str) -> httpx2.Response:
    url = target.public + path
    headers = {signing.HEADER: signing.sign(token, url, dict(form))}
    async with _client() as client:
        return await client.post(target.phone + path, data=dict(form), headers=headers)


async def _twiml(target: Target, call_sid: str) -> str:
    answer = await _post(target, INCOMING, _form(call_sid), target.auth_token)
    if answer.status_code == 403:
        raise _Wrong("403: TWILIO_AUTH_TOKEN or PUBLIC_BASE_URL of the service is not what this test signs with")
    if answer.status_code != 200 or "<Stream" not in answer.text:
        raise _Wrong(f"no media stream in the answer ({answer.status_code}: {answer.text[:120]!r})")
    await _post(target, "/api/v1/voice/status", {**_form(call_sid), "CallStatus": "completed"}, target.auth_token)
    return "200, TwiML with a media stream"


async def _refused(target: Target) -> str:
    answer = await _post(target, INCOMING, _form(new_sid("CA")), secrets.token_hex(16))
    if answer.status_code != 403:
        raise _Wrong(f"a webhook with a wrong signature was answered {answer.status_code}, not 403")
    return "403"


async def _media(target: Target) -> str:
    url = target.public.replace("http", "ws", 1) + MEDIA
    headers = {signing.HEADER: signing.sign(target.auth_token, url, None)}
    there = reached(url, public=target.public, via=target.phone)
    return await _upgrade(there, headers)


async def _socket(target: Target, path: str) -> str:
    async with Api(target.desk, target.username, target.password) as api:
        return await _upgrade(f"{target.desk.replace('http', 'ws', 1)}{path}?token={api.token}", {}, shown=path)


async def _upgrade(url: str, headers: Mapping[str, str], *, shown: str = "") -> str:
    context = ssl.create_default_context() if url.startswith("wss") else None
    try:
        async with connect(
            url, additional_headers=headers, compression=None, open_timeout=DEADLINE_S, ssl=context
        ) as socket:
            assert socket.response
            return f"{socket.response.status_code}"
    except InvalidHandshake as error:
        status = getattr(getattr(error, "response", None), "status_code", "no answer")
        why = " (404: the image serves no sockets; see docs/operating.md)" if status == 404 else ""
        raise _Wrong(f"the upgrade of {shown or MEDIA} was answered {status}, not 101{why}") from None


async def _call(target: Target, call_sid: str) -> str:
    """A caller asks for the opening hours, hears an answer, and hangs up."""
    scenario = Scenario(
        name="smoke",
        description="asks for the opening hours",
        steps=(Step(Say("what_hours"), AfterAssistant(QUIET_MS)), Step(HangUp(), AfterAssistant(QUIET_MS))),
        deadline_s=CALL_S,
    )
    via = None if target.phone == target.public else target.phone
    config = PhoneConfig(
        public_url=target.public, auth_token=target.auth_token, call_sid=call_sid, incoming_path=INCOMING, via=via
    )
    async with Api(target.desk, target.username, target.password) as api:
        async with transcriptions(api, call_sid) as watcher:
            report = await place_call(config, scenario)
            complete = await watcher.until(lambda message: message["type"] == "call_completed")
        if report.violations:
            raise _Wrong(f"Twilio would not have taken this: {report.violations[0]}")
        if report.steps_done < len(scenario.steps):
            raise _Wrong(f"the assistant fell silent (the call ended by: {report.ended_by}, {report.problem})")
        if not complete:
            raise _Wrong("the dashboard was not told of the end of the call: do events get from Pub/Sub to `apply`?")
        head = await api.get(f"/api/v1/calls/{call_sid}")
    if not head.get("call", head).get("metadata", {}).get("test"):
        raise _Wrong("the record does not say that the call was a test")
    heard = _words(watcher)
    return f"spoke after {report.first_media_ms or 0:.0f} ms, {heard} lines on the dashboard, completed"


def _words(watcher: Watcher) -> int:
    return sum(message["type"] == "transcription" and bool(message.get("final")) for message in watcher.messages)


async def _neighbour(target: Target, call_sid: str) -> str:
    """The other revision takes this one's token and can read its call, and the other way round."""
    login = (target.username, target.password)
    async with Api(target.desk, *login) as mine, Api(target.others, *login) as theirs, _client() as client:
        for api, at in ((mine, target.others), (theirs, target.desk)):
            headers = {"Authorization": f"Bearer {api.token}"}
            answer = await client.get(f"{at}/api/v1/calls/{call_sid}", headers=headers)
            if answer.status_code != 200:
                raise _Wrong(f"{at} answered {answer.status_code} to a token of its neighbour")
    return "takes the other's tokens and calls"
