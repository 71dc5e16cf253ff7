"""A gateway that says what a test tells it to: the real page and its real policy, everything behind it invented.

The routes and messages are those of `media_gateway.dashboard`; `Stub.emit` is the call.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.dashboard.page import Page

CALL = "CA00000000000000000000000000000001"
CODE = "one-time-code"
TOKEN = ".".join(("e30", base64.urlsafe_b64encode(b'{"sub":"ana","role":"operator","exp":4102444800}').decode(), "sig"))
LIVE = ("partial_transcript", "ai_response_chunk")
_ENGINES = [
    {"stage": "hearing", "name": "pocketsphinx", "demo": True, "unlock": "DEEPGRAM_API_KEY"},
    {"stage": "thinking", "name": "scripted", "demo": True, "unlock": "OPENAI_API_KEY"},
    {"stage": "speaking", "name": "espeak-ng", "demo": True, "unlock": "DEEPGRAM_API_KEY or ELEVENLABS_API_KEY"},
]


class Stub:
    """One server, one call's journal. Methods may be called from the test's thread."""

    def __init__(self) -> None:
        self.journal: list[dict[str, Any]] = []
        self.head: dict[str, Any] | None = None
        self.said: list[str] = []
        self.started: list[Mapping[str, Any]] = []
        self.refusing = False
        self.token = TOKEN
        self.codes = {CODE}
        self.began = datetime.now(UTC).replace(microsecond=0)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._events: set[WebSocket] = set()
        self._listeners: set[WebSocket] = set()
        self.address = ""

    # --- what a test does ---

    def emit(self, event: str, seq: int | None = None, **data: Any) -> None:
        """Happen: into the journal (durable events) and to every connected page. `seq` repeats an old event."""
        self._do(self._emit(event, seq, data, told=True))

    def append(self, event: str, **data: Any) -> None:
        """Into the journal only, as if nobody had been connected."""
        self._do(self._emit(event, None, data, told=False))

    def drop(self, *, refuse: bool = False) -> None:
        """Lose every socket; with `refuse` nobody gets in again until `accept`."""
        self.refusing = refuse
        self._do(self._drop())

    def accept(self) -> None:
        """Let pages in again."""
        self.refusing = False

    def sound(self, side: int, mulaw: bytes) -> None:
        """To everyone who listens in."""
        self._do(self._sound(bytes([side]) + mulaw))

    @property
    def watching(self) -> int:
        """How many pages hold an events socket."""
        return len(self._events)

    @property
    def listening(self) -> int:
        """How many listen in."""
        return len(self._listeners)

    # --- the inside ---

    def _do(self, work: Any) -> None:
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(work, self.loop).result(5)

    async def _emit(self, event: str, seq: int | None, data: Mapping[str, Any], *, told: bool) -> None:
        at = (self.began + timedelta(seconds=len(self.journal))).isoformat().replace("+00:00", "Z")
        place: dict[str, Any] = {}
        if seq is not None:
            known = self.journal[seq - 1]
            event, data, place = known["type"], known["data"], {"seq": seq, "epoch": "e1"}
        elif event not in LIVE:
            place = {"seq": len(self.journal) + 1, "epoch": "e1"}
            kind = "turn_metrics" if event == "metrics_updated" else event
            self.journal.append(
                {"call_id": CALL, "epoch": "e1", "seq": place["seq"], "type": kind, "ts": at, "data": dict(data)}
            )
            if event == "call_status" and self.head is not None:
                self.head["status"] = data["status"]
                self.head["ended_at"] = data.get("call_end_time")
        if told:
            name = "metrics_updated" if event == "turn_metrics" else event
            message = {"text": None, **data, **place, "session_id": CALL, "userId": "+15550100", "timestamp": at}
            for ws in list(self._events):
                await ws.send_json({"event": name, "data": message})

    async def _drop(self) -> None:
        for ws in [*self._events, *self._listeners]:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await ws.close(1012)

    async def _sound(self, frame: bytes) -> None:
        for ws in list(self._listeners):
            await ws.send_bytes(frame)

    # --- the routes ---

    def app(self) -> Starlette:
        """The gateway's routes, as far as the first page uses them."""
        return Starlette(
            routes=[
                *Page().routes(),
                Route("/auth/demo", self._demo_login, methods=["POST"]),
                Route("/auth/login", self._login, methods=["POST"]),
                Route("/ws-ticket", self._ticket, methods=["POST"]),
                Route("/api/v1/about", self._about),
                Route("/api/v1/calls", self._calls),
                Route("/api/v1/calls/{call_id}/events", self._events_after),
                Route("/api/v1/demo/call", self._start, methods=["POST"]),
                Route("/api/v1/demo/say", self._say, methods=["POST"]),
                WebSocketRoute("/ws/events", self._serve_events),
                WebSocketRoute("/api/v1/calls/{call_id}/listen", self._serve_sound),
            ]
        )

    async def _demo_login(self, request: Request) -> Response:
        code = (await request.json())["code"]
        if code not in self.codes:
            return _error(401, "This link was used already.")
        self.codes.remove(code)
        return JSONResponse({"access_token": self.token, "token_type": "bearer", "expires_in": 3600})

    async def _login(self, request: Request) -> Response:
        if (await request.json()) != {"username": "admin", "password": "right"}:
            return _error(401, "Wrong user name or password.")
        return JSONResponse({"access_token": self.token, "token_type": "bearer", "expires_in": 3600})

    async def _ticket(self, request: Request) -> Response:
        if self.refusing:
            return _error(503, "Going away.")
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, "No token.")
        return JSONResponse({"ticket": "ticket", "expires_in": 30})

    async def _about(self, _request: Request) -> Response:
        store = "embedded"
        return JSONResponse({"engines": _ENGINES, "store": store, "demo": True, "base_url": self.address})

    async def _calls(self, request: Request) -> Response:
        if self.refusing or request.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401 if not self.refusing else 503, "No.")
        return JSONResponse({"calls": [self.head] if self.head and self.journal else [], "next_cursor": None})

    async def _events_after(self, request: Request) -> Response:
        if not self.journal:
            return _error(404, "There is no such call.")
        after = int(request.query_params["after"])
        return JSONResponse({"events": self.journal[after : after + 20], "seq": len(self.journal), "epoch": "e1"})

    async def _start(self, request: Request) -> Response:
        self.started.append(await request.json())
        self.head = {
            "call_id": CALL, "caller_phone": "+15005550100", "flow": "inbound_new", "status": "initiated",
            "started_at": self.began.isoformat(), "ended_at": None, "conversation_state": None, "metadata": {},
        }  # fmt: skip
        return JSONResponse({"call_id": CALL, "status": "initiated"}, 202)

    async def _say(self, request: Request) -> Response:
        self.said.append((await request.json())["text"])
        return JSONResponse({"call_id": CALL}, 202)

    async def _serve_events(self, ws: WebSocket) -> None:
        async with _admitted(ws, self._events):
            while True:
                if (await ws.receive_json())["type"] == "ping":
                    await ws.send_json({"type": "pong"})

    async def _serve_sound(self, ws: WebSocket) -> None:
        async with _admitted(ws, self._listeners):
            await ws.receive()


@contextlib.asynccontextmanager
async def _admitted(ws: WebSocket, room: set[WebSocket]) -> AsyncIterator[None]:
    await ws.accept()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        assert (await ws.receive_json()) == {"type": "connect", "ticket": "ticket"}
        await ws.send_json({"type": "authenticated", "user": "admin"})
        room.add(ws)
        try:
            yield
        finally:
            room.discard(ws)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"code": "no", "message": message, "fix": ""}}, status)


@contextlib.contextmanager
def serving() -> Iterator[Stub]:
    """A stub on a free port of this machine, gone again afterwards."""
    stub = Stub()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stub.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            stub.app(), log_level="warning", ws="websockets-sansio", lifespan="off", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        ready = threading.Event()
        thread = threading.Thread(target=_run, args=(server, listener, stub, ready.set), name="stub")
        thread.start()
        try:
            assert ready.wait(10)
            yield stub
        finally:
            server.should_exit = True
            thread.join(10)


def _run(server: uvicorn.Server, listener: socket.socket, stub: Stub, ready: Callable[[], None]) -> None:
    async def main() -> None:
        stub.loop = asyncio.get_running_loop()
        stub.loop.call_later(0.05, ready)
        await server.serve(sockets=[listener])

    asyncio.run(main())
