"""The dashboard's sockets on a real server with the real journal and hub."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from media_gateway.auth import Principal
from realtime import audit
from realtime.call import Call, Status
from realtime.clock import iso, utcnow
from realtime.events import Draft, EventType, LiveType
from tests.media_gateway.harness import VIEWER, Running, closed, connected, gateway, media, start

pytestmark = pytest.mark.anyio
SOCKETS = ("/ws/calls/transcriptions", "/ws/events")


def said(n: int, text: str) -> Draft:
    data = {"turn": n, "speaker": "user", "text": text, "confidence": None}
    return Draft(EventType.FINAL_TRANSCRIPT, data, f"said:{n}", iso(utcnow()))


async def append(running: Running, *drafts: Draft, call_id: str = "CA1") -> None:
    done = await running.gateway.core.journal.append(call_id, drafts)
    running.gateway.core.hub.notice(done.call.to_dict())


async def complete(running: Running, call_id: str = "CA1") -> None:
    record = {
        "transcript": '[{"role": "user"}]',
        "analysis_data": "not json",
        "metadata": {"a": 1},
        "status": "completed",
    }
    done = await running.gateway.core.journal.complete(
        call_id, Status.COMPLETED, call_data=record, key="end", ts=iso(utcnow())
    )
    running.gateway.core.hub.notice(done.call.to_dict())


def access(running: Running, principal: Principal = VIEWER) -> str:
    return running.tokens.access(principal)


async def told(ws: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        message: dict[str, Any] = json.loads(await ws.recv())
    return message


async def test_a_call_from_its_beginning_to_its_end_each_message_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        await append(running, said(1, "hello"))
        async with running.socket(f"/ws/calls/transcriptions?token={access(running)}") as ws:
            await ws.send(json.dumps({"type": "subscribe", "call_sid": "CA1"}))
            assert await told(ws) == {"type": "subscribed", "call_sid": "CA1", "conversation_id": None}
            ringing, hello = await told(ws), await told(ws)
            assert ringing == {
                "type": "call_status",
                "conversation_id": None,
                "call_sid": "CA1",
                "status": "ringing",
                "call_end_time": None,
            }
            assert hello.pop("timestamp")
            assert hello == {
                "type": "transcription",
                "conversation_id": None,
                "call_sid": "CA1",
                "speaker": "user",
                "text": "hello",
                "final": True,
            }
            running.gateway.core.hub.live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 2, "text": "wha"}, iso(utcnow()))
            partial = await told(ws)
            assert (partial["text"], partial["final"]) == ("wha", False)
            await append(running, said(2, "what time"))
            assert (await told(ws))["text"] == "what time"
            await complete(running)
            status, completed = await told(ws), await told(ws)
            assert (status["type"], status["status"]) == ("call_status", "completed")
            assert status["call_end_time"]
            assert completed["type"] == "call_completed"
            assert completed["call_data"]["transcript"] == [{"role": "user"}]
            assert completed["call_data"]["analysis_data"] == {"raw": "not json"}
            assert completed["call_data"]["metadata"] == {"a": 1}
            assert completed["call_data"]["call_sid"] == "CA1"
            assert completed["call_data"]["conversation_id"] is None
            await _no_subscriptions(running)
            await ws.send('{"type":"ping"}')
            assert await told(ws) == {"type": "pong"}, "nothing more came in between"


async def test_subscribing_before_the_call_and_by_two_of_its_ids(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as running,
        running.socket(f"/ws/calls/transcriptions?token={access(running)}") as ws,
    ):
        await ws.send(json.dumps({"type": "subscribe", "conversation_id": "conv_1"}))
        await ws.send(json.dumps({"type": "subscribe", "call_sid": "CA7"}))
        assert (await told(ws))["type"] == "subscribed"
        assert (await told(ws))["type"] == "subscribed"
        ringing = Draft(EventType.CALL_STATUS, {"status": "initiated"}, "status:initiated", iso(utcnow()))
        call = await running.gateway.core.journal.open(
            Call(call_id="CA7", call_sid="CA7", conversation_id="conv_1"), (ringing,)
        )
        running.gateway.core.hub.notice(call.to_dict())
        await append(running, said(1, "hello"), call_id="CA7")
        first, second = await told(ws), await told(ws)
        assert (first["status"], second["text"]) == ("initiated", "hello")
        assert first["conversation_id"] == "conv_1"
        await ws.send('{"type":"ping"}')
        assert await told(ws) == {"type": "pong"}


async def test_commands_that_cannot_be_done(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as running,
        running.socket(f"/ws/calls/transcriptions?token={access(running)}") as ws,
    ):
        for command in ({"type": "dance"}, {"type": "subscribe"}, {"type": "subscribe", "call_sid": 7}):
            await ws.send(json.dumps(command))
            answer = await told(ws)
            assert (answer["type"], answer["code"]) == ("error", "bad_request")
        await ws.send('{"type":"subscribe","call_sid":"CA1"}')
        await ws.send('{"type":"subscribe","call_sid":"CA1"}')
        assert (await told(ws))["type"] == "subscribed"
        assert (await told(ws))["code"] == "already_subscribed"
        await ws.send('{"type":"unsubscribe","call_sid":"CA1"}')
        assert (await told(ws))["type"] == "unsubscribed"
        await _no_subscriptions(running)
        await ws.send("not json")
        assert await closed(ws) == 4400


async def test_another_organisations_call_is_silent(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        stranger = Principal("eve", "other", "admin")
        async with (
            running.socket(f"/ws/calls/transcriptions?token={access(running, stranger)}") as one,
            running.socket(f"/ws/events?token={access(running, stranger)}") as all_,
        ):
            await one.send('{"type":"subscribe","call_sid":"CA1"}')
            assert (await told(one))["type"] == "subscribed"
            await append(running, said(1, "secret"))
            for ws in (one, all_):
                await ws.send('{"type":"ping"}')
                assert await told(ws) == {"type": "pong"}


async def test_the_global_stream_from_now_on(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        await append(running, said(1, "before"))
        async with running.socket(f"/ws/events?token={access(running)}") as ws:
            await _watched(running, "*")
            await append(running, said(2, "after"))
            message = await told(ws)
            assert message["event"] == "final_transcript"
            data = message["data"]
            assert (data["session_id"], data["text"], data["userId"]) == ("CA1", "after", "+15550001111")
            assert data["seq"] == 3
            assert data["epoch"]
            assert data["timestamp"]
            for turn, ms in ((1, 500), (2, 700)):
                numbers = {
                    "turn": turn,
                    "stages": {"llm": ms},
                    "total_ms": ms,
                    "tokens": {"prompt": 10, "completion": 2},
                }
                await append(running, Draft(EventType.TURN_METRICS, numbers, f"metrics:{turn}", iso(utcnow())))
            await told(ws)
            message = await told(ws)
            assert message["event"] == "metrics_updated"
            data = message["data"]
            assert data["last_response_time"] == 700
            assert data["average_latency"] == 600
            assert data["turn_latencies"] == [500, 700]
            assert data["total_tokens"] == 24
            assert data["tokens"] == {"prompt": 10, "completion": 2}
            assert data["total_conversations"] == 1
            await complete(running)
            status, completed = await told(ws), await told(ws)
            assert (status["event"], completed["event"]) == ("call_status", "call_completed")
            assert completed["data"]["call_data"]["status"] == "completed"
            await running.ring("CA2")
            assert (await told(ws))["data"]["session_id"] == "CA2"


@pytest.mark.parametrize("path", SOCKETS)
async def test_a_ticket_in_the_first_message_works_once(tmp_path: Path, path: str) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.post("/ws-ticket", headers=running.bearer())
        ticket = answer.json()["ticket"]
        async with running.socket(path) as ws:
            await ws.send(json.dumps({"type": "auth", "ticket": ticket}))
            assert await told(ws) == {"type": "authenticated", "user": "ann"}
        async with running.socket(path) as ws:
            await ws.send(json.dumps({"type": "connect", "ticket": ticket}))
            assert await closed(ws) == 4401


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("first", ["{}", "x", '{"type":"auth"}', '{"type":"auth","ticket":"a.b.c"}', b"\x00"])
async def test_without_a_ticket(tmp_path: Path, path: str, first: str | bytes) -> None:
    async with gateway(tmp_path) as running:
        async with running.socket(path) as ws:
            await ws.send(first)
            assert await closed(ws) == 4401
        assert not running.gateway.core.hub.subscriptions


@pytest.mark.parametrize("path", [*SOCKETS, "/api/v1/calls/CA1/listen"])
async def test_a_bad_token_and_a_foreign_page_are_refused_before_the_upgrade(tmp_path: Path, path: str) -> None:
    async with gateway(tmp_path) as running:
        with pytest.raises(InvalidStatus) as refused:
            await running.socket(f"{path}?token=a.b.c")
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body or b"")["error"]["code"] == "unauthorized"
        with pytest.raises(InvalidStatus) as refused:
            await running.socket(f"{path}?token={access(running)}", origin="https://evil.example")
        assert refused.value.response.status_code == 403
        with pytest.raises(InvalidStatus) as refused:
            await running.socket(path, additional_headers={"Authorization": "Bearer wrong"})
        assert refused.value.response.status_code == 401


async def test_going_away(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = access(running)
        async with running.socket(f"/ws/events?token={token}") as ws:
            await running.gateway.drain()
            assert await closed(ws) == 1001
        with pytest.raises(InvalidStatus) as refused:
            await running.socket(f"/ws/events?token={token}")
        assert refused.value.response.status_code == 503


async def test_listening_in(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        token = await running.ring("CA1")
        path = f"/api/v1/calls/CA1/listen?token={access(running)}"
        async with running.socket(path) as ws:
            assert await closed(ws) == 4404, "no sound yet"
        async with running.media() as phone:
            await phone.send(connected())
            await phone.send(start("CA1", token))
            session = await running.session("CA1")
            stranger = Principal("eve", "other", "admin")
            async with running.socket(f"/api/v1/calls/CA1/listen?token={access(running, stranger)}") as ws:
                assert await closed(ws) == 4404
            async with running.socket(path) as ws:
                await running.until(lambda: session.taps)
                await phone.send(media(b"\x11\x12"))
                async with asyncio.timeout(5):
                    assert await ws.recv() == b"\x00\x11\x12"
                    session.taps[0](1, b"\x21")
                    assert await ws.recv() == b"\x01\x21"
            await running.until(lambda: not session.taps)
        told, _ = await audit.newest(running.gateway.core.store, "default")
        assert [(one.action, one.target) for one in told] == [("call.listen", "CA1")]


async def _no_subscriptions(running: Running) -> None:
    await running.until(lambda: not running.gateway.core.hub.subscriptions)


async def _watched(running: Running, key: str) -> None:
    """The subscription has found what was there before it."""
    await running.until(lambda: running.gateway.core.hub.subscriptions.get(key))
    await asyncio.sleep(0.05)


async def test_from_now_on_begins_with_the_handshake(tmp_path: Path) -> None:
    """A call that opens the moment a client is connected is seen from its first event."""
    async with gateway(tmp_path) as running:
        for n in range(20):
            async with running.socket(f"/ws/events?token={access(running)}") as ws:
                ringing = Draft(EventType.CALL_STATUS, {"status": "ringing"}, "status:ringing", iso(utcnow()))
                await running.gateway.core.journal.open(Call(call_id=f"CA{n}"), (ringing,))
                first = await told(ws)
                assert (first["event"], first["data"]["session_id"], first["data"]["seq"]) == (
                    "call_status",
                    f"CA{n}",
                    1,
                )
