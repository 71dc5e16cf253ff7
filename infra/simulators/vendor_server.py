"""A vendor's socket and HTTP API on one loopback port, with its faults where they belong: at the socket.

A simulated vendor is an ASGI application; what it says on a connection goes through `Wire`, which lets the fault of
that connection befall it. One server can hold several applications by path (`Routes`), as a vendor's one origin does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, cast
from urllib.parse import parse_qsl

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.simulators.vendor_faults import Fault, Kind, Trouble


class Gone(Exception):
    """The connection is over."""


class Wire:
    """One WebSocket, from the vendor's side. `error` is the vendor's own error message (Kind.ERROR), after which it
    closes with the fault's code."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, trouble: Trouble, error: str) -> None:
        self.path: str = scope["path"]
        self.query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.trouble = trouble
        self.over = False
        self._receive = receive
        self._send = send
        self._error = error
        self._watcher: asyncio.Task[None] | None = None

    @property
    def empty(self) -> bool:
        """All is to be answered in order with nothing in it."""
        return self.trouble.striking is Kind.EMPTY

    async def accept(self) -> None:
        """Open it, unless the fault is that it is not opened. Raises Gone."""
        if self.trouble.striking is Kind.REFUSED:
            await self.abort()
        if self.trouble.fault and self.trouble.fault.at_once and self.trouble.refusal:
            await self.refuse(self.trouble.refusal, b'{"message":"refused by a fault"}')
        await self._receive()
        if self.trouble.striking is Kind.HUNG:
            await self._receive()  # never answers the handshake, until the peer gives up
            raise Gone
        await self._send({"type": "websocket.accept"})
        wakes = self.trouble.wakes_after
        if wakes is not None:
            self._watch(wakes)
        self.trouble.woken = lambda: self._watch(0.0)

    async def refuse(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> NoReturn:
        """Answer the handshake with this instead."""
        given = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        start = {"type": "websocket.http.response.start", "status": status}
        await self._send({**start, "headers": [(b"content-type", b"application/json"), *given]})
        await self._send({"type": "websocket.http.response.body", "body": body})
        raise Gone

    async def receive(self) -> str | bytes:
        """The next message. Raises Gone."""
        if self.over:
            raise Gone
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self.over = True
            raise Gone
        text = message.get("text")
        return text if text is not None else cast("bytes", message["bytes"])

    async def send(self, message: str | bytes) -> None:
        """Say this, or what the fault makes of it. Raises Gone."""
        if self.over:
            raise Gone
        match self.trouble.strikes():
            case None | Kind.EMPTY:
                await self._put(message)
            case Kind.SLOW:
                assert self.trouble.fault
                await asyncio.sleep(self.trouble.fault.delay_ms / 1000)
                await self._put(message)
            case Kind.GARBAGE:
                await self._put(self.trouble.garbage())
            case Kind.CUT | Kind.REFUSED:
                await self.abort()
            case Kind.CLOSE | Kind.ERROR as kind:
                await self._strike(kind)
            case _:
                pass  # hung: it takes everything and says nothing

    async def close(self, code: int = 1000, reason: str = "") -> NoReturn:
        """An orderly end."""
        self.over = True
        with contextlib.suppress(Exception):  # the peer may have been faster
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        raise Gone

    async def abort(self) -> NoReturn:
        """Reset it without a word."""
        self.over = True
        transport_of(self._send).abort()
        raise Gone

    def release(self) -> None:
        """Nothing more will be done with it."""
        if self._watcher:
            self._watcher.cancel()
        self.trouble.woken = None

    async def _put(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        try:
            await self._send({"type": "websocket.send", kind: message})
        except Exception as left:  # which exception says so depends on the server's state
            self.over = True
            raise Gone from left

    def _watch(self, seconds: float) -> None:
        if self._watcher:
            self._watcher.cancel()
        self._watcher = asyncio.create_task(self._strike_later(seconds))

    async def _strike_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        assert self.trouble.fault
        if self.over:
            return
        with contextlib.suppress(Gone):
            if self.trouble.fault.kind is Kind.CUT:
                await self.abort()
            await self._strike(self.trouble.fault.kind)

    async def _strike(self, kind: Kind) -> None:
        fault: Fault | None = self.trouble.fault
        assert fault
        if kind is Kind.ERROR:
            await self._put(self._error)
        await self.close(fault.code, fault.reason)


def transport_of(send: Send) -> asyncio.Transport:
    """The connection under an ASGI `send` of uvicorn's, to reset it."""
    return cast(asyncio.Transport, cast(Any, send).__self__.transport)


@dataclass(frozen=True, slots=True)
class Routes:
    """ASGI: the first of `apps` whose path fragment is in the request's path, else `otherwise`."""

    apps: Mapping[str, ASGIApp]
    otherwise: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = next((app for part, app in self.apps.items() if part in scope["path"]), self.otherwise or not_found)
        await app(scope, receive, send)


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """404, for a request and for a handshake."""
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    await answer(send, 404, b'{"err_code":"NOT_FOUND"}', kind=kind)


async def answer(
    send: Send, status: int, body: bytes, *, kind: str = "http.response", content_type: str = "application/json"
) -> None:
    """A whole answer."""
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


async def body_of(receive: Receive) -> bytes:
    """The whole of a request's body."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def on_wire(wire: Wire, serve: Callable[[Wire], Awaitable[None]]) -> None:
    """Serve a connection to its end."""
    try:
        await serve(wire)
    except Gone:
        pass
    finally:
        wire.release()


@asynccontextmanager
async def listening(app: ASGIApp, port: int = 0) -> AsyncIterator[int]:
    """Serve on loopback; yields the port."""
    with socket.create_server(("127.0.0.1", port)) as sock:
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            async with asyncio.timeout(10):
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.005)
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait({serving}, timeout=10)


class _Server(uvicorn.Server):
    """Signals belong to whoever runs the simulator."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
