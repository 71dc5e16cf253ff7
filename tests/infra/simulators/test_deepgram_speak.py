"""The simulated `speak` against the vendor's own SDK, and as strict as the vendor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from infra.simulators.deepgram import Deepgram
from infra.simulators.deepgram_listen import DeepgramListen
from infra.simulators.deepgram_speak import API_KEY, CHARACTERS, FLUSHES, LONGEST, DeepgramSpeak, Delays
from infra.simulators.speech_sound import speak
from infra.simulators.vendor_faults import Fault, Faults, Kind

pytestmark = pytest.mark.anyio
QUICK = Delays(first_ms=1, chunk_ms=400, every_ms=0)
QUERY = "model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000"


@asynccontextmanager
async def connected(
    vendor: DeepgramSpeak, query: str = QUERY, authorization: str = f"Token {API_KEY}"
) -> AsyncIterator[ClientConnection]:
    async with vendor.serving():
        url = f"{vendor.url}/v1/speak?{query}"
        async with connect(url, additional_headers={"Authorization": authorization}, compression=None) as socket:
            yield socket


async def tell(socket: ClientConnection, *kinds: str, text: str = "") -> None:
    for kind in kinds:
        await socket.send(json.dumps({"type": kind, "text": text} if kind == "Speak" else {"type": kind}))


async def until(socket: ClientConnection, kind: str) -> tuple[bytes, list[str]]:
    """The sound, and the kinds of the messages, up to this one."""
    sound, kinds = b"", list[str]()
    async with asyncio.timeout(10):
        while kind not in kinds:
            message = await socket.recv()
            if isinstance(message, bytes):
                sound += message
            else:
                kinds.append(json.loads(message)["type"])
    return sound, kinds


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_vendors_own_sdk_can_speak_with_it() -> None:
    from deepgram import AsyncDeepgramClient
    from deepgram.environment import DeepgramClientEnvironment
    from deepgram.speak.v1.types import SpeakV1Text

    vendor = DeepgramSpeak(delays=QUICK)
    async with vendor.serving() as here, asyncio.timeout(20):
        at = DeepgramClientEnvironment(base="http://x", production=here.url, agent=here.url, agent_rest="http://x")
        client = AsyncDeepgramClient(api_key=API_KEY, environment=at)
        async with client.speak.v1.connect(model="aura-2-thalia-en", encoding="mulaw", sample_rate=8000) as socket:
            await socket.send_text(SpeakV1Text(text="Hello there. "))
            await socket.send_flush()
            sound, kinds = b"", list[str]()
            while "Flushed" not in kinds:
                message = await socket.recv()
                if isinstance(message, bytes):
                    sound += message
                else:
                    kinds.append(message.type)
            await socket.send_clear()
            assert (await socket.recv()).type == "Cleared"
            await socket.send_close()
    assert kinds == ["Metadata", "Flushed"]
    assert sound == speak("Hello there.").mulaw


async def test_texts_between_two_flushes_are_one_stretch_of_sound() -> None:
    vendor = DeepgramSpeak(delays=QUICK)
    async with connected(vendor) as socket:
        await tell(socket, "Speak", text="One. ")
        await tell(socket, "Speak", "Flush", text="Two. ")
        sound, _ = await until(socket, "Flushed")
    assert vendor.said == ["One. Two."]
    assert sound == speak("One. Two.").mulaw


async def test_a_clear_stops_it_and_what_comes_after_is_new() -> None:
    vendor = DeepgramSpeak(delays=Delays(first_ms=1, chunk_ms=20, every_ms=20))
    async with connected(vendor) as socket:
        await tell(socket, "Speak", "Flush", text="This is a long sentence that nobody wants to hear. ")
        await tell(socket, "Clear", "Speak", "Flush", text="Yes. ")
        await until(socket, "Cleared")
        sound, _ = await until(socket, "Flushed")
    assert sound == speak("Yes.").mulaw


@pytest.mark.parametrize(
    ("query", "authorization", "status"),
    [
        (QUERY, "Token wrong", 401),
        (QUERY, API_KEY, 401),
        ("model=flux-haley-en&encoding=mulaw", f"Token {API_KEY}", 400),
        ("model=aura-2-thalia-en&encoding=mp3", f"Token {API_KEY}", 400),
        ("model=aura-2-thalia-en&encoding=mulaw&sample_rate=24000", f"Token {API_KEY}", 400),
        (f"{QUERY}&container=wav", f"Token {API_KEY}", 400),
        (f"{QUERY}&interim_results=true", f"Token {API_KEY}", 400),
    ],
)
async def test_the_door(query: str, authorization: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with connected(DeepgramSpeak(), query, authorization):
            pass
    assert refusal.value.response.status_code == status


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ('{"type":"KeepAlive"}', 1008, "DATA-0000"),
        ('{"type":"Speak"}', 1008, "DATA-0000"),
        ("[1]", 1008, "DATA-0000"),
        ("{", 1008, "DATA-0000"),
        (b"\xff", 1003, "MESSAGE-0000"),
        (json.dumps({"type": "Speak", "text": "x" * (LONGEST + 1)}), 1009, "BIG-0000"),
        ('{"type":"Close"}', 1000, ""),
    ],
)
async def test_what_it_closes_for(message: str | bytes, code: int, reason: str) -> None:
    async with connected(DeepgramSpeak()) as socket:
        await socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, "never")
        assert closed.value.rcvd
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


async def test_its_limits_a_minute() -> None:
    vendor = DeepgramSpeak(delays=QUICK)
    async with connected(vendor) as socket:
        await tell(socket, *["Flush"] * (FLUSHES + 1))
        _, kinds = await until(socket, "Warning")
        await until(socket, "Flushed") if "Flushed" not in kinds else None
        for _ in range(CHARACTERS // 1_000):
            await tell(socket, "Speak", text="y" * 1_000)
        await tell(socket, "Speak", text="y" * 500)
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, "never")
        assert closed.value.rcvd
        assert closed.value.rcvd.reason == "DATA-0001"


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_fault_strikes_at_the_socket(kind: Kind) -> None:
    early = kind in (Kind.REFUSED, Kind.UNAUTHORIZED, Kind.BUSY)
    fault = Fault(kind=kind, after_messages=0 if early else 2, delay_ms=30, code=1011, reason="NET-0000")
    vendor, seen = DeepgramSpeak(delays=QUICK, faults=Faults(fault)), list[object]()
    try:
        async with connected(vendor) as socket:
            await tell(socket, "Speak", "Flush", text="Hello there, how are you? ")
            async with asyncio.timeout(0.6):
                while True:
                    message = await socket.recv()
                    seen.append(message if isinstance(message, bytes) else json.loads(message)["type"])
    except (InvalidHandshake, ConnectionClosed, TimeoutError, ValueError) as end:
        seen.append(end)
    last = seen[-1]
    match kind:
        case Kind.REFUSED:
            assert isinstance(last, InvalidMessage)
        case Kind.UNAUTHORIZED | Kind.BUSY:
            assert isinstance(last, InvalidStatus)
            assert last.response.status_code == fault.refusal
        case Kind.HUNG:
            assert isinstance(last, TimeoutError)
            assert len(seen) == 3
        case Kind.SLOW:
            assert "Flushed" in seen
        case Kind.EMPTY:
            assert "Flushed" in seen
        case Kind.CUT:
            assert isinstance(last, ConnectionClosed)
            assert last.rcvd is None
        case Kind.GARBAGE:
            assert isinstance(last, ValueError)
        case Kind.ERROR | Kind.CLOSE:
            assert isinstance(last, ConnectionClosed)
            assert last.rcvd
            assert last.rcvd.code == 1011
            assert ("Error" in seen) is (kind is Kind.ERROR)


async def test_both_of_deepgrams_ways_are_one_origin() -> None:
    vendor = Deepgram(DeepgramListen(), DeepgramSpeak(delays=QUICK))
    async with vendor.serving() as here:
        headers = {"Authorization": f"Token {API_KEY}"}
        async with connect(f"{here.url}/v1/speak?{QUERY}", additional_headers=headers, compression=None) as socket:
            await tell(socket, "Speak", "Flush", text="Hello there. ")
            sound, kinds = await until(socket, "Flushed")
            await tell(socket, "KeepAlive")
            with pytest.raises(ConnectionClosed) as closed:
                await until(socket, "never")
        listen = f"{here.url}/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000"
        async with connect(listen, additional_headers=headers, compression=None) as socket:
            await tell(socket, "CloseStream")
            await until(socket, "Metadata")
        with pytest.raises(InvalidStatus):
            await connect(f"{here.url}/v1/speak?{QUERY}")
    assert kinds == ["Metadata", "Flushed"]
    assert sound == speak("Hello there.").mulaw
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 1008
    assert len(vendor.listen.streams) == 1
    assert not vendor.speak.open
