"""Texts on the wire: a frame is built once, and the same bytes are written to every socket that can take them now.

What goes to a crowd would otherwise pass, for each socket, two wrappers of the framework and a frame of its own. Only
a socket that is open, not full, and served by uvicorn's sans-I/O protocol is written to here; whatever else it may be
is left to `send`, which waits, or says that the client has left.
"""

from __future__ import annotations

from typing import Any

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from media_gateway.middleware import SEND

KEPT = 64
"""Frames that are kept for those who have their turn a little later; each is as large as an event may be."""


class Frames:
    """Text frames as a server writes them: one, unmasked, not compressed. One for all connections of an instance."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def frame(self, text: str) -> bytes:
        """The same bytes for the same text."""
        frame = self._kept.get(text)
        if frame is None:
            frame = Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
            if len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]  # the oldest
            self._kept[text] = frame
        return frame


class Wire:
    """One socket's."""

    __slots__ = ("_frames", "_protocol")

    def __init__(self, scope: Scope, frames: Frames) -> None:
        self._frames = frames
        protocol: Any = getattr(scope.get(SEND), "__self__", None)
        plain = isinstance(protocol, WebSocketsSansIOProtocol) and not protocol.conn.extensions
        self._protocol: WebSocketsSansIOProtocol | None = protocol if plain else None

    def write(self, text: str) -> bool:
        """Write it now, if that is possible without waiting; False: it was not, and nothing was written."""
        to = self._protocol
        if to is None or to.disconnected or not to.writable.is_set() or to.conn.state is not State.OPEN:
            return False
        if to.transport.is_closing():
            return False
        to.transport.write(self._frames.frame(text))
        return True
