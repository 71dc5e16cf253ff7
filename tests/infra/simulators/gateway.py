"""A tiny gateway for the phone to call: HTTP webhooks and a media socket, both of the test's own making."""

from __future__ import annotations

import asyncio
import base64
import heapq
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from infra.simulators.clips import Clip
from infra.simulators.config import PhoneConfig
from infra.simulators.mulaw import BYTES_PER_MS
from infra.simulators.scenario import Scenario, parse_scenario

TOKEN = "12345678901234567890123456789012"
SPEED = 8
LOUD = b"\x20"
LINE = Clip("line", "test", "a line", LOUD * 400 * BYTES_PER_MS)


class FastClock:
    """A clock of its own, `SPEED` times as fast as the loop's, so that a call of seconds takes a fraction of one. It
    goes on in steps of a frame at most, while somebody waits, and never jumps: on a machine that is busy it is slow, as
    all else is, and no deadline comes before what should come before it."""

    STEP_S = 0.02

    def __init__(self) -> None:
        self._now = 0.0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._going: asyncio.Task[None] | None = None

    def now(self) -> float:
        return self._now

    async def sleep_until(self, when: float) -> None:
        if when <= self._now:
            await asyncio.sleep(0)
            return
        reached = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (when, next(self._numbers), reached))
        if self._going is None or self._going.done():
            self._going = asyncio.create_task(self._go())
        try:
            await reached
        except asyncio.CancelledError:
            if self._going and all(one.done() for _, _, one in self._waiting):  # nobody is left to go on for
                self._going.cancel()
                self._going = None
            raise

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        if until is None:
            await event.wait()
            return
        either = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.sleep_until(until))]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in either:
                one.cancel()

    async def _go(self) -> None:
        while self._waiting:
            when, _, reached = self._waiting[0]
            if reached.done() or when <= self._now:
                heapq.heappop(self._waiting)
                if not reached.done():
                    reached.set_result(None)
                continue
            step = min(when - self._now, self.STEP_S)
            await asyncio.sleep(step / SPEED)
            self._now = when if step == when - self._now else self._now + step


@dataclass(frozen=True)
class Posted:
    path: str
    form: Mapping[str, str]
    signed: bool


@dataclass
class Talk:
    """The gateway's end of one media stream."""

    socket: ServerConnection
    stream_sid: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.recv())
        self.received.append(message)
        self.stream_sid = message.get("streamSid", self.stream_sid)
        return message

    async def until(self, event: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th message of this kind from now on."""
        while True:
            message = await self.receive()
            if message["event"] == event:
                count -= 1
                if not count:
                    return message

    async def until_heard(self) -> None:
        """Until the caller makes a sound."""
        while True:
            message = await self.until("media")
            if base64.b64decode(message["media"]["payload"]).strip(b"\xff"):
                return

    async def until_quiet(self) -> None:
        """Until the caller is silent for a frame."""
        while True:
            message = await self.until("media")
            if not base64.b64decode(message["media"]["payload"]).strip(b"\xff"):
                return

    async def send(self, event: str, **body: Any) -> None:
        await self.socket.send(json.dumps({"event": event, "streamSid": self.stream_sid} | body))

    async def say(self, ms: int, mark: str | None = None) -> None:
        payload = base64.b64encode(LOUD * ms * BYTES_PER_MS).decode()
        await self.send("media", media={"payload": payload})
        if mark is not None:
            await self.send("mark", mark={"name": mark})

    async def to_the_end(self) -> list[dict[str, Any]]:
        """Everything until the phone is gone."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return self.received


Behaviour = Callable[[Talk], Awaitable[None]]


@dataclass
class FakeGateway:
    behaviour: Behaviour
    documents: dict[str, str]
    http: str = ""
    ws: str = ""
    posted: list[Posted] = field(default_factory=list)
    upgrades: list[bool] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    content_type: str = "text/xml"
    status: HTTPStatus = HTTPStatus.OK
    broken: set[str] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)

    async def on_media(self, socket: ServerConnection) -> None:
        talk = Talk(socket)
        self.talks.append(talk)
        try:
            await self.behaviour(talk)
        except ConnectionClosed:
            return
        except BaseException as error:
            self.failures.append(error)
            raise

    def on_upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        signature = request.headers.get("X-Twilio-Signature", "")
        good = RequestValidator(TOKEN).validate(self.ws + request.path, {}, signature)
        self.upgrades.append(good)
        return None if good else connection.respond(HTTPStatus.FORBIDDEN, "bad signature")

    async def on_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
            path = lines[0].split(" ")[1]
            answer = self.answer(path, body, headers.get("x-twilio-signature", ""))
            status = HTTPStatus.SERVICE_UNAVAILABLE if path in self.broken else self.status
            head = f"HTTP/1.1 {status.value} x\r\nContent-Type: {self.content_type}\r\nConnection: close\r\n"
            writer.write(f"{head}Content-Length: {len(answer.encode())}\r\n\r\n{answer}".encode())
            await writer.drain()
        except asyncio.IncompleteReadError:
            return  # the phone gave this request up: its call was over
        finally:
            writer.close()

    def answer(self, path: str, body: str, signature: str) -> str:
        form = dict(parse_qsl(body, keep_blank_values=True))
        signed = RequestValidator(TOKEN).validate(self.http + path, form, signature)
        self.posted.append(Posted(path, form, signed))
        return self.documents.get(path.partition("?")[0], "").replace("WS", self.ws)

    def forms(self, path: str) -> list[Mapping[str, str]]:
        return [posted.form for posted in self.posted if posted.path == path]

    def config(self, **changes: Any) -> PhoneConfig:
        defaults: dict[str, Any] = {"public_url": self.http, "auth_token": TOKEN, "clips": {"line": LINE}}
        return PhoneConfig(**(defaults | changes))


CONNECT = (
    '<Response><Connect><Stream url="WS/media"><Parameter name="token" value="t1"/></Stream></Connect>'
    "<Redirect>/api/v1/voice/resume</Redirect></Response>"
)
HANG_UP = "<Response><Hangup/></Response>"
INCOMING = "/api/v1/voice/incoming"
RESUME = "/api/v1/voice/resume"
STATUS = "/api/v1/voice/status"


@asynccontextmanager
async def gateway(behaviour: Behaviour, documents: Mapping[str, str] | None = None) -> AsyncIterator[FakeGateway]:
    fake = FakeGateway(behaviour, {INCOMING: CONNECT, RESUME: HANG_UP} | dict(documents or {}))
    web = await asyncio.start_server(fake.on_http, "127.0.0.1", 0)
    media: Server = await serve(fake.on_media, "127.0.0.1", 0, process_request=fake.on_upgrade, compression=None)
    fake.http = f"http://127.0.0.1:{web.sockets[0].getsockname()[1]}"
    fake.ws = f"ws://127.0.0.1:{next(iter(media.sockets)).getsockname()[1]}"
    try:
        yield fake
    finally:
        web.close()
        await web.wait_closed()
        media.close()
        await media.wait_closed()
        assert not fake.failures, fake.failures


def scenario(*steps: Mapping[str, Any], **top: Any) -> Scenario:
    return parse_scenario({"steps": list(steps), "quiet_ms": 300, "deadline_s": 60} | top, name="test")
