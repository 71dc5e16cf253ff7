"""Lines on the wire: the same bytes are written to every socket that can take them now.

What goes to a crowd would otherwise pass, for each socket, two wrappers of the framework and a frame of its own. Only
a socket that is open, not full, and served by uvicorn's sans-I/O protocol is written to here; whatever else it may be
is left to `send`, which waits, or says that the client has left.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from media_gateway.dashboard.v1.frames import Line
from media_gateway.middleware import SEND

FULL = 64 * 1024
"""Bytes that a socket's transport may hold when it is given more: asyncio's high-water mark, from which on `send`
waits, too."""


class Wire:
    """One accepted socket's."""

    __slots__ = ("_protocol", "_transport")

    def __init__(self, scope: Scope) -> None:
        protocol: Any = getattr(scope.get(SEND), "__self__", None)
        plain = isinstance(protocol, WebSocketsSansIOProtocol) and not protocol.conn.extensions
        self._protocol: WebSocketsSansIOProtocol = protocol
        self._transport: asyncio.Transport | None = protocol.transport if plain else None

    def write(self, line: Line) -> bool:
        """Write it now, if that is possible without waiting; False: it was not, and nothing was written."""
        transport = self._transport
        if transport is None or self._protocol.close_sent or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > FULL:
            return False
        transport.write(line.frame)
        return True
