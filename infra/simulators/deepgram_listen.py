"""Deepgram's `listen` on the loopback interface, v1 (nova-3) and v2 (Flux): the same wire, the same refusals, and on
wish every fault that a socket can have. What is recognised is up to the test (`deepgram_listen_words`).

    python -m infra.simulators.deepgram_listen --port 8090 --script "I need an oil change" "tomorrow at two"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from weakref import WeakSet

from websockets.http11 import Request

from infra.simulators.deepgram_listen_rules import Wrong, check_query
from infra.simulators.deepgram_listen_talk import Stream, StreamV1, StreamV2
from infra.simulators.deepgram_listen_words import Nobody, Script, Source
from infra.simulators.vendor_faults import Faults
from infra.simulators.vendor_socket import Enter, Refusal, Talk, VendorSocket

API_KEY = "dg_simulated"


class DeepgramListen:
    """`source` makes what recognises one stream. `idle_s` without sound or KeepAlive end it (10 s at the vendor's),
    `concurrency` streams are one account's at once, `latency_ms` is between the sound and what is said about it."""

    def __init__(
        self,
        source: Callable[[], Source] = Nobody,
        *,
        faults: Faults | None = None,
        api_key: str = API_KEY,
        idle_s: float = 10.0,
        concurrency: int | None = None,
        latency_ms: float = 0.0,
        lose_speech_final: bool = False,
        keep_audio: bool = False,
    ) -> None:
        self.faults = faults or Faults()
        self.url = ""
        self.violations: list[str] = []
        """What clients did that the vendor would not take."""
        self.streams: list[Stream] = []
        """Every stream that was opened, in order."""
        self.paths: list[str] = []
        self.alive = 0
        self.connections = 0
        """How many connections were made, refused ones as well."""
        self._source = source
        self._key = api_key
        self._idle_s = idle_s
        self._concurrency = concurrency
        self._latency_ms = latency_ms
        self._lose = lose_speech_final
        self._keep_audio = keep_audio

    @asynccontextmanager
    async def serving(
        self, port: int = 0, host: str = "127.0.0.1", *, enter: Enter | None = None
    ) -> AsyncIterator[DeepgramListen]:
        """Listens; `url` is then what DEEPGRAM_BASE_URL should be. `enter` decides who talks, where others share the
        origin."""
        sockets: WeakSet[VendorSocket] = WeakSet()  # the loop holds those that are open; the others are gone

        def made() -> VendorSocket:
            self.connections += 1
            socket = VendorSocket(enter or self.enter, self.faults, _refused, self._latency_ms)
            sockets.add(socket)
            return socket

        server = await asyncio.get_running_loop().create_server(made, host, port)
        self.url = f"ws://{host}:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for socket in list(sockets):
                socket.cut()
            await server.wait_closed()

    def enter(self, request: Request, socket: VendorSocket) -> Talk | Refusal:
        """Who talks on a connection with this request."""
        self.paths.append(request.path)
        scheme, _, key = (request.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() not in ("token", "bearer") or key != self._key:
            return _refused(401)
        try:
            api, wishes = check_query(request.path)
        except Wrong as wrong:
            self.violations.append(str(wrong))
            return _refusal(400, "Bad Request", str(wrong))
        if self._concurrency is not None and self.alive >= self._concurrency:
            return _refused(429)
        self.alive += 1
        parts = (socket, wishes, self._source(), self.violations.append, self._idle_s)
        stream = StreamV1(*parts, lose_speech_final=self._lose) if api == "v1" else StreamV2(*parts)
        stream.keep_audio = self._keep_audio
        self.streams.append(stream)
        return _Counted(self, stream)


class _Counted:
    """A stream that is missed when it is gone."""

    def __init__(self, server: DeepgramListen, stream: Stream) -> None:
        self._server = server
        self._stream = stream
        self.opened = stream.opened
        self.binary = stream.binary
        self.text = stream.text
        self.error_message = stream.error_message

    def gone(self) -> None:
        self._server.alive -= 1
        self._stream.gone()


def _refused(status: int) -> Refusal:
    code, words = {
        401: ("INVALID_AUTH", "Invalid credentials."),
        429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later"),
    }[status]
    return _refusal(status, code, words)


def _refusal(status: int, code: str, words: str) -> Refusal:
    request_id = str(uuid.uuid4())
    body = json.dumps({"err_code": code, "err_msg": words, "request_id": request_id})
    headers = {"dg-error": words, "dg-request-id": request_id}
    return Refusal(status, body, headers)


async def _main() -> None:
    parser = argparse.ArgumentParser(description="Deepgram's listen API on the loopback interface.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--api-key", default=API_KEY)
    parser.add_argument("--latency-ms", type=float, default=150.0)
    parser.add_argument("--script", nargs="*", default=[], help="what the caller says, utterance by utterance")
    parser.add_argument("--script-file", type=Path, help="the same, a line each")
    chosen = parser.parse_args()
    script: list[str] = chosen.script
    if chosen.script_file:
        script += chosen.script_file.read_text().splitlines()
    server = DeepgramListen(lambda: Script(script), api_key=chosen.api_key, latency_ms=chosen.latency_ms)
    async with server.serving(chosen.port):
        print(f"DEEPGRAM_BASE_URL={server.url} DEEPGRAM_API_KEY={chosen.api_key}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
