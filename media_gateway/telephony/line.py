"""The line to the caller over a WebSocket: synchronous sends into a bounded buffer, written out by the event
loop's next turn where the socket takes it at once, and by a task where it has to be waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocketDisconnect

from media_gateway.telephony.media_protocol import Frames

LIMIT = 2 * 1024 * 1024
"""Bytes that may wait for a slow peer: about three minutes of sound, where Twilio itself takes all at once."""


Write = Callable[[list[bytes]], bool]
"""Writes these messages now, or (False) none of them: the peer has to be waited for."""


class SocketLine:
    """`media_gateway.voice.ports.Line`. Frames of one turn of the event loop are written as one by `write`; what it
    does not take (or everything, without it) is left to the task that waits for the peer."""

    def __init__(self, frames: Frames, *, limit: int = LIMIT, write: Write | None = None) -> None:
        self._frames = frames
        self._limit = limit
        self._write = write
        self._scheduled = False
        self._waits = False
        """The task has a frame in hand: nothing may overtake it."""
        self._pending: deque[tuple[bool, bytes]] = deque()
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
                self._waits = True
                try:
                    await send(frame.decode())
                except (WebSocketDisconnect, OSError, RuntimeError):
                    # Which of the three says that the peer has left depends on the server's state machine. The
                    # reader hears of it too and ends the call.
                    self.abandon()
                finally:
                    self._waits = False
            if self._closing:
                return

    def _put(self, sound: bool, frame: bytes) -> None:
        if self._closing:
            return
        self._pending.append((sound, frame))
        self._size += len(frame)
        if self._size > self._limit:
            self.abandon()
            self._on_overflow()
            return
        if self._write is None or self._waits:
            self._wake.set()
        elif not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._write_now)

    def _write_now(self) -> None:
        self._scheduled = False
        if not self._pending or self._waits or self._write is None:
            return
        if self._write([frame for _, frame in self._pending]):
            self._pending.clear()
            self._size = 0
        else:
            self._wake.set()


def _nothing() -> None:
    """Before the writer runs there is nobody to tell."""
