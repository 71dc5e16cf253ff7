"""The line to a caller in a browser: sound and signs in one order, through one bounded queue that one task writes out.

A browser plays what comes as it comes, and it does not echo marks: a mark counts as heard when the sound before it has
had the time to be played. `clear` lets the page drop what it has not played.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from media_gateway.pcm import Up

PIECE = 800
"""Bytes of mu-law that are made to 16 kHz and sent at once: a tenth of a second, well under a millisecond of work."""
LIMIT = 8_000 * 180
"""Bytes of mu-law that may wait for a slow browser: three minutes."""
PAGE_DELAY_S = 0.15
"""What lies in the page's own buffer before it is heard."""
_BYTES_PER_S = 8_000
CLEAR: Mapping[str, Any] = {"event": "clear", "data": {}}

SendSound = Callable[[bytes], Awaitable[None]]
SendSign = Callable[[Mapping[str, Any]], Awaitable[None]]


class BrowserLine:
    """`media_gateway.voice.ports.Line`. `on_mark` is told the echoes, on the event loop."""

    def __init__(self, on_mark: Callable[[str], None], *, limit: int = LIMIT) -> None:
        self._on_mark = on_mark
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._pending: deque[bytes | Mapping[str, Any]] = deque()
        self._size = 0
        self._up = Up()
        self._plays_until = 0.0
        self._marks: deque[tuple[asyncio.TimerHandle, str]] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self.hung_up = False
        """True once it was us who ended the conversation."""
        self.overflowed = False
        """True once the browser took too little of what we sent."""

    def media(self, mulaw: bytes) -> None:
        """Queue sound behind what was queued before."""
        if not mulaw or self._closing:
            return
        self._plays_until = max(self._plays_until, self._loop.time()) + len(mulaw) / _BYTES_PER_S
        self._size += len(mulaw)
        if self._size > self._limit:
            self.overflowed = True
            self.abandon()
            return
        self._pending.extend(mulaw[at : at + PIECE] for at in range(0, len(mulaw), PIECE))
        self._wake.set()

    def mark(self, name: str) -> None:
        """Echoed when what was queued before it should have been heard."""
        if self._closing:
            return
        while self._marks and self._marks[0][0].when() < self._loop.time():
            self._marks.popleft()
        handle = self._loop.call_at(max(self._plays_until, self._loop.time()) + PAGE_DELAY_S, self._on_mark, name)
        self._marks.append((handle, name))

    def clear(self) -> None:
        """Drop what has not been played, here and in the page; marks that waited for it come back at once."""
        if self._closing:
            return
        now = self._loop.time()
        self._pending.clear()
        self._size, self._plays_until, self._up = 0, now, Up()
        while self._marks:
            handle, name = self._marks.popleft()
            if handle.when() >= now and not handle.cancelled():
                handle.cancel()
                self._loop.call_soon(self._on_mark, name)
        self._pending.append(CLEAR)
        self._wake.set()

    def close(self) -> None:
        """Nothing more is taken; what waits is written, then the conversation ends."""
        if not self._closing:
            self.hung_up = self._closing = True
            self._wake.set()

    def abandon(self) -> None:
        """The browser is gone: drop what waits and stop writing."""
        self._pending.clear()
        self._closing = True
        for handle, _ in self._marks:
            handle.cancel()
        self._marks.clear()
        self._wake.set()

    async def write_out(self, sound: SendSound, sign: SendSign) -> None:
        """Write until closed and empty. Raises what sending raises."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                item = self._pending.popleft()
                if isinstance(item, bytes):
                    self._size -= len(item)
                    await sound(self._up.feed(item))
                else:
                    await sign(item)
            if self._closing:
                return
