"""A voice's connection: the vendor's machine, the socket under it, and the call above it. Thin: what to say to whom is
the machine's business.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from media_gateway.providers.speech_steps import Machine, Step
from media_gateway.voice.ports import ProviderFault, Spoken, SpokenAudio, SpokenEnd, Voice, VoiceFailed

OPEN_S = 1.5
"""A vendor that takes longer to answer is no help in a conversation; the stand-in is."""
CLOSE_S = 1.0
WRITE_S = 2.0
RENDER_S = 20.0
PING_S = 20.0
"""Both vendors count a connection without any traffic as abandoned."""
_WAITING = 2_000
"""Messages that may wait for the socket."""
_quiet = logging.getLogger("callboard.vendor_socket")
_quiet.setLevel(logging.WARNING)
"""The library's own log of a handshake at DEBUG would hold the key."""


async def connect(provider: str, url: str, headers: Mapping[str, str], key_name: str) -> ClientConnection:
    """Raises ProviderFault with the remedy."""
    try:
        return await connect_socket(
            url,
            additional_headers=dict(headers),
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=2**21,
            logger=_quiet,
        )
    except InvalidStatus as refusal:
        raise refused(provider, refusal.response.status_code, key_name) from refusal
    except TimeoutError as late:
        raise ProviderFault(provider, "timeout", "it did not answer in time") from late
    except (OSError, EOFError, InvalidHandshake, InvalidURI) as problem:
        raise ProviderFault(provider, "refused", type(problem).__name__) from problem


def refused(provider: str, status: int, key_name: str) -> ProviderFault:
    """What an HTTP status says."""
    if status in (401, 403):
        return ProviderFault(
            provider, "unauthorized", f"it does not take the key in {key_name} (HTTP {status}); put a valid one there"
        )
    if status in (402, 429):
        return ProviderFault(provider, "busy", f"HTTP {status}: the account's limit is reached")
    return ProviderFault(provider, "refused", f"HTTP {status}; check the voice and the model that are configured")


class LinkedSpeaking:
    """`voice.ports.Speaking` over one connection."""

    def __init__(self, socket: ClientConnection, machine: Machine, on_spoken: Callable[[Spoken], None]) -> None:
        self._socket = socket
        self._machine = machine
        self._on_spoken = on_spoken
        self._outbox: deque[str] = deque()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._tasks = (
            asyncio.create_task(self._read(), name=f"{machine.name} reads"),
            asyncio.create_task(self._write(), name=f"{machine.name} writes"),
        )
        self._apply(())

    def say(self, reply: int, clause: int, text: str) -> None:
        """In the order they were said."""
        self._apply(() if self._closed else self._machine.say(time.monotonic(), reply, clause, text))

    def done(self, reply: int) -> None:
        """No more clauses of this reply come."""
        self._apply(() if self._closed else self._machine.done(time.monotonic(), reply))

    def cancel(self, reply: int) -> None:
        """Nothing of this reply is wanted any more."""
        self._apply(() if self._closed else self._machine.cancel(time.monotonic(), reply))

    async def aclose(self) -> None:
        """Says goodbye as the vendor wants it, and does not wait long for an answer."""
        if self._closed:
            await asyncio.wait(self._tasks)
            return
        self._closed = True
        self._disarm()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        with suppress(ConnectionClosed, TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_S):
                await self._socket.send(self._machine.goodbye)
                await self._socket.close()
        self._socket.transport.abort()

    def _apply(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, str):
                self._outbox.append(step)
                self._wake.set()
            elif not self._closed:
                self._on_spoken(step)
        self._disarm()
        if self._closed:
            return
        if len(self._outbox) > _WAITING:
            self._broke("busy", f"{_WAITING} messages wait for it")
            return
        now = time.monotonic()
        wakes = self._machine.wakes_at(now)
        if wakes is not None and wakes != float("inf"):
            self._timer = asyncio.get_running_loop().call_later(max(0.001, wakes - now), self._tick)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._apply(self._machine.tick(time.monotonic()))

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                self._apply(self._machine.received(time.monotonic(), message))
            reason = "it closed the connection"
        except ConnectionClosed as closed:
            frame = closed.rcvd
            reason = f"closed with {frame.code} {frame.reason}".strip() if frame else "the connection broke"
        self._broke("broken", reason)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                try:
                    async with asyncio.timeout(WRITE_S):
                        await self._socket.send(self._outbox.popleft())
                except ConnectionClosed:
                    return  # the reader says so
                except TimeoutError:
                    self._broke("timeout", "it takes nothing more")
                    return

    def _broke(self, kind: str, detail: str) -> None:
        if not self._closed:
            self._on_spoken(VoiceFailed(kind, detail, self._machine.name))


async def render_by_speaking(voice: Voice, text: str, seconds: float = RENDER_S) -> bytes:
    """The whole text as sound, by having it said. Raises ProviderFault."""
    sound = bytearray()
    over: asyncio.Future[VoiceFailed | None] = asyncio.get_running_loop().create_future()

    def on_spoken(spoken: Spoken) -> None:
        if isinstance(spoken, SpokenAudio):
            sound.extend(spoken.mulaw)
        elif isinstance(spoken, SpokenEnd | VoiceFailed) and not over.done():
            over.set_result(spoken if isinstance(spoken, VoiceFailed) else None)

    speaking = await voice.open(on_spoken)
    try:
        speaking.say(0, 0, text)
        speaking.done(0)
        async with asyncio.timeout(seconds):
            failed = await over
    except TimeoutError as error:
        raise ProviderFault(voice.name, "timeout", "nothing was rendered") from error
    finally:
        await speaking.aclose()
    if failed is not None:
        raise ProviderFault(failed.provider or voice.name, failed.kind, failed.detail)
    return bytes(sound)
