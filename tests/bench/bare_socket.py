"""A WebSocket client with nothing to it, for load and for the floor: no task, no queue, masked with zeros (which is
legal, and costs the client nothing). Takes whole text and binary messages of a server that is well-behaved."""

from __future__ import annotations

import asyncio
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from os import urandom
from typing import cast
from urllib.parse import urlsplit


def framed(data: bytes, opcode: int) -> bytes:
    """A client's whole message."""
    size = len(data)
    if size < 126:
        return struct.pack("!BBI", 0x80 | opcode, 0x80 | size, 0) + data
    if size < 65536:
        return struct.pack("!BBHI", 0x80 | opcode, 0xFE, size, 0) + data
    return struct.pack("!BBQI", 0x80 | opcode, 0xFF, size, 0) + data


class BareSocket(asyncio.Protocol):
    """`on_message(data, is_text)`; `on_lost()` when it is over."""

    def __init__(self, on_message: Callable[[bytes, bool], None], on_lost: Callable[[], None]) -> None:
        self._on_message, self._on_lost = on_message, on_lost
        self._buffer = b""
        self._open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    @classmethod
    async def connect(
        cls,
        url: str,
        headers: Mapping[str, str],
        on_message: Callable[[bytes, bool], None],
        on_lost: Callable[[], None] = lambda: None,
        *,
        host: str = "",
    ) -> BareSocket:
        """Raises OSError when the server wants something else. `host`: the Host header."""
        parts = urlsplit(url)
        _, socket = await asyncio.get_running_loop().create_connection(
            lambda: cls(on_message, on_lost), parts.hostname or "", parts.port or 80
        )
        lines = {
            "Host": host or parts.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": b64encode(urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **headers,
        }
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        socket.transport.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        async with asyncio.timeout(20):
            await socket.opened
        return socket

    def send_text(self, text: str) -> None:
        self.transport.write(framed(text.encode(), 1))

    def send_binary(self, data: bytes) -> None:
        self.transport.write(framed(data, 2))

    def close(self) -> None:
        """In order, without waiting for the answer."""
        self.transport.write(framed(b"\x03\xe8", 8))
        self.transport.close()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _problem: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(OSError("closed before it was open"))
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self._open:
            head, blank, rest = data.partition(b"\r\n\r\n")
            if not blank:
                self._buffer = data
                return
            if b" 101 " not in head[:20]:
                if not self.opened.done():
                    self.opened.set_exception(OSError(head[:40].decode("latin-1")))
                self.transport.close()
                return
            self._open = True
            self.opened.set_result(None)
            data = rest
        self._buffer = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length == 126:
                if size - at < 4:
                    break
                length, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
            elif length == 127:
                if size - at < 10:
                    break
                length, start = int.from_bytes(data[at + 2 : at + 10]), at + 10
            if start + length > size:
                break
            opcode = data[at] & 15
            if opcode < 3:
                self._on_message(data[start : start + length], opcode == 1)
            elif opcode == 9:
                self.transport.write(framed(data[start : start + length], 10))
            elif opcode == 8:
                self.transport.close()
            at = start + length
        return data[at:]
