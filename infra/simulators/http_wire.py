"""HTTP/1.1 on a bare socket, for simulators that must misbehave at the socket: a reset instead of an answer, an answer
that breaks off, one that never comes. Knows when the client went away, and costs little per streamed message.

    wire = HttpWire(handle)             # async def handle(exchange: Exchange) -> None
    async with wire.serving() as port: ...
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, cast

MOST = 16 * 1024 * 1024
"""Bytes of a request."""

Handler = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """A request and its answer. `gone` is set when the client closed before the answer was whole."""

    def __init__(
        self, transport: asyncio.Transport, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        self.method = method
        self.path = target.partition("?")[0]
        self.headers = headers
        self.body = body
        self.gone = False
        self.done = False
        self._transport = transport
        self._chunked = False

    def answer(self, status: int, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> None:
        """The whole answer at once."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        self._transport.write(_head(status, {**kind, **(headers or {})}) + content)
        self.done = True

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """An answer that comes in pieces."""
        self._chunked = True
        self._transport.write(_head(status, {"Transfer-Encoding": "chunked", **headers}))

    def send(self, piece: bytes) -> None:
        """A piece of it."""
        if piece and not self.gone:
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def end(self) -> None:
        """All of it was sent."""
        if not self.gone:
            self._transport.write(b"0\r\n\r\n")
        self.done = True

    def abort(self) -> None:
        """Reset the connection."""
        self._transport.abort()


class _Connection(asyncio.Protocol):
    """One client; requests one after the other."""

    def __init__(self, handle: Handler, connections: set[_Connection]) -> None:
        self._handle = handle
        self._connections = connections
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._exchange and not self._exchange.done:
            self._exchange.gone = True
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        assert self._transport
        if self._task is not None or self._transport.is_closing():
            return
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = headers.get("content-length", "0")
        if len(first.split(" ")) != 3 or not length.isdecimal() or int(length) > MOST or "transfer-encoding" in headers:
            self._transport.write(_head(400, {"Content-Length": "0", "Connection": "close"}))
            self._transport.close()
            return
        if len(rest) < int(length):
            return
        method, target, _ = first.split(" ")
        self._buffer = rest[int(length) :]
        self._exchange = Exchange(self._transport, method, target, headers, bytes(rest[: int(length)]))
        self._task = asyncio.get_running_loop().create_task(self._serve(self._exchange))

    async def _serve(self, exchange: Exchange) -> None:
        try:
            await self._handle(exchange)
        except Exception as problem:
            exchange.abort()
            told = {"message": "the simulator has a fault", "exception": problem}
            asyncio.get_running_loop().call_exception_handler(told)
        self._task = None
        if not exchange.done:
            exchange.abort()
        self._next()

    async def aclose(self) -> None:
        assert self._transport
        task = self._task
        self._transport.abort()
        if task:
            task.cancel()
            await asyncio.wait({task})


class HttpWire:
    """The server."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self.connections: set[_Connection] = set()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        """On the loopback interface; gives the port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self._handle, self.connections), "127.0.0.1", port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await asyncio.gather(*(connection.aclose() for connection in list(self.connections)))
            await asyncio.sleep(0)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
