"""Deepgram's text to speech (`speak` v1, Aura) over its WebSocket, as the vendor documents it and as strict as it is.

    ws://127.0.0.1:PORT/v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000     Authorization: Token KEY

In: {"type":"Speak","text":...}, Flush, Clear, Close. Out: Metadata, sound (binary), Flushed, Cleared, Warning. By hand:
`python -m infra.simulators.deepgram_speak --port 8089`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NoReturn, Protocol
from uuid import uuid4

from starlette.types import Receive, Scope, Send

from infra.simulators.speech_sound import speak
from infra.simulators.vendor_faults import Faults
from infra.simulators.vendor_server import Gone, Wire, listening, not_found, on_wire
from infra.simulators.vendor_socket import Refusal

API_KEY = "dg_simulated"
PATH = "/v1/speak"
FLUSHES = 20
CHARACTERS = 2_400
WINDOW_S = 60.0
LONGEST = 2_000
"""Characters of one Speak message."""
SESSION_S = 3_600.0
UNASKED = 300
"""From this many characters on, whole sentences are spoken without a Flush."""
_RATES: Mapping[str, Sequence[str]] = {
    "linear16": ("8000", "16000", "24000", "32000", "48000"),
    "mulaw": ("8000", "16000"),
    "alaw": ("8000", "16000"),
}
_KNOWN = frozenset({"model", "encoding", "sample_rate", "speed", "mip_opt_out", "tag", "container"})
_MODEL = re.compile(r"aura(-2)?-[a-z]+-[a-z]{2}")
ERROR = json.dumps({"type": "Error", "code": "NET-0000", "description": "Internal server error."})


@dataclass(slots=True, kw_only=True)
class Delays:
    """How fast it is: to the first sound after a Flush, then so much sound each time."""

    first_ms: float = 120.0
    chunk_ms: int = 100
    every_ms: float = 15.0


@dataclass(slots=True)
class DeepgramSpeak:
    """`said` is every text that was spoken, `commands` every message that came, over all connections; `faults` befall
    the next ones. Sound is mu-law whatever was asked for: nothing here asks for anything else."""

    delays: Delays = field(default_factory=Delays)
    faults: Faults = field(default_factory=Faults)
    key: str = API_KEY
    said: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    open: int = 0
    most: int = 0
    url: str = ""
    sound: Callable[[str], bytes] = lambda text: speak(text).mulaw
    """What a text sounds like: mu-law, 8 kHz."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "websocket" or scope["path"] != PATH:
            await not_found(scope, receive, send)
            return
        wire = Wire(scope, receive, send, self.faults.take(), ERROR)
        await on_wire(wire, self._serve)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[DeepgramSpeak]:
        """On loopback; `url` is DEEPGRAM_BASE_URL."""
        async with listening(self, port) as bound:
            self.url = f"ws://127.0.0.1:{bound}"
            yield self

    async def _serve(self, wire: Wire) -> None:
        refusal = self.door(wire)
        if refusal:
            await wire.refuse(refusal.status, refusal.body.encode(), refusal.headers)
        await wire.accept()
        await self.session(wire)

    async def session(self, wire: Line) -> None:
        """One connection whose handshake is over. Raises Gone at its end."""
        self.open += 1
        self.most = max(self.most, self.open)
        session = _Session(self, wire)
        speaker = asyncio.create_task(session.speak_all())
        try:
            await wire.send(_metadata(str(uuid4()), dict(wire.query).get("model", "aura-asteria-en")))
            async with asyncio.timeout(SESSION_S):
                await session.listen()
        except TimeoutError:
            await wire.close(1011, "NET-0003")
        finally:
            self.open -= 1
            speaker.cancel()
            await asyncio.wait({speaker})

    def door(self, wire: Asked) -> Refusal | None:
        """Why this request is refused, if it is."""
        scheme, _, key = wire.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("token", "bearer") or key != self.key:
            return _refusal(401, "INVALID_AUTH", "Invalid credentials.")
        asked = dict(wire.query)
        encoding = asked.get("encoding", "linear16")
        wrong = next((name for name in asked if name not in _KNOWN), None)
        if not _MODEL.fullmatch(asked.get("model", "aura-asteria-en")):
            wrong = "model"
        elif encoding not in _RATES:
            wrong = "encoding"
        elif asked.get("sample_rate", _RATES[encoding][0]) not in _RATES[encoding]:
            wrong = "sample_rate"
        elif asked.get("container", "none") != "none":
            wrong = "container"
        return _refusal(400, "INVALID_QUERY_PARAMETER", f"Invalid {wrong}.") if wrong else None


class Asked(Protocol):
    """A request for a connection."""

    query: list[tuple[str, str]]
    headers: dict[str, str]


class Line(Asked, Protocol):
    """A connection, from the vendor's side (`vendor_server.Wire`, or what looks like it)."""

    @property
    def empty(self) -> bool: ...

    async def receive(self) -> str | bytes: ...

    async def send(self, message: str | bytes) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> NoReturn: ...


class _Session:
    """One connection: what was said to it, and what it still has to say."""

    def __init__(self, owner: DeepgramSpeak, wire: Line) -> None:
        self._owner = owner
        self._wire = wire
        self._text = ""
        self._jobs: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self._now: asyncio.Task[None] | None = None
        self._flushes: deque[float] = deque()
        self._characters: deque[tuple[float, int]] = deque()
        self._sequence = 0

    async def listen(self) -> None:
        """Until it is over."""
        while True:
            message = await self._wire.receive()
            if isinstance(message, bytes):
                await self._wire.close(1003, "MESSAGE-0000")
            await self._take(str(message))

    async def _take(self, message: str) -> None:
        try:
            body = json.loads(message)
            kind = body["type"]
        except (ValueError, KeyError, TypeError):
            await self._wire.close(1008, "DATA-0000")
        self._owner.commands.append(str(kind))
        match kind:
            case "Speak" if isinstance(body.get("text"), str):
                await self._speak(body["text"])
            case "Flush":
                await self._flush()
            case "Clear":
                await self._clear()
            case "Close":
                await self._wire.close()
            case _:
                await self._wire.close(1008, "DATA-0000")

    async def _speak(self, text: str) -> None:
        now = time.monotonic()
        if len(text) > LONGEST:
            await self._wire.close(1009, "BIG-0000")
        self._characters.append((now, len(text)))
        while self._characters and self._characters[0][0] <= now - WINDOW_S:
            self._characters.popleft()
        if sum(count for _, count in self._characters) > CHARACTERS:
            await self._wire.close(1008, "DATA-0001")
        self._text += text
        end = max(self._text.rfind(mark) for mark in (". ", "? ", "! "))
        if len(self._text) >= UNASKED and end > 0:
            unasked, self._text = self._text[: end + 1], self._text[end + 2 :]
            self._jobs.put_nowait((unasked, False))

    async def _flush(self) -> None:
        now = time.monotonic()
        while self._flushes and self._flushes[0] <= now - WINDOW_S:
            self._flushes.popleft()
        if len(self._flushes) >= FLUSHES:
            description = "Flush limit of 20 in 60 seconds exceeded; this one is ignored."
            await self._wire.send(
                json.dumps({"type": "Warning", "code": "EXCEEDED_FLUSHES", "description": description})
            )
            return
        self._flushes.append(now)
        text, self._text = self._text.strip(), ""
        self._jobs.put_nowait((text, True))

    async def _clear(self) -> None:
        self._text = ""
        while not self._jobs.empty():
            self._jobs.get_nowait()
        if self._now:
            self._now.cancel()
            await asyncio.wait({self._now})
        await self._control("Cleared")

    async def speak_all(self) -> None:
        """One text after the other."""
        while True:
            text, flushed = await self._jobs.get()
            self._now = asyncio.create_task(self._sound(text, flushed))
            try:
                await asyncio.wait({self._now})
            finally:
                self._now.cancel()

    async def _sound(self, text: str, flushed: bool) -> None:
        delays = self._owner.delays
        with suppress(Gone):
            if text and not self._wire.empty:
                self._owner.said.append(text)
                await asyncio.sleep(delays.first_ms / 1000)
                sound = self._owner.sound(text)
                step = delays.chunk_ms * 8
                for at in range(0, len(sound), step):
                    await self._wire.send(sound[at : at + step])
                    await asyncio.sleep(delays.every_ms / 1000)
            if flushed:
                await self._control("Flushed")

    async def _control(self, kind: str) -> None:
        await self._wire.send(json.dumps({"type": kind, "sequence_id": self._sequence}))
        self._sequence += 1


def _metadata(request_id: str, model: str) -> str:
    return json.dumps(
        {
            "type": "Metadata",
            "request_id": request_id,
            "model_name": model,
            "model_version": "2025-07-21.0",
            "model_uuid": "aa274f3c-1111-4222-8333-444455556666",
        }
    )


def _refusal(status: int, code: str, message: str) -> Refusal:
    request_id = str(uuid4())
    body = json.dumps({"err_code": code, "err_msg": message, "request_id": request_id})
    return Refusal(status, body, {"dg-error": message, "dg-request-id": request_id})


async def _main(port: int) -> None:
    async with DeepgramSpeak().serving(port) as vendor:
        print(f"DEEPGRAM_BASE_URL={vendor.url} DEEPGRAM_API_KEY={API_KEY}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Deepgram's text to speech on loopback")
    arguments.add_argument("--port", type=int, default=8089)
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(arguments.parse_args().port))
