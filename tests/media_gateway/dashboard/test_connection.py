"""A dashboard's connection when its peer is late, slow, or talks nonsense."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.auth import Principal
from media_gateway.auth.tokens import ACCESS_TTL
from media_gateway.dashboard.connection import MAX_COMMAND, Connection, parse
from realtime.clock import utcnow
from realtime.stores.port import StoreUnavailable
from tests.media_gateway.harness import VIEWER, closed, gateway

pytestmark = pytest.mark.anyio


class Peer:
    """As much of a WebSocket as a connection uses; takes nothing while `stalled`."""

    def __init__(self, *, stalled: bool = False, gone: Exception | None = None) -> None:
        self.stalled, self.gone = stalled, gone
        self.sent: list[Message] = []
        self.code: int | None = None

    async def send(self, message: Message) -> None:
        if self.stalled:
            await asyncio.Event().wait()
        if self.gone:
            raise self.gone
        self.sent.append(message)

    async def close(self, code: int, reason: str) -> None:
        self.code = code


def connection(peer: Peer) -> Connection:
    return Connection(cast("WebSocket", peer), VIEWER, None, send_s=0.02)


async def test_one_who_takes_nothing_is_closed() -> None:
    peer = Peer(stalled=True)
    to = connection(peer)
    async with to.guard(), asyncio.TaskGroup() as group:
        group.create_task(to.send({"type": "x"}))
    assert peer.code == 4508


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("after close"), WebSocketDisconnect(1006)])
async def test_one_who_left_ends_quietly(error: Exception) -> None:
    peer = Peer(gone=error)
    to = connection(peer)
    async with to.guard():
        await to.send_bytes(b"\x00")
    assert peer.code is None


async def test_without_the_store_the_client_comes_back_later() -> None:
    peer = Peer()
    async with connection(peer).guard():
        await _fail(StoreUnavailable("gone"))
    assert peer.code == 4500


async def test_our_own_bug_is_not_swallowed() -> None:
    with pytest.raises(BaseExceptionGroup) as raised:
        async with connection(Peer()).guard(), asyncio.TaskGroup() as group:
            group.create_task(_fail(KeyError("x")))
    assert raised.group_contains(KeyError)


async def _fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"text": '{"type": "a"}'}, {"type": "a"}),
        ({"text": '{"type": 1}'}, None),
        ({"text": '{"type": "subscribe", "call_sid": "\\ud800"}'}, None),
        ({"text": '{"type": "\\ud83d\\ude00"}'}, {"type": "😀"}),
        ({"text": '{"type": "a", "n": NaN}'}, None),
        ({"text": '{"type": "a", "n": ' + "9" * 5_000 + "}"}, None),
        ({"text": "[]"}, None),
        ({"text": "{"}, None),
        ({"text": "[" * 10_000}, None),
        ({"text": json.dumps({"type": "x" * MAX_COMMAND})}, None),
        ({"bytes": b"{}"}, None),
    ],
)
def test_commands(message: dict[str, Any], command: dict[str, Any] | None) -> None:
    assert parse({"type": "websocket.receive", **message}) == command


async def test_no_ticket_in_time(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.gateway.connections._first_message_s = 0.05
        async with running.socket("/ws/events") as ws:
            assert await closed(ws) == 4408


async def test_no_more_than_so_many(tmp_path: Path) -> None:
    from websockets.exceptions import InvalidStatus

    async with gateway(tmp_path) as running:
        running.gateway.connections._most = 1
        path = f"/ws/events?token={running.tokens.access(VIEWER)}"
        async with running.socket(path):
            await running.until(lambda: len(running.gateway.connections) == 1)
            with pytest.raises(InvalidStatus) as refused:
                await running.socket(path)
            assert refused.value.response.status_code == 503
        await running.until(lambda: len(running.gateway.connections) == 0)


async def test_a_user_has_so_many_sockets_and_no_more(tmp_path: Path) -> None:
    from websockets.exceptions import InvalidStatus

    async with gateway(tmp_path) as running:
        connections = running.gateway.connections
        connections._most_per_user = 1
        path = f"/ws/events?token={running.tokens.access(VIEWER)}"
        async with running.socket(path):
            with pytest.raises(InvalidStatus) as refused:
                await running.socket(path)
            assert refused.value.response.status_code == 429
            async with running.socket("/ws/events") as ws:
                await ws.send(json.dumps({"type": "auth", "ticket": running.tokens.ticket(VIEWER)}))
                assert await closed(ws) == 4429
            other = running.tokens.access(Principal("bob", "default", "viewer"))
            async with running.socket(f"/ws/events?token={other}"):
                pass
        await running.until(lambda: not connections._users)
        async with running.socket(path):
            pass


async def test_those_who_have_not_said_who_they_are_count_too(tmp_path: Path) -> None:
    from websockets.exceptions import InvalidStatus

    async with gateway(tmp_path) as running:
        connections = running.gateway.connections
        connections._most = 1
        async with running.socket("/ws/events"):
            with pytest.raises(InvalidStatus) as refused:
                await running.socket(f"/ws/events?token={running.tokens.access(VIEWER)}")
            assert refused.value.response.status_code == 503
        await running.until(lambda: not connections._arriving)
        async with running.socket(f"/ws/events?token={running.tokens.access(VIEWER)}"):
            pass


@pytest.mark.parametrize("by", ["token", "ticket"])
async def test_a_socket_closes_when_its_token_expires(tmp_path: Path, by: str) -> None:
    async with gateway(tmp_path) as running:
        soon = timedelta(seconds=0.1)
        running.gateway.connections._clock = lambda: utcnow() + ACCESS_TTL - timedelta(seconds=1) - soon
        access = running.tokens.access(VIEWER)
        async with running.socket("/ws/events" + (f"?token={access}" if by == "token" else "")) as ws:
            if by == "ticket":
                ticket = running.tokens.ticket(running.tokens.verify_access(access))
                await ws.send(json.dumps({"type": "auth", "ticket": ticket}))
            assert await closed(ws) == 4401
            assert ws.close_reason == "expired"


async def test_a_ticket_that_no_text_can_hold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with gateway(tmp_path) as running:
        async with running.socket("/ws/events") as ws:
            await ws.send('{"type":"auth","ticket":"\\ud800"}')
            assert await closed(ws) == 4401
        async with running.socket(f"/ws/calls/transcriptions?token={running.tokens.access(VIEWER)}") as ws:
            await ws.send('{"type":"subscribe","call_sid":"\\ud800"}')
            assert await closed(ws) == 4400
        assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("key", ["*", "__x", "a/b", "", "é", "x" * 129])
async def test_a_subscription_to_what_is_no_call(tmp_path: Path, key: str) -> None:
    async with gateway(tmp_path) as running:
        async with running.socket(f"/ws/calls/transcriptions?token={running.tokens.access(VIEWER)}") as ws:
            for name in ("call_sid", "conversation_id"):
                await ws.send(json.dumps({"type": "subscribe", name: key}))
                answer = json.loads(await asyncio.wait_for(ws.recv(), 5))
                assert (answer["type"], answer["code"]) == ("error", "bad_request")
        assert not running.gateway.core.hub.subscriptions
