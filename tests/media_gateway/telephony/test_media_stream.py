"""The media socket against friendly and hostile peers, on a real server."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from media_gateway.telephony import media_protocol as wire
from media_gateway.telephony import media_stream
from media_gateway.telephony.media_stream import Limits
from media_gateway.voice.ports import Line, StartedStream
from tests.media_gateway.harness import STREAM_SID, NotedSession, Running, closed, connected, gateway, media, start

pytestmark = pytest.mark.anyio
MARK = json.dumps({"event": "mark", "sequenceNumber": "4", "streamSid": STREAM_SID, "mark": {"name": "g1:3"}})
DTMF = json.dumps(
    {"event": "dtmf", "sequenceNumber": "5", "streamSid": STREAM_SID, "dtmf": {"track": "inbound_track", "digit": "7"}}
)
STOP = json.dumps(
    {"event": "stop", "sequenceNumber": "5", "streamSid": STREAM_SID, "stop": {"accountSid": "AC1", "callSid": "CA1"}}
)


async def test_every_message_reaches_the_session_and_stop_ends_the_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = await running.ring("CA1")
        async with running.media() as ws:
            for frame in (connected(), start("CA1", token), media(b"\x01\x02"), MARK, DTMF, media(b""), STOP):
                await ws.send(frame)
            assert await closed(ws) == 1000
        session = await running.session("CA1")
        assert session.notes == [
            ("media", b"\x01\x02"),
            ("mark", "g1:3"),
            ("digit", "7"),
            ("media", b""),
            ("stop", None),
        ]
        assert session.ended
        assert session.started.caller_phone == "+15550001111"
        assert session.started.stream_sid == STREAM_SID
        assert not session.started.resumed
        await _quiet(running)


async def test_what_the_session_says_arrives_in_order_before_the_close(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = await running.ring("CA1")
        async with running.media() as ws:
            await ws.send(connected())
            await ws.send(start("CA1", token))
            session = await running.session("CA1")
            session.line.media(b"\x7f" * 800)
            session.line.mark('say "hi"')
            session.line.clear()
            session.line.media(b"\x00")
            session.line.close()
            session.line.media(b"too late")
            frames = [json.loads(frame) async for frame in ws]
            assert ws.close_code == 1000
        session.over.set()
        assert frames == [
            {"event": "mark", "streamSid": STREAM_SID, "mark": {"name": 'say "hi"'}},
            {"event": "clear", "streamSid": STREAM_SID},
            {"event": "media", "streamSid": STREAM_SID, "media": {"payload": "AA=="}},
        ]
        assert ("lost", None) not in session.notes, "we hung up: nothing was lost"
        await _quiet(running)


async def test_the_callers_socket_breaks(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = await running.ring("CA1")
        ws = await running.media()
        await ws.send(connected())
        await ws.send(start("CA1", token))
        session = await running.session("CA1")
        ws.transport.abort()
        await _quiet(running)
        assert session.notes == [("lost", None)]
        assert session.ended


async def test_no_task_outlives_its_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        tasks: set[int] = set()
        for n, ending in enumerate(("stop", "abort", "garbage", "hangup", "crash", "stop")):
            token = await running.ring(f"CA{n}")
            ws = await running.media()
            await ws.send(connected())
            await ws.send(start(f"CA{n}", token))
            session = await running.session(f"CA{n}")
            session.crash = ending == "crash"
            if ending in ("hangup", "crash"):
                session.over.set()
            elif ending == "abort":
                ws.transport.abort()
            else:
                await ws.send(STOP if ending == "stop" else "}")
            await closed(ws)
            await _quiet(running)
            await asyncio.sleep(0.05)
            tasks.add(len(asyncio.all_tasks()))
        assert len(tasks) == 1, "as many tasks after each call as after the first"


async def test_a_bug_in_a_session_ends_its_call_and_no_other(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        tokens = [await running.ring(sid) for sid in ("CA1", "CA2")]
        async with running.media() as first, running.media() as second:
            for ws, sid, token in ((first, "CA1", tokens[0]), (second, "CA2", tokens[1])):
                await ws.send(connected())
                await ws.send(start(sid, token))
            broken = await running.session("CA1")
            broken.crash = True
            broken.over.set()
            assert await closed(first) == 1011
            await second.send(media(b"\x05"))
            other = await running.session("CA2")
            await running.until(lambda: other.notes == [("media", b"\x05")])


async def test_a_session_that_does_not_end_is_ended(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=Limits(wind_down_s=0.05)) as running:
        token = await running.ring("CA1")
        async with running.media() as ws:
            await ws.send(connected())
            await ws.send(start("CA1", token))
            session = await running.session("CA1")
            session.on_stop = lambda: None  # type: ignore[method-assign]
            await ws.send(STOP)
            assert await closed(ws) == 1000
        await _quiet(running)
        assert not session.ended


@pytest.mark.parametrize("signature", [None, "", "AAAA", "wrong-token"])
async def test_an_unsigned_upgrade_is_refused_before_it_is_one(tmp_path: Path, signature: str | None) -> None:
    async with gateway(tmp_path) as running:
        if signature == "wrong-token":
            opening = running.media(token=signature)
        else:
            headers = {} if signature is None else {"X-Twilio-Signature": signature}
            opening = running.socket("/api/v1/voice/media-stream", additional_headers=headers)
        with pytest.raises(InvalidStatus) as refused:
            await opening
        assert refused.value.response.status_code == 403


async def test_the_signature_may_be_over_the_url_with_a_slash(tmp_path: Path) -> None:
    from twilio.request_validator import RequestValidator

    async with gateway(tmp_path) as running:
        url = f"{running.settings.socket_base_url}/api/v1/voice/media-stream/"
        signed = RequestValidator("a-twilio-auth-token").compute_signature(url, {})
        async with running.socket("/api/v1/voice/media-stream", additional_headers={"X-Twilio-Signature": signed}):
            pass


HOSTILE: dict[str, tuple[list[str | bytes], int]] = {
    "garbage": (["{nonsense"], 1007),
    "not an object": (["[]"], 1002),
    "deep nesting": (['{"a":' * 10_000], 1007),
    "invalid utf-8 escape": (['{"event":"\\ud800"}'], 1007),
    "unknown event": ([connected(), '{"event":"transfer"}'], 1002),
    "no event": (['{"streamSid":"MZ1"}'], 1002),
    "a megabyte": (["x" * 1_000_000], 1009),
    "over 64 KiB": ([json.dumps({"event": "connected", "x": "y" * 66_000})], 1009),
    "binary": ([b"\x00\x01"], 1003),
    "media first": ([connected(), media()], 1002),
    "stop first": ([connected(), STOP], 1002),
    "connected twice": ([connected(), connected()], 1002),
    "no token": ([connected(), start("CA1", None)], 1008),
    "a token that is none": ([connected(), start("CA1", "a.b.c")], 1008),
    "another format": (
        [connected(), start("CA1", "x", mediaFormat={"encoding": "audio/l16", "sampleRate": 8000, "channels": 1})],
        1002,
    ),
    "two stream sids": ([connected(), start("CA1", "x", streamSid="MZother")], 1002),
    "call sid as a path": ([connected(), start("../calls/CA1", "x")], 1002),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_before_start(tmp_path: Path, name: str) -> None:
    """The right code, nothing written, no session, and a call beside it does not notice."""
    frames, code = HOSTILE[name]
    async with gateway(tmp_path) as running:
        other, neighbour = await _neighbour(running)
        await running.ring("CA1")
        before = await _everything(running)
        async with running.media() as ws:
            for frame in frames:
                await ws.send(frame)
            assert await closed(ws) == code
        assert await _everything(running) == before
        assert len(running.sessions) == 1
        await _still_runs(running, other, neighbour)


AFTER_START: dict[str, tuple[str | bytes, int]] = {
    "second start": (start("CA1", "x"), 1002),
    "wrong stream sid": (media(stream_sid="MZother"), 1002),
    "unknown event": ('{"event":"transfer","streamSid":"MZ"}', 1002),
    "payload is not base64": (
        json.dumps({"event": "media", "streamSid": STREAM_SID, "media": {"payload": "!!!"}}),
        1002,
    ),
    "outbound track": (
        json.dumps({"event": "media", "streamSid": STREAM_SID, "media": {"payload": "", "track": "outbound"}}),
        1002,
    ),
    "a key that is none": (json.dumps({"event": "dtmf", "streamSid": STREAM_SID, "dtmf": {"digit": "12"}}), 1002),
    "garbage": ("}", 1007),
    "binary": (b"\xff", 1003),
    "a megabyte": ("x" * 1_000_000, 1009),
}


@pytest.mark.parametrize("name", AFTER_START)
async def test_hostile_after_start(tmp_path: Path, name: str) -> None:
    frame, code = AFTER_START[name]
    async with gateway(tmp_path) as running:
        other, neighbour = await _neighbour(running)
        token = await running.ring("CA1")
        async with running.media() as ws:
            await ws.send(connected())
            await ws.send(start("CA1", token))
            session = await running.session("CA1")
            before = await _everything(running)
            await ws.send(frame)
            assert await closed(ws) == code
        await running.until(lambda: session.ended)
        assert session.notes == [("lost", None)]
        assert await _everything(running) == before
        await _still_runs(running, other, neighbour)


@pytest.mark.parametrize(("frame", "most"), [(media(), 500), (DTMF, 40), (MARK, 1_000)], ids=["media", "dtmf", "mark"])
async def test_a_flood_ends_its_stream_and_no_other(tmp_path: Path, frame: str, most: int) -> None:
    async with gateway(tmp_path) as running:
        other, neighbour = await _neighbour(running)
        token = await running.ring("CA1")
        with capture_logs() as lines:
            async with running.media() as ws:
                await ws.send(connected())
                await ws.send(start("CA1", token))
                session = await running.session("CA1")
                with suppress(ConnectionClosed):
                    for _ in range(3 * most):
                        await ws.send(frame)
                assert await closed(ws) == 1008
            await running.until(lambda: session.ended)
        assert most <= len(session.notes) - 1 < 3 * most
        assert session.notes[-1] == ("lost", None)
        assert [line["event"] for line in lines].count("media_stream_broken") == 1
        await _still_runs(running, other, neighbour)


async def test_the_reader_lets_others_live(tmp_path: Path) -> None:
    """Frames that are there already are received without waiting; between them others have their turn."""

    class Backlog:
        left = 400

        async def receive(self) -> dict[str, object]:
            self.left -= 1
            return {"type": "websocket.receive", "text": media()} if self.left else {"type": "websocket.disconnect"}

    protocol = wire.MediaProtocol()
    protocol.receive(start("CA1", "x"))
    session = NotedSession(StartedStream(call_id="CA1", stream_sid=STREAM_SID), cast("Line", None))
    incoming = media_stream._Incoming(protocol, session)
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    assert await media_stream._read(cast("WebSocket", Backlog()), incoming, lambda: False) is None
    task.cancel()
    assert len(session.notes) == 400
    assert turns >= 400 // media_stream.YIELD_EVERY - 1


async def test_asked_again_a_call_goes_on_in_a_new_stream_and_the_older_falls_silent(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = await running.ring("CA1")
        async with running.media() as first:
            await first.send(connected())
            await first.send(start("CA1", token))
            older = await running.session("CA1")
            await running.gateway.core.journal.own("CA1", "here")
            token = await running.ring("CA1")
            async with running.media() as second:
                await second.send(connected())
                await second.send(start("CA1", token))
                assert await closed(first) == 1000
                await running.until(lambda: len(running.sessions) == 2)
                newer = running.sessions[1]
                assert newer.started.resumed
                assert not older.started.resumed
                assert older.notes == [("lost", None)], "not moved: nobody shall ask for a third stream"
                await running.until(lambda: older.ended)
                assert running.gateway.sessions.get("CA1") is newer
                await second.send(media(b"\x01"))
                await running.until(lambda: newer.notes == [("media", b"\x01")])


async def test_nothing_is_taken_after_stop(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = await running.ring("CA1")
        async with running.media() as ws:
            for frame in (connected(), start("CA1", token), STOP, media(b"late")):
                await ws.send(frame)
            assert await closed(ws) == 1000
        assert (await running.session("CA1")).notes == [("stop", None)]


async def test_a_token_works_once_and_for_its_own_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = await running.ring("CA1")
        await running.ring("CA2")
        before = await _everything(running)
        assert await _offer(running, "CA2", token) == 1008, "the token of another call"
        assert await _everything(running) == before
        async with running.media() as ws:
            await ws.send(connected())
            await ws.send(start("CA1", token))
            await running.session("CA1")
            assert await _offer(running, "CA1", token) == 1008, "used before"
            assert len(running.sessions) == 1
            await ws.send(media(b"\x01"))
            session = running.sessions[0]
            await running.until(lambda: session.notes == [("media", b"\x01")])


async def test_a_dashboards_token_opens_no_stream_and_a_streams_token_no_dashboard(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = await running.ring("CA1")
        access = running.bearer()["Authorization"].removeprefix("Bearer ")
        assert await _offer(running, "CA1", access) == 1008
        with pytest.raises(InvalidStatus) as refused:
            await running.socket(f"/ws/events?token={token}")
        assert refused.value.response.status_code == 401


async def test_the_token_of_a_call_that_nobody_opened(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert await _offer(running, "CA9", running.tokens.stream(call_id="CA9", org="default")) == 1008


@pytest.mark.parametrize("first", [[], [connected()]])
async def test_no_start_in_time(tmp_path: Path, first: list[str]) -> None:
    async with gateway(tmp_path, limits=Limits(start_s=0.05)) as running:
        before = await _everything(running)
        async with running.media() as ws:
            for frame in first:
                await ws.send(frame)
            assert await closed(ws) == 1008
        assert running.sessions == []
        assert await _everything(running) == before


async def test_one_call_too_many_and_a_draining_instance_say_so(tmp_path: Path) -> None:
    async with gateway(tmp_path, CALLBOARD_MAX_CALLS="1") as running:
        token = await running.ring("CA1")
        async with running.media() as ws:
            await ws.send(connected())
            await ws.send(start("CA1", token))
            session = await running.session("CA1")
            with pytest.raises(InvalidStatus) as refused:
                await running.media()
            assert refused.value.response.status_code == 503
            busy = await running.twilio("/api/v1/voice/incoming", {"CallSid": "CA2", "From": "+15550002222"})
            assert "busy" in busy.text
            assert "<Hangup" in busy.text
            await running.gateway.drain()
            assert await closed(ws) == 1000
            assert ("move", None) in session.notes
        with pytest.raises(InvalidStatus) as refused:
            await running.media()
        assert refused.value.response.status_code == 503
        assert (await running.http.get("/readyz")).status_code == 503


async def _offer(running: Running, call_sid: str, token: str) -> int | None:
    async with running.media() as ws:
        await ws.send(connected())
        await ws.send(start(call_sid, token))
        return await closed(ws)


async def _neighbour(running: Running) -> tuple[ClientConnection, NotedSession]:
    token = await running.ring("CAother")
    ws = await running.media()
    await ws.send(connected())
    await ws.send(start("CAother", token))
    return ws, await running.session("CAother")


async def _still_runs(running: Running, ws: ClientConnection, session: NotedSession) -> None:
    await ws.send(media(b"\x09"))
    await running.until(lambda: session.notes == [("media", b"\x09")])
    await ws.close()


async def _everything(running: Running) -> list[str]:
    """Every document in the store."""
    import sqlite3

    path = running.settings.callboard_data_dir / "callboard.db"
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        return [repr(row) for table in tables for row in database.execute(f"select * from {table}")]


async def _quiet(running: Running) -> None:
    """Nothing of any call is left."""
    await asyncio.wait_for(running.gateway.sessions.empty(), 5)
    assert running.gateway.sessions.get("CA1") is None
