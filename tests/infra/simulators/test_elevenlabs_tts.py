"""The simulated text to speech of ElevenLabs against the vendor's own types and SDK, and as strict as the vendor."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import WebsocketTtsClientMessageMulti, WebsocketTtsServerMessageMulti
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from infra.simulators.elevenlabs_tts import API_KEY, CONTEXTS, VOICE_ID, Delays, ElevenLabsTts
from infra.simulators.speech_sound import speak
from infra.simulators.vendor_faults import Fault, Faults, Kind

pytestmark = pytest.mark.anyio
QUICK = Delays(first_ms=1, chunk_ms=400, every_ms=0, rest_ms=0)
QUERY = "model_id=eleven_flash_v2_5&output_format=ulaw_8000&auto_mode=true&sync_alignment=true"


@asynccontextmanager
async def connected(
    vendor: ElevenLabsTts, query: str = QUERY, *, key: str = API_KEY, voice: str = VOICE_ID
) -> AsyncIterator[ClientConnection]:
    async with vendor.serving():
        url = f"{vendor.url.replace('http', 'ws')}/v1/text-to-speech/{voice}/multi-stream-input?{query}"
        async with connect(url, additional_headers={"xi-api-key": key}, compression=None) as socket:
            yield socket


async def tell(socket: ClientConnection, **body: Any) -> None:
    WebsocketTtsClientMessageMulti.model_validate(body)
    await socket.send(json.dumps(body))


async def heard(socket: ClientConnection, finals: int = 1) -> list[WebsocketTtsServerMessageMulti]:
    """All messages up to so many finals, each of the vendor's own type."""
    messages = list[WebsocketTtsServerMessageMulti]()
    async with asyncio.timeout(10):
        while sum(bool(one.model_extra and one.model_extra.get("isFinal")) for one in messages) < finals:
            messages.append(WebsocketTtsServerMessageMulti.model_validate_json(await socket.recv()))
    return messages


async def test_a_context_from_its_beginning_to_its_end() -> None:
    async with connected(ElevenLabsTts(delays=QUICK)) as socket:
        await tell(socket, text=" ", context_id="a", voice_settings={"stability": 0.5})
        await tell(socket, text="Hello there, you. ", context_id="a", flush=True)
        await tell(socket, context_id="a", close_context=True)
        messages = await heard(socket)
        await tell(socket, close_socket=True)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 1000
    sound = b"".join(base64.b64decode(one.audio or "") for one in messages)
    assert sound == speak("Hello there, you.").mulaw
    assert {one.context_id for one in messages} == {"a"}
    chars, ends, at = "", list[float](), 0.0
    for one in messages:
        if one.alignment:
            assert one.alignment.chars
            assert one.alignment.char_start_times_ms
            assert one.alignment.char_durations_ms
            chars += "".join(one.alignment.chars)
            pairs = zip(one.alignment.char_start_times_ms, one.alignment.char_durations_ms, strict=True)
            ends += [at + start + length for start, length in pairs]
        at += len(base64.b64decode(one.audio or "")) / 8
    assert chars == "Hello there, you."
    assert ends == pytest.approx(list(speak("Hello there, you.").ends_ms), abs=2)


async def test_a_flush_alone_has_no_final() -> None:
    async with connected(ElevenLabsTts(delays=QUICK)) as socket:
        await tell(socket, text="Hello. ", context_id="a", flush=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await heard(socket)


async def test_a_sixth_context_ends_the_connection() -> None:
    vendor = ElevenLabsTts(delays=QUICK)
    async with connected(vendor) as socket:
        for n in range(CONTEXTS + 1):
            await tell(socket, text=" ", context_id=str(n))
        with pytest.raises(ConnectionClosed) as closed:
            await heard(socket)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1008
    assert vendor.most_contexts == CONTEXTS


async def test_a_connection_that_is_silent_is_closed_and_one_that_shows_life_is_not() -> None:
    async with connected(ElevenLabsTts(), f"{QUERY}&inactivity_timeout=1") as socket:
        for _ in range(3):
            await asyncio.sleep(0.5)
            await tell(socket, text="", context_id="a")
        with pytest.raises(ConnectionClosed) as closed:
            await heard(socket)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize(
    ("query", "key", "voice", "status"),
    [
        (QUERY, "wrong", VOICE_ID, 401),
        (QUERY, API_KEY, "nobody", 404),
        (QUERY.replace("ulaw_8000", "wav"), API_KEY, VOICE_ID, 422),
        (QUERY.replace("flash_v2_5", "flash_v9"), API_KEY, VOICE_ID, 422),
        (f"{QUERY}&inactivity_timeout=181", API_KEY, VOICE_ID, 422),
        (f"{QUERY}&voice=x", API_KEY, VOICE_ID, 422),
    ],
)
async def test_the_door(query: str, key: str, voice: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with connected(ElevenLabsTts(), query, key=key, voice=voice):
            pass
    assert refusal.value.response.status_code == status


@pytest.mark.parametrize("message", ["{", "[]", '{"textt":"a"}'])
async def test_what_it_does_not_understand(message: str) -> None:
    async with connected(ElevenLabsTts()) as socket:
        await socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            await heard(socket)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1008


async def test_the_vendors_own_sdk_renders_with_it() -> None:
    vendor = ElevenLabsTts(delays=QUICK)
    async with vendor.serving(), httpx.AsyncClient() as http:
        sdk = AsyncElevenLabs(api_key=API_KEY, base_url=vendor.url, httpx_client=http)
        sound = b""
        async for chunk in sdk.text_to_speech.convert(VOICE_ID, text="Good day.", output_format="ulaw_8000"):
            sound += chunk
        assert sound == speak("Good day.").mulaw
        vendor.faults.add(Fault(kind=Kind.BUSY))
        with pytest.raises(ApiError) as refusal:
            async for _ in sdk.text_to_speech.convert(
                VOICE_ID, text="x", output_format="ulaw_8000", request_options={"max_retries": 0}
            ):
                pass
        assert refusal.value.status_code == 429


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.CLOSE, Kind.ERROR, Kind.HUNG, Kind.EMPTY, Kind.GARBAGE])
async def test_faults_strike_in_the_middle(kind: Kind) -> None:
    vendor = ElevenLabsTts(delays=QUICK, faults=Faults(Fault(kind=kind, after_messages=0 if kind is Kind.EMPTY else 1)))
    seen = list[str | BaseException]()
    try:
        async with connected(vendor) as socket, asyncio.timeout(0.6):
            await tell(socket, text="Hello there, how are you today? ", context_id="a", flush=True)
            await tell(socket, context_id="a", close_context=True)
            while True:
                seen.append(str(await socket.recv()))
    except (ConnectionClosed, TimeoutError) as end:
        seen.append(end)
    if kind in (Kind.CUT, Kind.CLOSE, Kind.ERROR):
        assert isinstance(seen[-1], ConnectionClosed)
        assert (seen[-1].rcvd is None) is (kind is Kind.CUT)
    else:
        assert isinstance(seen[-1], TimeoutError)
        finals = sum("isFinal" in one and '"isFinal": true' in one for one in seen if isinstance(one, str))
        assert finals == (1 if kind is Kind.EMPTY else 0)
