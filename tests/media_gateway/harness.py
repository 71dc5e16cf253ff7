"""A whole gateway for tests: real uvicorn on a free port, the embedded store, and a session that only takes notes."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from starlette.applications import Starlette
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from media_gateway.app import Gateway, create_app
from media_gateway.auth import Principal, Tokens
from media_gateway.auth.login import DemoLogin
from media_gateway.core import Core
from media_gateway.dashboard.ports import DemoCall
from media_gateway.server import DrainingServer, server
from media_gateway.settings import Settings, load
from media_gateway.telephony.media_stream import Limits
from media_gateway.voice.ports import Line, Microphone, Session, SessionFactory, StartedStream
from realtime.bus.port import Bus, BusMessage, PublishFailed

TOKEN = "a-twilio-auth-token"
KEY = "0123456789abcdef0123456789abcdef"
STREAM_SID = "MZ" + "5" * 32
VIEWER = Principal("ann", "default", "viewer")


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    """What a start outside `dev` needs, and nothing more."""
    return {
        "CALLBOARD_STORE": "embedded",
        "CALLBOARD_BUS": "embedded",
        "CALLBOARD_STT": "embedded",
        "CALLBOARD_LLM": "scripted",
        "CALLBOARD_TTS": "embedded",
        "CALLBOARD_DATA_DIR": str(tmp_path / "data"),
        "CALLBOARD_MAX_LAG_MS": "0",  # a busy machine turns no test's call away
        "TWILIO_AUTH_TOKEN": TOKEN,
        "JWT_SECRET": f"k1:{KEY}",
        "ADMIN_USERNAME": "admin",
        "ADMIN_PASSWORD": "correct horse battery staple",
        "PUBLIC_BASE_URL": "https://calls.example.com",
        **more,
    }


class NotedSession:
    """Satisfies `voice.ports.Session`; ends when told to, or when its stream does."""

    def __init__(self, started: StartedStream, line: Line) -> None:
        self.call_id = started.call_id
        self.started = started
        self.line = line
        self.notes: list[tuple[str, Any]] = []
        self.taps: list[Callable[[int, bytes], None]] = []
        self.over = asyncio.Event()
        self.crash = False
        self.ended = False

    def on_media(self, mulaw: bytes) -> None:
        self.notes.append(("media", mulaw))
        for tap in self.taps:
            tap(0, mulaw)

    def on_mark(self, name: str) -> None:
        self.notes.append(("mark", name))

    def on_digit(self, digit: str) -> None:
        self.notes.append(("digit", digit))

    def on_text(self, text: str) -> None:
        self.notes.append(("text", text))

    def on_stop(self) -> None:
        self.notes.append(("stop", None))
        self.over.set()

    def on_lost(self) -> None:
        self.notes.append(("lost", None))
        self.over.set()

    def add_tap(self, tap: Callable[[int, bytes], None]) -> Callable[[], None]:
        self.taps.append(tap)
        return lambda: self.taps.remove(tap)

    def on_commands(self) -> None:
        self.notes.append(("commands", None))

    def microphone(self, user: str) -> Microphone | None:
        return None

    async def run(self) -> None:
        await self.over.wait()
        if self.crash:
            raise RuntimeError("a bug in the session")
        self.ended = True

    def move(self) -> None:
        self.notes.append(("move", None))
        self.over.set()


class NotedBus:
    """Keeps what is published; fails when told to."""

    def __init__(self) -> None:
        self.messages: list[BusMessage] = []
        self.broken = False

    async def publish(self, message: BusMessage) -> None:
        if self.broken:
            raise PublishFailed("the bus is broken")
        self.messages.append(message)

    async def aclose(self) -> None:
        return None


@dataclass
class Running:
    """A gateway that runs."""

    settings: Settings
    app: Starlette
    server: DrainingServer
    bus: NotedBus
    http: httpx2.AsyncClient
    sessions: list[NotedSession] = field(default_factory=list)

    @property
    def gateway(self) -> Gateway:
        gateway: Gateway = self.app.state.gateway
        return gateway

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.settings.jwt_keys)

    def socket(self, path: str, **kwargs: Any) -> connect:
        """Open a socket as the outside does."""
        uri = f"ws://{self.settings.public_host}{path}"
        return connect(uri, host="127.0.0.1", port=self.server.bound_port, proxy=None, **kwargs)

    async def twilio(self, path: str, form: dict[str, str], *, token: str = TOKEN, **kwargs: Any) -> httpx2.Response:
        """A signed webhook."""
        signature = RequestValidator(token).compute_signature(self.settings.base_url + path, form)
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        return await self.http.post(path, content=urlencode(form), headers=headers, **kwargs)

    def media(self, *, token: str = TOKEN, path: str = "/api/v1/voice/media-stream") -> connect:
        """A signed media stream, before `start`."""
        signed = RequestValidator(token).compute_signature(f"{self.settings.socket_base_url}{path}", {})
        return self.socket(path, additional_headers={"X-Twilio-Signature": signed})

    def bearer(self, principal: Principal = VIEWER) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens.access(principal)}"}

    async def ring(self, call_sid: str, **form: str) -> str:
        """A call comes in; the stream token in the TwiML."""
        answer = await self.twilio("/api/v1/voice/incoming", {"CallSid": call_sid, "From": "+15550001111", **form})
        assert answer.status_code == 200, answer.text
        return answer.text.split('name="token" value="')[1].split('"')[0]

    async def session(self, call_sid: str) -> NotedSession:
        """The session of this call, once its stream has started."""
        await self.until(lambda: any(session.call_id == call_sid for session in self.sessions))
        return next(session for session in self.sessions if session.call_id == call_sid)

    async def until(self, holds: Callable[[], object]) -> None:
        """Poll: what tests wait for here has no event of its own."""
        async with asyncio.timeout(20):
            while not holds():
                await asyncio.sleep(0.005)

    async def journal_size(self) -> int:
        """How many events all journals hold, to show that nothing was written."""
        calls, _ = await self.gateway.core.journal.calls(org="default", limit=200)
        return sum(call.seq for call in calls)


@asynccontextmanager
async def gateway(
    tmp_path: Path,
    *,
    dev: bool = False,
    demo_login: DemoLogin | None = None,
    demo_call: DemoCall | None = None,
    limits: Limits | None = None,
    bus: Bus | None = None,
    make: Callable[[Core, StartedStream, Line], NotedSession] = lambda _, started, line: NotedSession(started, line),
    **env: str,
) -> AsyncIterator[Running]:
    """Start one, stop it. `make` makes its sessions."""
    settings = load(environ(tmp_path, **env), dev=dev)
    sessions: list[NotedSession] = []
    noted = NotedBus()

    async def build(core: Core) -> SessionFactory:
        def factory(started: StartedStream, line: Line) -> Session:
            sessions.append(make(core, started, line))
            return sessions[-1]

        return factory

    app = create_app(
        settings,
        build_sessions=build,
        bus=bus or noted,
        demo_login=demo_login,
        demo_call=demo_call,
        limits=limits,
    )
    running: DrainingServer = server(app, settings, host="127.0.0.1", port=int(env.get("PORT", "0")))
    task = asyncio.create_task(running._serve())  # without its signal handlers
    try:
        async with asyncio.timeout(30):
            while not running.started:
                assert not task.done(), task.exception()
                await asyncio.sleep(0.005)
        url = f"http://127.0.0.1:{running.bound_port}"
        headers = {"Host": settings.public_host}
        async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60) as http:
            yield Running(settings, app, running, noted, http, sessions)
    finally:
        running.should_exit = True
        await asyncio.wait_for(task, 10)


def connected() -> str:
    return json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


def start(call_sid: str, token: str | None, *, stream_sid: str = STREAM_SID, **more: Any) -> str:
    parameters = {} if token is None else {"token": token}
    body = {
        "accountSid": "AC" + "0" * 32,
        "streamSid": stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
        **more,
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": stream_sid, "start": body})


def media(mulaw: bytes = b"\xff" * 160, *, stream_sid: str = STREAM_SID) -> str:
    payload = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": b64encode(mulaw).decode()}
    return json.dumps({"event": "media", "sequenceNumber": "2", "streamSid": stream_sid, "media": payload})


async def closed(ws: ClientConnection) -> int | None:
    """The close code, once the server has closed; whatever it sent before is read away."""
    async with asyncio.timeout(20):
        with suppress(ConnectionClosed):
            while True:
                await ws.recv()
        await ws.wait_closed()
    return ws.close_code
