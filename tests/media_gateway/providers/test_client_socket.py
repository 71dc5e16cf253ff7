"""The socket to a vendor, fed byte by byte: however the network cuts what a server says, it is heard the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from media_gateway.providers.client_socket import MAX_MESSAGE, ClientSocket

pytestmark = pytest.mark.anyio


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.over = ""

    def write(self, data: Any) -> None:
        self.sent += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def close(self) -> None:
        self.over = "closed"

    def abort(self) -> None:
        self.over = "aborted"


class Peer:
    """A socket, and the library's own server at its other end."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, bool]] = []
        self.lost: list[tuple[int, str]] = []
        self.wire = Wire()
        self.socket = ClientSocket(
            parse_uri("ws://vendor/listen"),
            lambda data, is_text: self.heard.append((data, is_text)),
            lambda code, reason: self.lost.append((code, reason)),
        )
        self.socket.connection_made(self.wire)
        protocol = self.socket._protocol
        protocol.send_request(protocol.connect())
        self.socket._flush()
        self.server = ServerProtocol(max_size=None)
        self.server.receive_data(bytes(self.wire.sent))
        self.wire.sent.clear()
        (request,) = self.server.events_received()
        self.server.send_response(self.server.accept(request))  # type: ignore[arg-type]
        self.answer = b"".join(self.server.data_to_send())

    def said(self, say: Callable[[ServerProtocol], None]) -> bytes:
        say(self.server)
        return b"".join(self.server.data_to_send())


MESSAGES = [b"", b"a", b"b" * 125, b"c" * 126, b"d" * 700, b"e" * 65_536]


async def test_however_it_is_cut_it_is_heard_the_same() -> None:
    rand = random.Random(7)
    for _ in range(60):
        peer = Peer()
        wire = bytearray(peer.answer)
        wanted: list[tuple[bytes, bool]] = []
        for data in rand.sample(MESSAGES, 4):
            match rand.randrange(4):
                case 0:
                    wire += peer.said(partial(ServerProtocol.send_text, data=data))
                    wanted.append((data, True))
                case 1:
                    wire += peer.said(partial(ServerProtocol.send_binary, data=data))
                    wanted.append((data, False))
                case 2:  # in fragments, with a ping between them
                    wire += Frame(Opcode.TEXT, data, fin=False).serialize(mask=False)
                    wire += Frame(Opcode.PING, b"p").serialize(mask=False)
                    wire += Frame(Opcode.CONT, b"z", fin=True).serialize(mask=False)
                    wanted.append((data + b"z", True))
                case _:
                    wire += Frame(Opcode.PONG, b"").serialize(mask=False)
        at = 0
        while at < len(wire):
            step = rand.choice((1, 2, 3, 50, 4_096, len(wire)))
            peer.socket.data_received(bytes(wire[at : at + step]))
            at += step
        assert peer.heard == wanted
        assert not peer.lost
        assert peer.socket.is_open


async def test_what_it_sends_is_what_a_strict_server_reads() -> None:
    peer = Peer()
    peer.socket.data_received(peer.answer)
    for data in MESSAGES:
        peer.socket.send_binary(data)
        peer.socket.send_text(data.decode())
    peer.server.receive_data(bytes(peer.wire.sent))
    frames = [event for event in peer.server.events_received() if isinstance(event, Frame)]
    assert [bytes(frame.data) for frame in frames] == [data for data in MESSAGES for _ in range(2)]


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x81\x81\x00\x00\x00\x00a",
        b"\xc1\x01a",  # a reserved bit
        b"\x83\x01a",  # no such opcode
        Frame(Opcode.CONT, b"of nothing").serialize(mask=False),
        Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=False) + Frame(Opcode.TEXT, b"b").serialize(mask=False),
        Frame(Opcode.BINARY, b"x" * (MAX_MESSAGE + 1)).serialize(mask=False),
    ],
    ids=["masked", "reserved", "opcode", "continued", "fragments", "long"],
)
async def test_what_is_wrong_ends_it_as_before(wrong: bytes) -> None:
    peer = Peer()
    peer.socket.data_received(peer.answer + wrong[:3])
    peer.socket.data_received(wrong[3:])
    assert not peer.heard
    assert peer.wire.over == "closed"
    assert not peer.socket.is_open


async def test_a_close_in_order_and_a_line_that_breaks_in_a_frame() -> None:
    peer = Peer()
    peer.socket.data_received(peer.answer + peer.said(lambda server: server.send_close(4000, "enough")))
    peer.socket.connection_lost(None)
    assert peer.lost == [(4000, "enough")]
    broken = Peer()
    broken.socket.data_received(broken.answer + Frame(Opcode.TEXT, b"half of").serialize(mask=False)[:4])
    broken.socket.eof_received()
    broken.socket.connection_lost(None)
    assert broken.lost == [(1006, "")]
    assert not broken.heard
