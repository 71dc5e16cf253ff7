"""Deepgram as one origin, as DEEPGRAM_BASE_URL means it: `listen` (v1, v2) and `speak` (v1) on one loopback port.

python -m infra.simulators.deepgram --port 8090 --script "I need an oil change" "tomorrow at two"
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

from websockets.http11 import Request

from infra.simulators.deepgram_listen import API_KEY, DeepgramListen
from infra.simulators.deepgram_listen_words import Script
from infra.simulators.deepgram_speak import ERROR, PATH, DeepgramSpeak
from infra.simulators.vendor_server import Gone
from infra.simulators.vendor_socket import Refusal, Talk, VendorSocket


class Deepgram:
    """Both. The faults of `listen` befall every connection of this origin: which of the two it is for is known only
    after it was made."""

    def __init__(self, listen: DeepgramListen, speak: DeepgramSpeak) -> None:
        self.listen, self.speak = listen, speak
        self.url = ""

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Deepgram]:
        """On loopback; `url` is DEEPGRAM_BASE_URL."""
        async with self.listen.serving(port, enter=self._enter):
            self.url = self.listen.url
            yield self

    def _enter(self, request: Request, socket: VendorSocket) -> Talk | Refusal:
        if not request.path.startswith(PATH):
            return self.listen.enter(request, socket)
        wire = TalkWire(socket, request)
        refusal = self.speak.door(wire)
        return refusal or wire.talk(self.speak)


class TalkWire:
    """What a session of `speak` needs of its connection, on a `VendorSocket`; and that socket's `Talk`."""

    def __init__(self, socket: VendorSocket, request: Request) -> None:
        self.query = parse_qsl(urlsplit(request.path).query, keep_blank_values=True)
        self.headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self._socket = socket
        self._messages: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._over = False
        self._task: asyncio.Task[None] | None = None
        self._speak: DeepgramSpeak | None = None

    def talk(self, speak: DeepgramSpeak) -> TalkWire:
        """Somebody talks `speak` here."""
        self._speak = speak
        return self

    # --- Talk ---

    def opened(self) -> None:
        assert self._speak
        self._task = asyncio.create_task(self._serve(self._speak))

    def binary(self, data: bytes) -> None:
        self._messages.put_nowait(data)

    def text(self, text: str) -> None:
        self._messages.put_nowait(text)

    def error_message(self) -> str:
        return ERROR

    def gone(self) -> None:
        self._over = True
        self._messages.put_nowait(None)

    async def _serve(self, speak: DeepgramSpeak) -> None:
        with suppress(Gone):
            await speak.session(self)

    # --- the connection ---

    @property
    def empty(self) -> bool:
        return self._socket.empty

    async def receive(self) -> str | bytes:
        message = await self._messages.get()
        if message is None:
            raise Gone
        return message

    async def send(self, message: str | bytes) -> None:
        if self._over:
            raise Gone
        self._socket.send(message)

    async def close(self, code: int = 1000, reason: str = "") -> NoReturn:
        self._socket.close(code, reason)
        raise Gone


async def _main() -> None:
    parser = argparse.ArgumentParser(description="Deepgram's listen and speak on the loopback interface.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--latency-ms", type=float, default=150.0, help="of what is heard")
    parser.add_argument("--script", nargs="*", default=[], help="what the caller says, utterance by utterance")
    chosen = parser.parse_args()
    script: list[str] = chosen.script
    listen = DeepgramListen(lambda: Script(script), latency_ms=chosen.latency_ms)
    async with Deepgram(listen, DeepgramSpeak()).serving(chosen.port) as vendor:
        print(f"DEEPGRAM_BASE_URL={vendor.url} DEEPGRAM_API_KEY={API_KEY}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
