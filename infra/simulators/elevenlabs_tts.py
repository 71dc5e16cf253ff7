"""ElevenLabs' text to speech: the multi-context WebSocket, and REST for a whole text; as documented, and as strict.

    ws://127.0.0.1:PORT/v1/text-to-speech/{voice}/multi-stream-input?model_id=&output_format=ulaw_8000&...
    POST /v1/text-to-speech/{voice}?output_format=ulaw_8000   {"text": ..., "model_id": ...}          xi-api-key: KEY

By hand: `python -m infra.simulators.elevenlabs_tts --port 8090`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from starlette.types import ASGIApp, Receive, Scope, Send

from infra.simulators.speech_sound import Spoken, speak
from infra.simulators.vendor_faults import Faults, Kind
from infra.simulators.vendor_server import Gone, Wire, answer, body_of, listening, not_found, on_wire, transport_of

API_KEY = "sk_simulated"
VOICE_ID = "EXAVITQu4vr4xnSDxMaL"
CONTEXTS = 5
FORMATS = frozenset({"ulaw_8000", "alaw_8000", "pcm_8000", "pcm_16000", "pcm_24000", "mp3_44100_128", "opus_48000_64"})
MODELS = frozenset({"eleven_flash_v2", "eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_multilingual_v2"})
_QUERY = frozenset(
    {"model_id", "language_code", "enable_logging", "enable_ssml_parsing", "output_format", "inactivity_timeout"}
    | {"sync_alignment", "auto_mode", "apply_text_normalization", "seed"}
)
_FIELDS = frozenset(
    {"text", "voice_settings", "generation_config", "xi-api-key", "authorization", "flush", "context_id"}
    | {"pronunciation_dictionary_locators", "close_context", "close_socket"}
)
_PATH = re.compile(r"/v1/text-to-speech/(?P<voice>[A-Za-z0-9]+)(?P<multi>/multi-stream-input)?")
_ERROR = json.dumps({"message": "Something went wrong.", "error": "internal_error", "code": 1011})
_TOO_MANY = (
    "Maximum simultaneous contexts per WebSocket connection exceeded (5). "
    "Please close an existing context before opening a new one."
)
_TOO_LATE = (
    "Have not received a new text input within the timeout of {} seconds. Streaming input terminated. Please make sure "
    'to either feed the input in the timely manner, or to send the end of input text (empty string "") when done.'
)


@dataclass(slots=True, kw_only=True)
class Delays:
    """How fast it is: to the first sound of a text, then so much sound each time; to the whole of a REST answer."""

    first_ms: float = 90.0
    chunk_ms: int = 150
    every_ms: float = 15.0
    rest_ms: float = 60.0


@dataclass(slots=True)
class ElevenLabsTts:
    """`said` is every text that was spoken, over all connections. `alignment` False: this model does not tell.
    `otherwise` answers what is not text to speech (one origin serves the vendor's other APIs too)."""

    delays: Delays = field(default_factory=Delays)
    faults: Faults = field(default_factory=Faults)
    key: str = API_KEY
    voice: str = VOICE_ID
    alignment: bool = True
    otherwise: ASGIApp | None = None
    said: list[str] = field(default_factory=list)
    rendered: list[str] = field(default_factory=list)
    open: int = 0
    most_contexts: int = 0
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        found = _PATH.fullmatch(scope["path"])
        if found and found["multi"] and scope["type"] == "websocket":
            wire = Wire(scope, receive, send, self.faults.take(), _ERROR)
            await on_wire(wire, lambda wire: self._serve(wire, found["voice"]))
        elif found and not found["multi"] and scope["type"] == "http" and scope["method"] == "POST":
            await self._render(scope, receive, send, found["voice"])
        else:
            await (self.otherwise or not_found)(scope, receive, send)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[ElevenLabsTts]:
        """On loopback; `url` is ELEVENLABS_BASE_URL."""
        async with listening(self, port) as bound:
            self.url = f"http://127.0.0.1:{bound}"
            yield self

    async def _serve(self, wire: Wire, voice: str) -> None:
        asked = dict(wire.query)
        if wire.headers.get("xi-api-key") != self.key:
            await wire.refuse(401, _detail("invalid_api_key", "Invalid API key"))
        if voice != self.voice:
            await wire.refuse(404, _detail("voice_not_found", f"A voice with voice_id {voice} was not found."))
        timeout = float(asked.get("inactivity_timeout", "20"))
        fits = not asked.keys() - _QUERY and asked.get("output_format", "mp3_44100_128") in FORMATS
        if not fits or asked.get("model_id", "eleven_flash_v2_5") not in MODELS or not 1 <= timeout <= 180:
            await wire.refuse(422, _detail("invalid_parameters", f"Not allowed: {sorted(asked.items())}"))
        await wire.accept()
        self.open += 1
        session = _Session(self, wire, sync=asked.get("sync_alignment") == "true")
        try:
            await session.listen(timeout)
        finally:
            self.open -= 1
            await session.aclose()

    async def _render(self, scope: Scope, receive: Receive, send: Send, voice: str) -> None:
        trouble = self.faults.take()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = await body_of(receive)
        match trouble.striking:
            case Kind.REFUSED | Kind.CUT:
                transport_of(send).abort()
                return
            case Kind.UNAUTHORIZED | Kind.BUSY if trouble.refusal:
                status = "invalid_api_key" if trouble.refusal == 401 else "too_many_concurrent_requests"
                await answer(send, trouble.refusal, _detail(status, "by a fault"))
                return
            case Kind.HUNG:
                await receive()
                return
            case Kind.ERROR | Kind.CLOSE:
                await answer(send, 500, _detail("internal_error", "Something went wrong"))
                return
            case Kind.SLOW:
                assert trouble.fault
                await asyncio.sleep(trouble.fault.delay_ms / 1000)
        if headers.get("xi-api-key") != self.key:
            await answer(send, 401, _detail("invalid_api_key", "Invalid API key"))
            return
        try:
            text = json.loads(body)["text"]
        except (ValueError, KeyError, TypeError):
            await answer(send, 422, _detail("invalid_parameters", "text: Field required"))
            return
        if voice != self.voice or b"output_format=ulaw_8000" not in scope["query_string"]:
            await answer(send, 404, _detail("voice_not_found", "A voice with that voice_id was not found."))
            return
        await asyncio.sleep(self.delays.rest_ms / 1000)
        self.rendered.append(text)
        sound = b"" if trouble.striking is Kind.EMPTY else speak(text.strip()).mulaw
        sound = b"<html>" if trouble.striking is Kind.GARBAGE else sound
        await answer(send, 200, sound, content_type="audio/basic" if sound != b"<html>" else "text/html")


@dataclass(slots=True)
class _Context:
    """Text that waits for more of it, and texts to be spoken (None: that was all)."""

    text: str = ""
    jobs: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None
    closing: bool = False


class _Session:
    """One connection."""

    def __init__(self, owner: ElevenLabsTts, wire: Wire, *, sync: bool) -> None:
        self._owner = owner
        self._wire = wire
        self._sync = sync
        self._contexts: dict[str, _Context] = {}

    async def listen(self, timeout: float) -> None:
        """Until it is over."""
        while True:
            try:
                async with asyncio.timeout(timeout):
                    message = await self._wire.receive()
            except TimeoutError:
                await self._fail("input_timeout_exceeded", _TOO_LATE.format(timeout))
            await self._take(message)

    async def _take(self, message: str | bytes) -> None:
        try:
            body = json.loads(message)
            wrong = sorted(body.keys() - _FIELDS)
        except (ValueError, AttributeError):
            await self._fail("invalid_message", "Not a JSON object.")
        if wrong:
            await self._fail("invalid_message", f"Unknown fields: {wrong}")
        if body.get("close_socket"):
            await self._close_socket()
        name, text = body.get("context_id") or "", body.get("text")
        if text == "" and not body.get("flush") and not body.get("close_context"):
            return  # keep-alive
        context = self._contexts.get(name)
        if body.get("close_context"):
            if context:
                self._end(context)
            return
        if context is None or context.closing:
            context = await self._begin(name)
        elif "voice_settings" in body or "generation_config" in body:
            await self._fail("invalid_message", "Settings can only be provided in the first message of a context.")
        self._say(context, body, text or "")

    def _say(self, context: _Context, body: dict[str, Any], text: str) -> None:
        context.text += text
        if context.text.strip() and (body.get("flush") or context.text.rstrip().endswith((".", "!", "?"))):
            context.jobs.put_nowait(context.text.strip())
            context.text = ""

    async def _begin(self, name: str) -> _Context:
        if len(self._contexts) >= CONTEXTS:
            await self._fail("max_active_conversations", _TOO_MANY)
        context = self._contexts[name] = _Context()
        self._owner.most_contexts = max(self._owner.most_contexts, len(self._contexts))
        context.task = asyncio.create_task(self._speak_all(name, context))
        return context

    def _end(self, context: _Context) -> None:
        if not context.closing:
            context.closing = True
            context.jobs.put_nowait(None)

    async def _close_socket(self) -> NoReturn:
        for context in self._contexts.values():
            self._end(context)
        tasks = [context.task for context in self._contexts.values() if context.task]
        if tasks:
            await asyncio.wait(tasks)
        await self._wire.close()

    async def aclose(self) -> None:
        """The connection is over."""
        tasks = [context.task for context in self._contexts.values() if context.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _speak_all(self, name: str, context: _Context) -> None:
        with suppress(Gone):
            while (text := await context.jobs.get()) is not None:
                await self._sound(name, text)
            del self._contexts[name]
            await self._wire.send(json.dumps({"isFinal": True, "contextId": name}))

    async def _sound(self, name: str, text: str) -> None:
        if self._wire.empty:
            return
        delays, spoken = self._owner.delays, speak(text)
        self._owner.said.append(text)
        await asyncio.sleep(delays.first_ms / 1000)
        for start in range(0, len(spoken.mulaw) // 8 + 1, delays.chunk_ms):
            chunk = spoken.mulaw[start * 8 : (start + delays.chunk_ms) * 8]
            if chunk:
                alignment = _alignment(spoken, start, delays.chunk_ms) if self._owner.alignment and self._sync else None
                message = {
                    "audio": base64.b64encode(chunk).decode(),
                    "isFinal": None,
                    "normalizedAlignment": alignment,
                    "alignment": alignment,
                    "contextId": name,
                }
                await self._wire.send(json.dumps(message))
                await asyncio.sleep(delays.every_ms / 1000)

    async def _fail(self, error: str, message: str) -> NoReturn:
        await self._wire.send(json.dumps({"message": message, "error": error, "code": 1008}))
        await self._wire.close(1008, message[:120])


def _alignment(spoken: Spoken, start: int, length: int) -> dict[str, list[Any]] | None:
    """The characters that end in this chunk; times count from its beginning."""
    first, last = spoken.between(start, start + length)
    if first == last:
        return None
    begins = [0.0, *spoken.ends_ms]
    return {
        "chars": list(spoken.text[first:last]),
        "charStartTimesMs": [max(0, round(begins[n] - start)) for n in range(first, last)],
        "charDurationsMs": [
            round(spoken.ends_ms[n] - start) - max(0, round(begins[n] - start)) for n in range(first, last)
        ],
    }


def _detail(status: str, message: str) -> bytes:
    return json.dumps({"detail": {"status": status, "message": message}}).encode()


async def _main(port: int) -> None:
    async with ElevenLabsTts().serving(port) as vendor:
        print(f"ELEVENLABS_BASE_URL={vendor.url} ELEVENLABS_API_KEY={API_KEY}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="ElevenLabs' text to speech on loopback")
    arguments.add_argument("--port", type=int, default=8090)
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(arguments.parse_args().port))
