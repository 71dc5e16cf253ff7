"""Messages past ASGI: however the network cuts what a peer says, in the order it was said, and as strict as before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from media_gateway.direct_socket import DirectSocket, direct
from media_gateway.middleware import SEND
from tests.media_gateway.harness import closed

pytestmark = pytest.mark.anyio
MOST = 70_000


class Endpoint:
    """Takes its text straight from the socket once it is told to; the rest by ASGI."""

    def __init__(self) -> None:
        self.direct = asyncio.Event()
        self.received: list[str | bytes] = []
        self.taken: list[bytes] = []
        self.socket: DirectSocket | None = None
        self.stop = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SEND] = send
        self.socket = direct(scope)
        assert self.socket
        await receive()
        await send({"type": "websocket.accept"})
        await self.direct.wait()
        self.socket.divert(self.taken.append)
        while (message := await receive())["type"] != "websocket.disconnect":
            self.received.append(message.get("text") or message.get("bytes") or "")


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Endpoint, ClientConnection]]:
    endpoint = Endpoint()
    config = uvicorn.Config(
        endpoint,
        port=0,
        lifespan="off",
        ws=DirectSocket,
        ws_max_size=MOST,
        ws_per_message_deflate=False,
        log_config=None,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with connect(f"ws://127.0.0.1:{port}/", compression=None, proxy=None) as ws:
            yield endpoint, ws
    finally:
        server.should_exit = True
        await server.shutdown()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.002)


async def test_what_waited_comes_first_and_then_straight() -> None:
    async with serving() as (endpoint, ws):
        await ws.send("before")
        await asyncio.sleep(0.02)
        endpoint.direct.set()
        for text in ("a", "é" * 200, "c" * 66_000):
            await ws.send(text)
        await until(lambda: len(endpoint.taken) == 4)
        assert endpoint.taken == [b"before", b"a", ("é" * 200).encode(), b"c" * 66_000]
        await ws.send(b"binary")
        await until(lambda: endpoint.received == [b"binary"])
        assert endpoint.socket
        endpoint.socket.divert(None)
        await ws.send("as usual")
        await until(lambda: endpoint.received == [b"binary", "as usual"])
        assert await (await ws.ping()) >= 0.0
        assert endpoint.socket.write([b"one", b"x" * 300])
        assert (await ws.recv(), await ws.recv()) == ("one", "x" * 300)
        await ws.close()
        await until(lambda: not endpoint.socket or not endpoint.socket.write([b"too late"]))


async def test_however_it_is_cut_it_is_the_same() -> None:
    rand = random.Random(3)
    async with serving() as (endpoint, ws):
        endpoint.direct.set()
        wire, wanted = bytearray(), list[bytes]()
        for n in range(60):
            data = str(n).encode() * rand.choice((1, 60, 80, 40_000 // (n + 1)))
            if rand.random() < 0.3:  # in fragments, with a ping between them
                wire += Frame(Opcode.TEXT, data[:1], fin=False).serialize(mask=True)
                wire += Frame(Opcode.PING, b"p").serialize(mask=True)
                wire += Frame(Opcode.CONT, data[1:]).serialize(mask=True)
            else:
                wire += Frame(Opcode.TEXT, data).serialize(mask=True)
            wanted.append(data)
        at = 0
        while at < len(wire):
            step = rand.choice((1, 3, 200, 5_000))
            ws.transport.write(bytes(wire[at : at + step]))
            at += step
            await asyncio.sleep(0)
        await until(lambda: len(endpoint.taken) == len(wanted))
        assert endpoint.taken == wanted


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"\x81\x01a", 1002),
        (b"\xc1\x81\x00\x00\x00\x00a", 1002),
        (b"\x80\x81\x00\x00\x00\x00a", 1002),
        (b"\x01\x81\x00\x00\x00\x00a\x81\x81\x00\x00\x00\x00b", 1002),
        (Frame(Opcode.TEXT, b"x" * (MOST + 1)).serialize(mask=True), 1009),
    ],
    ids=["unmasked", "reserved", "continued", "fragments", "long"],
)
async def test_what_is_wrong_is_refused_as_before(wrong: bytes, code: int) -> None:
    async with serving() as (endpoint, ws):
        endpoint.direct.set()
        await ws.send("right")
        await until(lambda: endpoint.taken)
        ws.transport.write(wrong[:2])
        await asyncio.sleep(0.005)
        ws.transport.write(wrong[2:])
        assert await closed(ws) == code
        assert endpoint.taken == [b"right"]
