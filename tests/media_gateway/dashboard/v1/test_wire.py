"""The way past the framework's wrappers: the same bytes, only to a socket that can take them, and slices by time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.protocol import State

from media_gateway.dashboard.v1.frames import Line
from media_gateway.dashboard.v1.socket import Turns
from media_gateway.dashboard.v1.wire import FULL, Wire
from media_gateway.middleware import SEND
from tests.media_gateway.dashboard.v1.line import line
from tests.media_gateway.harness import gateway

pytestmark = pytest.mark.anyio


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False
        self.buffered = 0

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing


async def _app(_scope: Any, _receive: Any, _send: Any) -> None:
    return None


def opened() -> tuple[WebSocketsSansIOProtocol, Any]:
    config = uvicorn.Config(_app, lifespan="off", ws_per_message_deflate=False, log_config=None)
    config.load()
    protocol = WebSocketsSansIOProtocol(config, ServerState(), {})
    transport: Any = Transport()
    protocol.transport = transport
    protocol.conn.state = State.OPEN
    return protocol, transport


@pytest.mark.parametrize("text", ["", "x", "Grüß dich 👋", "x" * 125, "x" * 126, "x" * 65_535, "x" * 70_000])
async def test_the_bytes_are_those_of_the_server_itself(text: str) -> None:
    protocol, transport = opened()
    assert Wire({SEND: protocol.send}).write(Line(text.encode()))
    protocol.conn.send_text(text.encode())
    assert transport.written == [b"".join(protocol.conn.data_to_send())]


async def test_what_cannot_be_written_now_is_left_to_the_server() -> None:
    protocol, transport = opened()
    wire = Wire({SEND: protocol.send})
    transport.buffered = FULL + 1
    assert not wire.write(Line(b"full"))
    transport.buffered, protocol.close_sent = 0, True
    assert not wire.write(Line(b"closing"))
    protocol.close_sent, transport.closing = False, True
    assert not wire.write(Line(b"closed"))
    assert not Wire({}).write(Line(b"another server"))
    assert not Wire({SEND: _app}).write(Line(b"another server"))
    assert transport.written == []


async def test_sockets_of_a_gateway_are_written_to_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bool] = []
    write = Wire.write

    def seen(self: Wire, line: Line) -> bool:
        written.append(write(self, line))
        return written[-1]

    monkeypatch.setattr(Wire, "write", seen)
    async with gateway(tmp_path) as running, line(running) as client:
        await client.done("subscribe", call_id="*")
    assert len(written) >= 2
    assert all(written)


class Talker:
    def __init__(self, turns: Turns, told: list[str], name: str) -> None:
        self.turns, self.told, self.name = turns, told, name
        self.waiting_for_turn = False

    def flush(self) -> int:
        self.waiting_for_turn = False
        self.told.append(self.name)
        return 1


async def test_turns_end_when_their_time_is_over() -> None:
    now, told = iter(range(100)), list[str]()
    turns = Turns(2.0, lambda: float(next(now)))
    for n in range(5):
        talker: Any = Talker(turns, told, str(n))
        turns.ask(talker)
    seen = []
    while len(told) < 5:
        await asyncio.sleep(0)
        seen.append("".join(told))
    assert seen == ["01", "0123", "01234"]
