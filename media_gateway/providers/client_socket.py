"""A WebSocket to a vendor: websockets' sans-I/O core straight on an asyncio transport, and plain frames past it.

One inbound frame of the caller is one `send_binary` here: no task, queue, lock or await, and no reader task beside it.
Messages that are whole and plain are put together and taken apart by `ws_frames`; the handshake, fragments, control
frames and everything that is wrong are the core's.

No permessage-deflate (sound does not shrink), no proxy. Callbacks are plain functions on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import WebSocketURI, parse_uri

from media_gateway import ws_frames

_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.INFO)  # at DEBUG the core would log the headers, and with them the vendor's key

MAX_MESSAGE = 256 * 1024
LINGER_S = 1.0
MAX_HEAD = 64 * 1024
"""Of the answer to the handshake."""
MAX_UNSENT = 64 * 1024
"""Eight seconds of sound that the peer does not read: it is not listening any more."""


class Refused(Exception):
    """The peer answered the handshake with this HTTP status. `headers` by lower-case name."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers


class ClientSocket(asyncio.Protocol):
    """Made by `connect`. `on_message(data, is_text)`; `on_lost(code, reason)` comes once, when the connection is gone
    without our `aclose` or `abort`: 1006 when nobody closed it in order, 1005 for a close without a code."""

    def __init__(
        self, uri: WebSocketURI, on_message: Callable[[bytes, bool], None], on_lost: Callable[[int, str], None]
    ) -> None:
        self._protocol = ClientProtocol(uri, max_size=MAX_MESSAGE, logger=_LOGGER)
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._write: Callable[[bytes], None] = _nowhere
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._parts: list[bytes] = []
        self._text = True
        self._buffer = b""
        self._headed = False
        self._core_alone = False
        """Something began that only the core can follow."""
        self._silent = False
        self._sends = False
        """The core's own state is asked only where it may have changed, and not for each frame of sound."""
        self.pongs = 0
        """How often the peer has answered a ping."""

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        headers: Mapping[str, str],
        on_message: Callable[[bytes, bool], None],
        on_lost: Callable[[int, str], None],
        context: ssl.SSLContext | None = None,
    ) -> ClientSocket:
        """Opens. Raises Refused, OSError or WebSocketException; the caller sets the deadline."""
        uri = parse_uri(url)
        socket = cls(uri, on_message, on_lost)
        await asyncio.get_running_loop().create_connection(
            lambda: socket,
            uri.host,
            uri.port,
            ssl=(context or ssl.create_default_context()) if uri.secure else None,
        )
        try:
            request = socket._protocol.connect()
            request.headers.update(headers)
            socket._protocol.send_request(request)
            socket._flush()
            await socket._opened
        except BaseException:
            socket.abort()
            raise
        return socket

    # --- sending ---

    @property
    def is_open(self) -> bool:
        """Can something be sent?"""
        return self._protocol.state is OPEN and self._transport is not None

    def send_binary(self, data: bytes) -> None:
        """One message, handed to the transport at once; nothing when the connection is not open."""
        if self._sends:
            self._write(ws_frames.masked(ws_frames.BINARY, data))

    def send_text(self, text: str) -> None:
        """One message, handed to the transport at once; nothing when the connection is not open."""
        if self._sends:
            self._write(ws_frames.masked(ws_frames.TEXT, text.encode()))

    def ping(self) -> None:
        """`pongs` will tell."""
        if self._protocol.state is OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    def abort(self) -> None:
        """Drop the connection now, without another callback."""
        self._silent, self._sends = True, False
        if self._transport:
            self._transport.abort()

    async def aclose(self, patience: float) -> None:
        """Close in order, and drop the connection when the peer has not done its part after `patience` seconds."""
        self._silent = True
        if not self._transport:
            return
        if self._protocol.state is OPEN:
            self._protocol.send_close(1000)
            self._flush()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await asyncio.shield(self._gone)
        finally:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP (and TLS) connection is there."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._write = self._transport.write
        self._transport.set_write_buffer_limits(high=MAX_UNSENT)

    def pause_writing(self) -> None:
        """The peer has not read for seconds."""
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of them."""
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        if not self._headed:
            data = self._head(data)
            if not self._headed:
                self._buffer = data
                return
        at, size = 0, len(data)
        while at < size:
            if self._core_alone or self._protocol.state is not OPEN:
                self._feed(data[at:])
                return
            span = ws_frames.payload(data, at)
            if span is not None and span[1] - at > MAX_MESSAGE:
                self._core_alone = True
                continue
            if span is None or span[1] > size:
                break
            start, end = span
            first = data[at]
            if not self._parts and (first == ws_frames.BINARY or first == ws_frames.TEXT) and data[at + 1] < 0x80:
                self._text = first == ws_frames.TEXT
                self._deliver(data[start:end])
            else:
                self._feed(data[at:end])
            at = end
        self._buffer = data[at:]

    def eof_received(self) -> bool:
        """The peer is done; so are we."""
        if self._buffer:
            self._protocol.receive_data(self._buffer)
            self._buffer = b""
        self._protocol.receive_eof()
        self._handle()
        return False

    def connection_lost(self, _problem: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        self._sends = False
        if not self._gone.done():
            self._gone.set_result(None)
        if not self._opened.done():
            self._opened.set_exception(ConnectionResetError("closed before the handshake was over"))
            self._opened.exception()  # whoever waited may have gone
            return
        if self._silent:
            return
        self._silent = True
        self._protocol.receive_eof()
        self._on_lost(self._protocol.close_code or 1006, self._protocol.close_reason or "")

    # --- inside ---

    def _head(self, data: bytes) -> bytes:
        """The answer to the handshake is the core's, once it is whole; what came behind it is left."""
        end = data.find(b"\r\n\r\n")
        if end < 0 and len(data) <= MAX_HEAD:
            return data
        end = end + 4 if end >= 0 else len(data)
        self._headed = True
        self._feed(data[:end])
        return data[end:]

    def _feed(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._handle()

    def _flush(self) -> None:
        transport = self._transport
        for data in self._protocol.data_to_send():
            if data and transport:
                transport.write(data)
        self._sends = self.is_open

    def _handle(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._answered(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if not self._opened.done() and self._protocol.handshake_exc is not None:
            self._opened.set_exception(_refusal(self._protocol.handshake_exc))
        over = self._protocol.close_rcvd is not None or self._protocol.parser_exc is not None
        if over and self._transport and self._opened.done():
            # Nothing is left that the peer could say; if it does not even read, it is not waited for.
            self._transport.close()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def _answered(self, _response: Response) -> None:
        if self._protocol.state is OPEN and not self._opened.done():
            self._opened.set_result(None)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self.pongs += 1
            return
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._deliver(bytes(frame.data))
                return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._deliver(whole)

    def _deliver(self, data: bytes) -> None:
        if not self._silent:
            self._on_message(data, self._text)


def _nowhere(_data: bytes) -> None:
    """Before there is a connection."""


def _refusal(problem: Exception) -> Exception:
    if isinstance(problem, InvalidStatus):
        headers = {name.lower(): value for name, value in problem.response.headers.raw_items()}
        return Refused(problem.response.status_code, headers)
    return problem if isinstance(problem, WebSocketException) else InvalidHandshake(type(problem).__name__)
