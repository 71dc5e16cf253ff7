"""The line to the caller over a WebSocket: synchronous sends into a bounded buffer that one task writes out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocketDisconnect

from media_gateway.telephony.media_protocol import Frames

LIMIT = 2 * 1024 * 1024
"""Characters that may wait for a slow peer: about three minutes of sound, where Twilio itself takes all at once."""


class SocketLine:
    """`media_gateway.voice.ports.Line`. ASGI's send is a coroutine, so a frame goes into a buffer and the writer task
    wakes; when the transport takes everything (the usual case) that is one wake for all frames of a burst."""

    def __init__(self, frames: Frames, *, limit: int = LIMIT) -> None:
        self._frames = frames
        self._limit = limit
        self._pending: deque[tuple[bool, str]] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._closing = False
        self.hung_up = False
        """True once it was us who ended the stream."""
        self._on_overflow: Callable[[], object] = _nothing

    def media(self, mulaw: bytes) -> None:
        """Queue sound behind what was queued before; ONE message however long it is."""
        if mulaw:
            self._put(True, self._frames.media(mulaw))

    def mark(self, name: str) -> None:
        """Ask for an echo."""
        self._put(False, self._frames.mark(name))

    def clear(self) -> None:
        """Drop what has not been played: here, and at Twilio. Marks still go out, and come back at once."""
        marks = [(sound, frame) for sound, frame in self._pending if not sound]
        self._pending.clear()
        self._pending.extend(marks)
        self._size = sum(len(frame) for _, frame in marks)
        self._put(False, self._frames.clear())

    def close(self) -> None:
        """Nothing more is taken; what waits is written, then the stream ends."""
        if not self._closing:
            self.hung_up = self._closing = True
            self._wake.set()

    def abandon(self) -> None:
        """The peer is gone: drop what waits and stop writing."""
        self._pending.clear()
        self._size = 0
        self._closing = True
        self._wake.set()

    async def write_out(self, send: Callable[[str], Awaitable[None]], on_overflow: Callable[[], object]) -> None:
        """Write until closed and empty, or the peer is gone. `on_overflow` is called when the peer is too slow."""
        self._on_overflow = on_overflow
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                _, frame = self._pending.popleft()
                self._size -= len(frame)
                try:
                    await send(frame)
                except (WebSocketDisconnect, OSError, RuntimeError):
                    # Which of the three says that the peer has left depends on the server's state machine. The
                    # reader hears of it too and ends the call.
                    self.abandon()
            if self._closing:
                return

    def _put(self, sound: bool, frame: str) -> None:
        if self._closing:
            return
        self._pending.append((sound, frame))
        self._size += len(frame)
        if self._size > self._limit:
            self.abandon()
            self._on_overflow()
            return
        self._wake.set()


def _nothing() -> None:
    """Before the writer runs there is nobody to tell."""
