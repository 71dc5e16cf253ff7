"""The floor: a phone conversation with nothing to it, on the web server that the gateway uses. Decode a frame, forward
it to the recogniser; at the end of a turn ask the model; speak its answer; clear when the caller talks over it.

No signature, journal, history, tool, failover, budget, limit or metric. `python -m tests.bench.floor --port P`, with
the gateway's own DEEPGRAM_* and OPENAI_* in the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from binascii import a2b_base64, b2a_base64
from urllib.parse import urlsplit

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.bench.bare_socket import BareSocket

DEEPGRAM = os.environ.get("DEEPGRAM_BASE_URL", "")
KEY = {"Authorization": f"Token {os.environ.get('DEEPGRAM_API_KEY', '')}"}
LISTEN = f"{DEEPGRAM}/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000&eot_threshold=0.7"
SPEAK = f"{DEEPGRAM}/v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000"
MODEL = os.environ.get("OPENAI_MODEL", "gpt-6-luna")
_decode = msgspec.json.decode
_pool: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []


class Pipe:
    """One call."""

    def __init__(self, ws: WebSocket, sid: str) -> None:
        self._ws = ws
        self._head = b'{"event":"media","streamSid":"' + sid.encode() + b'","media":{"payload":"'
        self._mark = f'{{"event":"mark","streamSid":"{sid}","mark":{{"name":"m"}}}}'
        self._clear = f'{{"event":"clear","streamSid":"{sid}"}}'
        self._out: asyncio.Queue[str] = asyncio.Queue()
        self._speaking = False
        self._reply: asyncio.Task[None] | None = None
        self.ears: BareSocket
        self.voice: BareSocket

    async def open(self) -> None:
        self.ears, self.voice = await asyncio.gather(
            BareSocket.connect(LISTEN, KEY, self._heard), BareSocket.connect(SPEAK, KEY, self._sound)
        )

    def _heard(self, data: bytes, _is_text: bool) -> None:
        info = _decode(data)
        event, words = info.get("event"), info.get("transcript")
        if event == "EndOfTurn":
            self._reply = asyncio.create_task(self._answer(words))
        elif words and self._speaking:
            self._speaking = False
            if self._reply:
                self._reply.cancel()
            self.voice.send_text('{"type":"Clear"}')
            self._out.put_nowait(self._clear)

    def _sound(self, data: bytes, is_text: bool) -> None:
        if not is_text and self._speaking:
            self._out.put_nowait((self._head + b2a_base64(data, newline=False) + b'"}}').decode("ascii"))
        elif b'"Flushed"' in data and self._speaking:
            self._out.put_nowait(self._mark)

    async def _answer(self, words: str) -> None:
        self._speaking = True
        clause = ""
        async for text in think(words):
            clause += text
            if clause[-1:] in ".!?":
                self.voice.send_text(json.dumps({"type": "Speak", "text": clause}))
                self.voice.send_text('{"type":"Flush"}')
                clause = ""

    async def write(self) -> None:
        while True:
            await self._ws.send_text(await self._out.get())

    def close(self) -> None:
        if self._reply:
            self._reply.cancel()
        self.ears.close()
        self.voice.close()


async def think(words: str):  # type: ignore[no-untyped-def]
    """The pieces of the model's answer."""
    url = urlsplit(os.environ["OPENAI_BASE_URL"])
    streams = _pool.pop() if _pool else await asyncio.open_connection(url.hostname, url.port)
    reader, writer = streams
    asked = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": words}]}
    body = msgspec.json.encode(asked)
    head = f"POST {url.path}/chat/completions HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {os.environ['OPENAI_API_KEY']}\r\nContent-Length: {len(body)}\r\n\r\n"
    whole = False
    try:
        writer.write(head.encode() + body)
        rest = b""
        while not whole:
            data = await reader.read(65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.startswith(b"data: {"):
                    delta = _decode(line[6:])["choices"][0]["delta"]
                    if delta.get("content"):
                        yield delta["content"]
                elif line == b"0\r":
                    whole = True
        if rest == b"" and line == b"0\r":
            await reader.readline()
        _pool.append(streams)
    finally:
        if not whole:
            writer.close()


async def media_stream(ws: WebSocket) -> None:
    """One call."""
    await ws.accept()
    pipe: Pipe | None = None
    writer: asyncio.Task[None] | None = None
    try:
        while True:
            message = _decode(await ws.receive_text())
            event = message["event"]
            if event == "media" and pipe:
                pipe.ears.send_binary(a2b_base64(message["media"]["payload"]))
            elif event == "start":
                opening = Pipe(ws, message["streamSid"])
                await opening.open()
                pipe = opening
                writer = asyncio.create_task(pipe.write())
            elif event == "stop":
                break
    except WebSocketDisconnect:
        pass
    finally:
        if writer:
            writer.cancel()
        if pipe:
            pipe.close()


async def ready(_request: object) -> PlainTextResponse:
    return PlainTextResponse("ok")


def main() -> None:
    """Until it is terminated."""
    parser = argparse.ArgumentParser(description="The floor.")
    parser.add_argument("--port", type=int, required=True)
    app = Starlette(routes=[Route("/readyz", ready), WebSocketRoute("/api/v1/voice/media-stream", media_stream)])
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=parser.parse_args().port,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="error",
        access_log=False,
    )


if __name__ == "__main__":
    main()
