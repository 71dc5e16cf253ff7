"""A gateway that says what a test tells it to: the real page and its real policy, everything behind it invented.

The routes and messages are those of `media_gateway.dashboard`; `Stub.emit` is what happens in a call.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
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
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.dashboard.page import Page
from tests.browser.archive import Archive

CALL = "CA00000000000000000000000000000001"
CODE = "one-time-code"
COMMANDS = ("say", "whisper", "transfer", "takeover", "release", "hangup", "approve", "refuse")
POLLED = "200"
"""The limit with which a page without a socket asks; other limits are those of History."""
LIVE = ("partial_transcript", "ai_response_chunk")
_ENGINES = [
    {"stage": "hearing", "name": "pocketsphinx", "demo": True, "unlock": "DEEPGRAM_API_KEY"},
    {"stage": "thinking", "name": "scripted", "demo": True, "unlock": "OPENAI_API_KEY"},
    {"stage": "speaking", "name": "espeak-ng", "demo": True, "unlock": "DEEPGRAM_API_KEY or ELEVENLABS_API_KEY"},
]


def token(role: str, *, user: str = "ana", expires: int = 4_102_444_800) -> str:
    """As the login gives it; the page reads who it is, nobody checks the signature here."""
    claims = json.dumps({"sub": user, "role": role, "exp": expires}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.sig"


class Stub:
    """One server and the journals of a few calls. Methods may be called from the test's thread."""

    def __init__(self) -> None:
        self.journals: dict[str, list[dict[str, Any]]] = {CALL: []}
        self.heads: dict[str, dict[str, Any]] = {}
        self.said: list[str] = []
        self.started: list[Mapping[str, Any]] = []
        self.commanded: list[tuple[str, str, Mapping[str, Any]]] = []
        """(kind, call, body) of what supervisors asked for."""
        self.refusal: tuple[int, str] | None = None
        """How the next commands are refused: (status, message)."""
        self.spoken = bytearray()
        """What a supervisor said who took over."""
        self.released = False
        self.refusing = False
        self.no_sockets = False
        self.page_size = 20
        """Events in an answer; the gateway gives 500."""
        self.archive = Archive()
        self.token = token("operator")
        self.codes = {CODE}
        self.began = datetime.now(UTC).replace(microsecond=0)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._events: set[WebSocket] = set()
        self._listeners: set[WebSocket] = set()
        self._moments = 0
        self.address = ""
        self.more: list[Route] = []
        """Routes of the page that a test is about."""

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Of the demo call."""
        return self.journals[CALL]

    # --- what a test does ---

    def call(self, call_id: str = CALL, phone: str = "+15005550100", **more: Any) -> None:
        """A call begins."""
        self.journals.setdefault(call_id, [])
        self.heads[call_id] = {
            "call_id": call_id, "caller_phone": phone, "flow": "inbound_new", "status": "initiated", "epoch": "e1",
            "started_at": self.began.isoformat(), "ended_at": None, "conversation_state": None, "metadata": {},
        } | more  # fmt: skip

    def emit(self, event: str, seq: int | None = None, call: str = CALL, **data: Any) -> None:
        """Happen: into the journal (durable events) and to every connected page. `seq` repeats an old event."""
        self._do(self._emit(event, seq, call, data, told=True))

    def append(self, event: str, call: str = CALL, **data: Any) -> None:
        """Into the journal only, as if nobody had been connected."""
        self._do(self._emit(event, None, call, data, told=False))

    def tell(self, **message: Any) -> None:
        """To every connected page, whatever it is."""
        self._do(self._tell(message))

    def drop(self, *, refuse: bool = False, code: int = 1011) -> None:
        """Lose every socket; with `refuse` nobody gets in again until `accept`."""
        self.refusing = refuse
        self._do(self._drop(code))

    def accept(self) -> None:
        """Let pages in again."""
        self.refusing = self.no_sockets = False

    def sound(self, side: int, mulaw: bytes) -> None:
        """To everyone who listens in."""
        self._do(self._sound(bytes([side]) + mulaw))

    @property
    def watching(self) -> int:
        """How many pages hold a live socket."""
        return len(self._events)

    @property
    def listening(self) -> int:
        """How many listen in."""
        return len(self._listeners)

    # --- the inside ---

    def _do(self, work: Any) -> None:
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(work, self.loop).result(5)

    async def _emit(self, event: str, seq: int | None, call: str, data: Mapping[str, Any], *, told: bool) -> None:
        journal = self.journals[call]
        at = (self.began + timedelta(seconds=len(journal))).isoformat().replace("+00:00", "Z")
        if event in LIVE:
            self._moments += 1
            place = {"live_epoch": "i1", "n": self._moments}
            await self._tell({"type": "live", "call_id": call, **place, "event": event, "ts": at, "data": dict(data)})
            return
        if seq is None:
            seq = len(journal) + 1
            kind = "turn_metrics" if event == "metrics_updated" else event
            journal.append({"call_id": call, "epoch": "e1", "seq": seq, "type": kind, "ts": at, "data": dict(data)})
            if event == "call_status" and call in self.heads:
                self.heads[call]["status"] = data["status"]
                self.heads[call]["ended_at"] = data.get("call_end_time")
        if told:
            await self._tell(_wire(journal[seq - 1]))

    async def _tell(self, message: Mapping[str, Any]) -> None:
        for ws in list(self._events):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await ws.send_json(message)

    async def _drop(self, code: int) -> None:
        for ws in [*self._events, *self._listeners]:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await ws.close(code)

    async def _sound(self, frame: bytes) -> None:
        for ws in list(self._listeners):
            await ws.send_bytes(frame)

    def _known(self) -> list[dict[str, Any]]:
        return [head | {"seq": len(self.journals[id])} for id, head in self.heads.items() if self.journals[id]]

    # --- the routes ---

    def app(self) -> Starlette:
        """The gateway's routes, as far as the first page uses them."""
        return Starlette(
            routes=[
                *self.more,
                *Page().routes(),
                Route("/auth/demo", self._demo_login, methods=["POST"]),
                Route("/auth/login", self._login, methods=["POST"]),
                Route("/ws-ticket", self._ticket, methods=["POST"]),
                Route("/api/v1/about", self._about),
                Route("/api/v1/calls", self._calls),
                Route("/api/v1/calls/{call_id}/events", self._events_after),
                *self.archive.routes(),
                Route("/api/v1/demo/call", self._start, methods=["POST"]),
                Route("/api/v1/demo/say", self._say, methods=["POST"]),
                *(
                    Route(f"/api/v1/calls/{{call_id}}/{kind}", self._command, methods=["POST"], name=kind)
                    for kind in COMMANDS
                ),
                WebSocketRoute("/ws/v1", self._serve_events),
                WebSocketRoute("/api/v1/calls/{call_id}/listen", self._serve_sound),
                WebSocketRoute("/api/v1/calls/{call_id}/takeover", self._serve_takeover),
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
        if not request.headers.get("authorization", "").startswith("Bearer e30."):
            return _error(401, "No token.")
        return JSONResponse({"ticket": "ticket", "expires_in": 30})

    async def _about(self, _request: Request) -> Response:
        store = "embedded"
        flows = ["inbound_new", "outbound_followup", "outbound_reminder"]
        return JSONResponse(
            {"engines": _ENGINES, "store": store, "demo": True, "base_url": self.address, "flows": flows}
        )

    async def _calls(self, request: Request) -> Response:
        if self.refusing or not request.headers.get("authorization", "").startswith("Bearer e30."):
            return _error(401 if not self.refusing else 503, "No.")
        if request.query_params.get("limit", POLLED) != POLLED:
            return self.archive.page(request.query_params)
        return JSONResponse({"calls": self._known(), "next_cursor": None})

    async def _events_after(self, request: Request) -> Response:
        journal = self.journals.get(request.path_params["call_id"])
        if not journal and any(head["call_id"] == request.path_params["call_id"] for head in self.archive.heads):
            return JSONResponse({"events": [], "seq": 0, "epoch": "e1"})
        if self.refusing or not journal:
            return _error(503 if self.refusing else 404, "There is no such call.")
        after = int(request.query_params["after"])
        return JSONResponse({"events": journal[after : after + self.page_size], "seq": len(journal), "epoch": "e1"})

    async def _start(self, request: Request) -> Response:
        self.started.append(await request.json())
        self.call()
        return JSONResponse({"call_id": CALL, "status": "initiated"}, 202)

    async def _command(self, request: Request) -> Response:
        kind, call = request.url.path.rsplit("/", 1)[1], request.path_params["call_id"]
        self.commanded.append((kind, call, await request.json()))
        if self.refusal is not None:
            return _error(*self.refusal)
        return JSONResponse({"command_id": f"cmd-{len(self.commanded)}"}, 202)

    async def _say(self, request: Request) -> Response:
        self.said.append((await request.json())["text"])
        return JSONResponse({"call_id": CALL}, 202)

    async def _serve_events(self, ws: WebSocket) -> None:
        if self.no_sockets or self.refusing:
            await ws.close()
            return
        await ws.accept("callboard.v1")
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            hello = await ws.receive_json()
            assert (hello["type"], hello["token"]) == ("connect", "ticket")
            await ws.send_json({"type": "reply", "id": hello["id"], "ok": True, "result": {"conn": "c1", "ping": 25}})
            try:
                while True:
                    await self._answer(ws, await ws.receive_json())
            finally:
                self._events.discard(ws)

    async def _answer(self, ws: WebSocket, command: Mapping[str, Any]) -> None:
        """The commands of callboard.v1, as far as the page uses them."""
        if command["type"] == "pong":
            return
        result: dict[str, Any] = {}
        replay: list[dict[str, Any]] = []
        if command["type"] == "subscribe" and command["call_id"] == "*":
            self._events.add(ws)
            result = {"call_id": "*", "heads": self._known(), "cursor": "k1", "recovered": True}
        elif command["type"] == "subscribe":
            journal = self.journals[command["call_id"]]
            replay = journal[command["since"]["seq"] :]
            done = bool(journal) and journal[-1]["type"] == "call_completed"
            result = {"call_id": command["call_id"], "epoch": "e1", "head": len(journal), "recovered": True}
            result |= {"replayed": len(replay), "done": done}
        await ws.send_json({"type": "reply", "id": command["id"], "ok": True, "result": result})
        for event in replay:
            await ws.send_json(_wire(event))

    async def _serve_takeover(self, ws: WebSocket) -> None:
        await ws.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            assert (await ws.receive_json())["ticket"] == "ticket"
            while True:
                message = await ws.receive()
                self.spoken += message.get("bytes") or b""
                self.released |= "release" in (message.get("text") or "")

    async def _serve_sound(self, ws: WebSocket) -> None:
        async with _admitted(ws, self._listeners):
            await ws.receive()


@contextlib.asynccontextmanager
async def _admitted(ws: WebSocket, room: set[WebSocket]) -> AsyncIterator[None]:
    await ws.accept()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        assert (await ws.receive_json())["ticket"] == "ticket"
        await ws.send_json({"type": "authenticated", "user": "admin"})
        room.add(ws)
        try:
            yield
        finally:
            room.discard(ws)


def _wire(event: Mapping[str, Any]) -> dict[str, Any]:
    name = "metrics_updated" if event["type"] == "turn_metrics" else event["type"]
    return {**event, "type": "event", "event": name}


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"code": "no", "message": message, "fix": ""}}, status)


class Host:
    """A server that outlives its stubs: one after the other answers for it."""

    def __init__(self) -> None:
        self.address = ""
        self.loop: asyncio.AbstractEventLoop | None = None
        self._app: Starlette | None = None

    def take(self, *more: Route) -> Stub:
        """A new stub, with `more` routes, in the place of the one before. Its pages are to be closed by then."""
        stub = Stub()
        stub.more, stub.address, stub.loop = list(more), self.address, self.loop
        self._app = stub.app()
        return stub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None
        await self._app(scope, receive, send)


@contextlib.contextmanager
def hosting() -> Iterator[Host]:
    """A server on a free port of this machine, gone again afterwards."""
    host = Host()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            host, log_level="warning", ws="websockets-sansio", lifespan="off", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        ready = threading.Event()
        thread = threading.Thread(target=_run, args=(server, listener, host, ready.set), name="stub")
        thread.start()
        try:
            assert ready.wait(10)
            yield host
        finally:
            server.should_exit = True
            thread.join(10)


@contextlib.contextmanager
def serving(*more: Route) -> Iterator[Stub]:
    """A stub with a server of its own; with `more` routes."""
    with hosting() as host:
        yield host.take(*more)


def _run(server: uvicorn.Server, listener: socket.socket, host: Host, ready: Callable[[], None]) -> None:
    async def main() -> None:
        host.loop = asyncio.get_running_loop()
        host.loop.call_later(0.05, ready)
        await server.serve(sockets=[listener])

    asyncio.run(main())
