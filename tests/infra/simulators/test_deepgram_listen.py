"""The simulated Deepgram, as the vendor's own SDK sees it; and what the SDK would never do, by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from infra.simulators.deepgram_listen import API_KEY, DeepgramListen
from infra.simulators.deepgram_listen_words import Legible, Script, silence, speak
from infra.simulators.vendor_faults import Fault, Faults, Kind

# The vendor's SDK stands on the part of websockets that is deprecated.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")]
WORDS = ("I", "need", "an", "oil", "change")
V1 = "/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000&interim_results=true&vad_events=true&endpointing=300"
V1 += "&utterance_end_ms=1000"
V2 = "/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000&eager_eot_threshold=0.5"
KEY = {"Authorization": f"Token {API_KEY}"}


@asynccontextmanager
async def vendor(*faults: Fault, **options: Any) -> AsyncIterator[DeepgramListen]:
    async with DeepgramListen(lambda: Legible(WORDS), faults=Faults(*faults), **options).serving() as server:
        yield server


def sdk(server: DeepgramListen, key: str = API_KEY) -> Any:
    http = server.url.replace("ws", "http", 1)
    places = DeepgramClientEnvironment(base=http, production=server.url, agent=server.url, agent_rest=http)
    return AsyncDeepgramClient(api_key=key, environment=places)


async def until_closed(socket: ClientConnection) -> list[Any]:
    """All that it says."""
    told: list[Any] = []
    with suppress(ConnectionClosed):
        async with asyncio.timeout(5):
            while True:
                told.append(json.loads(await socket.recv()))
    return told


async def heard(stream: Any, frames: Iterable[bytes]) -> list[Any]:
    for frame in frames:
        await stream.send_media(frame)
    await stream.send_close_stream()
    return [message async for message in stream]


async def test_the_sdk_hears_a_turn_of_v1_from_speech_started_to_metadata() -> None:
    async with (
        vendor() as server,
        sdk(server).listen.v1.connect(
            model="nova-3",
            encoding="mulaw",
            sample_rate=8000,
            interim_results=True,
            endpointing=300,
            utterance_end_ms=1000,
            vad_events=True,
            keyterm=["oil"],
        ) as stream,
    ):
        told = await heard(stream, [*silence(200), *speak(range(5)), *silence(1200)])
    kinds = [message.type for message in told]
    assert kinds[0] == "SpeechStarted"
    assert kinds[-3:] == ["UtteranceEnd", "Results", "Metadata"]
    results = [message for message in told if message.type == "Results"]
    texts = [message.channel.alternatives[0].transcript for message in results]
    assert texts[:2] == ["I", "I need"]
    (final,) = [message for message in results if message.speech_final]
    assert (final.is_final, final.channel.alternatives[0].transcript) == (True, "I need an oil change")
    words = final.channel.alternatives[0].words
    assert [word.start for word in words] == [0.2, 0.5, 0.8, 1.1, 1.4]
    assert told[-1].duration == pytest.approx(2.9)
    assert server.streams[0].wishes.keyterms == ("oil",)
    assert server.violations == ["sound faster than 1.25 times real time"]


async def test_the_sdk_hears_turns_of_v2_with_an_eager_end_taken_back() -> None:
    async with (
        vendor() as server,
        sdk(server).listen.v2.connect(
            model="flux-general-en", encoding="mulaw", sample_rate=8000, eager_eot_threshold=0.5, eot_threshold=0.7
        ) as stream,
    ):
        told = await heard(
            stream, [*speak([0, 1]), *silence(300), *speak([2, 3]), *silence(600), *speak([4]), *silence(100)]
        )
    assert told[0].type == "Connected"
    turns = [message for message in told if message.type == "TurnInfo"]
    events = [(turn.turn_index, turn.event) for turn in turns if turn.event != "Update"]
    assert events == [
        (0, "StartOfTurn"),
        (0, "EagerEndOfTurn"),
        (0, "TurnResumed"),
        (0, "EagerEndOfTurn"),
        (0, "EndOfTurn"),
        (1, "StartOfTurn"),
    ]
    ends = [turn for turn in turns if turn.event in ("EagerEndOfTurn", "EndOfTurn")]
    assert [turn.transcript for turn in ends] == ["I need", "I need an oil", "I need an oil"]
    assert ends[-1].trigger == "model"
    assert [message.sequence_id for message in told] == list(range(len(told)))
    assert turns[-1].transcript == "change"  # closed in the middle: the last Update is the final text


async def test_the_sdk_is_refused_with_a_wrong_key_and_told_when_it_is_one_too_many() -> None:
    async with vendor(concurrency=1) as server:
        with pytest.raises(ApiError) as refused:
            async with sdk(server, "wrong").listen.v1.connect(model="nova-3", encoding="mulaw", sample_rate=8000):
                pass
        assert refused.value.status_code == 401
        async with connect(server.url + V1, additional_headers=KEY):
            with pytest.raises(InvalidStatus) as busy:
                await connect(server.url + V1, additional_headers=KEY)
            assert (busy.value.response.status_code, "dg-error" in busy.value.response.headers) == (429, True)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (V1.replace("mulaw", "mp3"), "encoding cannot be 'mp3'"),
        (V1.replace("1000", "500"), "utterance_end_ms cannot be '500'"),
        (V1.replace("interim_results=true&", ""), "utterance_end_ms needs interim_results=true"),
        (V1 + "&endpointing=400", "endpointing is given twice"),
        (V1 + "&keyterms=oil", "unknown parameter keyterms"),
        (V1.replace("nova-3", "nova-2") + "&keyterm=oil", "keyterm needs nova-3"),
        (V1 + "&keyterm=an+oil+change" * 120, "the keyterms have more than 500 tokens"),
        ("/v1/listen?encoding=mulaw&sample_rate=8000", "model is required"),
        (V2 + "&interim_results=true", "unknown parameter interim_results"),
        (V2 + "&eot_threshold=0.4", "eot_threshold cannot be '0.4'"),
        (V2 + "&eot_threshold=0.5&language_hint=es", "language_hint needs flux-general-multi"),
        (V2.replace("0.5", "0.9"), "eager_eot_threshold must not be above eot_threshold"),
        ("/v3/listen", "no such path: /v3/listen"),
    ],
)
async def test_a_query_that_the_vendor_would_not_take_is_answered_400(path: str, why: str) -> None:
    async with vendor() as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url + path, additional_headers=KEY)
        assert refused.value.response.status_code == 400
        assert refused.value.response.headers["dg-error"] == why
        assert server.violations == [why]


async def test_without_sound_it_ends_and_keep_alive_counts_only_after_the_first_sound() -> None:
    async with vendor(idle_s=0.6) as server:
        async with connect(server.url + V1, additional_headers=KEY) as socket:
            with suppress(ConnectionClosed):
                for _ in range(8):
                    await socket.send('{"type":"KeepAlive"}')
                    await asyncio.sleep(0.1)
            await until_closed(socket)
            assert (socket.close_code, socket.close_reason) == (1011, "NET-0001")
        async with connect(server.url + V1, additional_headers=KEY) as socket:
            await socket.send(silence(20)[0])
            for _ in range(8):
                await socket.send('{"type":"KeepAlive"}')
                await asyncio.sleep(0.1)
            await socket.send('{"type":"CloseStream"}')
            kinds = [json.loads(message)["type"] async for message in socket]
            assert (kinds, socket.close_code) == (["Results", "Metadata"], 1000)


async def test_an_empty_message_ends_v1_and_v2_knows_no_keep_alive_and_gives_no_code() -> None:
    async with vendor() as server:
        async with connect(server.url + V1, additional_headers=KEY) as socket:
            await socket.send(b"")
            assert [json.loads(message)["type"] async for message in socket] == ["Results", "Metadata"]
        async with connect(server.url + V2, additional_headers=KEY) as socket:
            await socket.send('{"type":"KeepAlive"}')
            last = (await until_closed(socket))[-1]
            assert (last["type"], last["code"]) == ("Error", "UNPARSABLE_CLIENT_MESSAGE")
        async with connect(server.url + V2, additional_headers=KEY) as socket:
            await socket.send('{"type":"CloseStream"}')
            await until_closed(socket)
            assert socket.close_code == 1005
        assert server.violations == ['unknown message: {"type":"KeepAlive"}']


async def test_configure_changes_what_it_may_and_a_bad_one_changes_nothing() -> None:
    async with vendor() as server, connect(server.url + V2, additional_headers=KEY) as socket:
        await socket.recv()
        await socket.send('{"type":"Configure","thresholds":{"eot_threshold":0.9},"keyterms":["VIN"]}')
        told = json.loads(await socket.recv())
        assert (told["type"], told["thresholds"]["eot_threshold"], told["keyterms"]) == (
            "ConfigureSuccess",
            0.9,
            ["VIN"],
        )
        await socket.send('{"type":"Configure","thresholds":{"eager_eot_threshold":0.95}}')
        assert json.loads(await socket.recv())["type"] == "ConfigureFailure"
        assert (server.streams[0].wishes.eager, server.streams[0].wishes.eot) == (0.5, 0.9)


async def test_a_script_is_heard_as_its_sound_passes_and_a_cough_is_nothing() -> None:
    script = ("an oil change please", "", "tomorrow")
    async with (
        DeepgramListen(lambda: Script(script)).serving() as server,
        connect(server.url + V1, additional_headers=KEY) as socket,
    ):
        loud = [b"\x10\x90" * 80]
        for ms in (900, 300, 500):
            for frame in [*(loud * (ms // 20)), *silence(1000)]:
                await socket.send(frame)
        await socket.send('{"type":"CloseStream"}')
        told = [json.loads(message) async for message in socket]
    finals = [m["channel"]["alternatives"][0]["transcript"] for m in told if m.get("speech_final")]
    assert finals == ["an oil change please", "tomorrow"]
    assert sum(message["type"] == "SpeechStarted" for message in told) == 3


@pytest.mark.parametrize("api", [V1, V2])
@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (Fault(kind=Kind.CUT, after_ms=60), 1006),
        (Fault(kind=Kind.CLOSE, after_ms=60, code=1012, reason="restart"), 1012),
        (Fault(kind=Kind.ERROR, after_ms=60, code=1011), 1011),
        (Fault(kind=Kind.CLOSE, after_messages=1, code=1008, reason="DATA-0000"), 1008),
    ],
)
async def test_faults_of_a_stream_are_faults_of_its_socket(api: str, fault: Fault, end: int) -> None:
    async with vendor(fault) as server, connect(server.url + api, additional_headers=KEY) as socket:
        for frame in speak(range(5)):
            await socket.send(frame)
        await until_closed(socket)
        assert (socket.close_code or 1006) == end


async def test_a_hung_vendor_takes_all_and_says_nothing_and_an_empty_one_hears_no_word() -> None:
    async with vendor(Fault(kind=Kind.HUNG), Fault(kind=Kind.EMPTY), Fault(kind=Kind.REFUSED)) as server:
        async with connect(server.url + V1, additional_headers=KEY, close_timeout=0.1) as socket:
            for frame in speak(range(5)):
                await socket.send(frame)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await socket.recv()
        async with connect(server.url + V1, additional_headers=KEY) as socket:
            for frame in [*speak(range(5)), *silence(500)]:
                await socket.send(frame)
            await socket.send('{"type":"CloseStream"}')
            told = [json.loads(message) async for message in socket]
        assert {m["channel"]["alternatives"][0]["transcript"] for m in told if m["type"] == "Results"} == {""}
        with pytest.raises((OSError, InvalidMessage)):
            await connect(server.url + V1, additional_headers=KEY)
        assert (server.connections, server.alive) == (3, 0)
