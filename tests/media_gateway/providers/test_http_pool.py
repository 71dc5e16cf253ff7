"""Kept connections to a vendor, against a server that sends whatever a test wants, in the pieces that it wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.providers import http_pool
from media_gateway.providers.http_pool import Broken, HttpPool
from tests.loops import BACKEND

pytestmark = pytest.mark.anyio

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WAIT_S = 5.0
"""For what comes: never waited for to its end."""


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, object]]:
    """On the loop that a gateway runs on, too: its transports are others."""
    return ("asyncio", {"use_uvloop": True}) if request.param == "uvloop" else BACKEND


@dataclass
class Server:
    """Answers each request with the next of `answers`: pieces; `None` in one closes the connection."""

    answers: list[list[bytes | None]] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                for piece in self.answers.pop(0) if self.answers else [PLAIN]:
                    if piece is None:
                        return
                    if piece == b"wait":
                        waits = {asyncio.create_task(self.go_on.wait()), asyncio.create_task(reader.read(1))}
                        _, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                        for other in others:
                            other.cancel()
                        if not self.go_on.is_set():
                            self.gone.set()
                            return
                        continue
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@asynccontextmanager
async def served(*answers: list[bytes | None], tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    it = Server(list(answers))
    async with await asyncio.start_server(it.serve, "127.0.0.1", 0, ssl=tls) as server:
        it.port = server.sockets[0].getsockname()[1]
        yield it
        it.go_on.set()


@asynccontextmanager
async def pooled(
    server: Server, most: int = 4, kept_s: float = 60.0, context: ssl.SSLContext | None = None
) -> AsyncIterator[HttpPool]:
    url = server.url.replace("http:", "https:") if context else server.url
    pool = HttpPool(
        url, headers={"Authorization": "Bearer k"}, most=most, connect_s=2.0, kept_s=kept_s, context=context
    )
    try:
        yield pool
    finally:
        await pool.aclose()
        await pool.aclose()


async def asked(pool: HttpPool, body: bytes = b"{}") -> tuple[int, bytes]:
    answer = await pool.request("POST", "/chat", within=WAIT_S, body=body, headers={"Accept": "text/event-stream"})
    try:
        return answer.status, await answer.whole(1_000_000, WAIT_S)
    finally:
        answer.release()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():
            await asyncio.sleep(0.001)


async def test_one_connection_serves_one_request_after_the_other() -> None:
    async with served() as server, pooled(server) as pool:
        for n in range(3):
            assert await asked(pool, b"%d" % n) == (200, b"ok")
        assert server.connections == 1
        assert (
            server.requests[0]
            == (
                f"POST /v1/chat HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer k\r\n"
                "Accept: text/event-stream\r\nContent-Length: 1\r\n\r\n0"
            ).encode()
        )
        answer = await pool.request("GET", "/models/m", within=WAIT_S)
        answer.release()
        assert b"Content-Length" not in server.requests[-1]


async def test_what_comes_is_there_when_it_comes() -> None:
    async with served([CHUNKED, b"3\r\none\r\n", b"wait", b"3\r\ntwo\r\n0\r\n\r\n"]) as server, pooled(server) as pool:
        answer = await pool.request("POST", "/chat", within=WAIT_S)
        assert (answer.status, answer.headers["content-type"], answer.over) == (200, "text/event-stream", False)
        assert await answer.read(WAIT_S) == b"one"
        server.go_on.set()
        assert await answer.read(WAIT_S) == b"two"
        assert answer.over
        assert await answer.read(WAIT_S) == b""
        answer.release()
        answer.release()
        assert await answer.read(WAIT_S) == b""
        assert await asked(pool) == (200, b"ok")
        assert server.connections == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\n\r\n", b"as long as it lasts", None],
        [b"HTTP/1.0 200 OK\r\n\r\n", b"as long as it lasts", None],
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 19\r\n\r\nas long as it lasts"],
        [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", CHUNKED + b"13\r\nas long as it lasts\r\n0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 19\r\n\r\nas long", b" as it lasts"],
    ],
)
async def test_every_way_in_which_an_answer_may_end(pieces: list[bytes | None]) -> None:
    async with served(pieces, pieces) as server, pooled(server) as pool:
        for _ in range(2):
            assert await asked(pool) == (200, b"as long as it lasts")


@pytest.mark.parametrize(
    "pieces",
    [
        [None],
        [b"HTTP/1.1 200", None],
        [b"SSH-2.0-OpenSSH_9\r\n"],
        [b"\x00" * 64],
        [CHUNKED + b"zz\r\n"],
        [CHUNKED + b"3\r\none\r\n", None],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour", None],
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * http_pool.MOST_HEAD],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
    ],
)
async def test_what_is_no_answer_or_a_part_of_one_is_told(pieces: list[bytes | None]) -> None:
    async with served(pieces) as server, pooled(server) as pool:
        with pytest.raises(Broken):
            await asked(pool)
        assert await asked(pool) == (200, b"ok"), "the next one gets another connection"
        assert server.connections == 2


@pytest.mark.parametrize("more", [PLAIN, b"x"])
async def test_a_connection_that_says_more_than_it_was_asked_is_not_kept(more: bytes) -> None:
    async with served([PLAIN + more]) as server, pooled(server) as pool:
        answer = await pool.request("POST", "/chat", within=WAIT_S)
        assert (answer.status, await answer.read(WAIT_S)) == (200, b"ok")
        answer.release()
        await until(server.gone.is_set)
        assert await asked(pool) == (200, b"ok")
        assert server.connections == 2


async def test_one_that_was_closed_while_it_rested_is_not_asked() -> None:
    async with served([PLAIN, None]) as server, pooled(server) as pool:
        await asked(pool)
        await until(lambda: not pool._idle)
        assert await asked(pool) == (200, b"ok")


async def test_what_does_not_come_in_time() -> None:
    async with served([b"wait"], [CHUNKED, b"wait"]) as server, pooled(server) as pool:
        with pytest.raises(TimeoutError):
            await pool.request("POST", "/chat", within=0.02)
        await until(server.gone.is_set)
        answer = await pool.request("POST", "/chat", within=WAIT_S)
        with pytest.raises(TimeoutError):
            await answer.read(0.02)
        with pytest.raises(TimeoutError):
            await answer.read(0.02)
        with pytest.raises(TimeoutError):
            await answer.read(-1.0)
        answer.release()


async def test_a_wait_that_is_longer_than_the_one_before_is_waited_for() -> None:
    """One timer serves them all: the first one's must not end the second one's."""
    async with served([CHUNKED, b"3\r\none\r\n", b"wait", b"3\r\ntwo\r\n"]) as server, pooled(server) as pool:
        answer = await pool.request("POST", "/chat", within=0.05)
        assert await answer.read(WAIT_S) == b"one"
        asyncio.get_running_loop().call_later(0.1, server.go_on.set)
        assert await answer.read(WAIT_S) == b"two"
        with pytest.raises(TimeoutError):
            await answer.read(0.01)
        answer.release()


@pytest.mark.parametrize("begun", [False, True])
async def test_who_does_not_want_it_any_more_closes_the_connection(begun: bool) -> None:
    async with served([CHUNKED, b"3\r\none\r\n", b"wait"] if begun else [b"wait"]) as server, pooled(server) as pool:
        asking = asyncio.create_task(asked(pool))
        await until(lambda: bool(server.requests))
        await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait({asking})
        server.go_on.set()
        await until(server.gone.is_set)
        assert (asking.cancelled(), len(pool._open), len(pool._idle)) == (True, 0, 0)


async def test_no_more_connections_than_are_allowed() -> None:
    async with served([CHUNKED, b"wait", b"0\r\n\r\n"]) as server, pooled(server, most=1) as pool:
        first = await pool.request("POST", "/chat", within=WAIT_S)
        with pytest.raises(TimeoutError):
            await pool.request("POST", "/chat", within=0.02)
        second = asyncio.create_task(asked(pool))
        await asyncio.sleep(0.01)
        server.go_on.set()
        assert await first.read(WAIT_S) == b""
        first.release()
        assert await second == (200, b"ok")
        assert server.connections == 1


async def test_what_rests_too_long_is_let_go() -> None:
    async with served() as server, pooled(server, kept_s=0.02) as pool:
        await asyncio.gather(asked(pool), asked(pool))
        assert len(pool._idle) == 2
        await until(lambda: not pool._open)
        assert await asked(pool) == (200, b"ok")


async def test_a_pool_that_closes_ends_what_is_under_way() -> None:
    async with served([CHUNKED, b"wait"]) as server, pooled(server) as pool:
        answer = await pool.request("POST", "/chat", within=WAIT_S)
        await pool.aclose()
        with pytest.raises(Broken):
            await answer.read(WAIT_S)
        answer.release()
        with pytest.raises(Broken, match="closed"):
            await pool.request("POST", "/chat", within=WAIT_S)


async def test_an_answer_that_nobody_reads_waits_at_the_vendor() -> None:
    size = 8 * http_pool.HIGH
    body = b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"
    async with served([CHUNKED, body]) as server, pooled(server) as pool:
        answer = await pool.request("POST", "/chat", within=WAIT_S)
        connection = next(iter(pool._open))
        await until(lambda: connection._paused)
        assert connection._waiting < 2 * http_pool.HIGH
        assert len(await answer.whole(2 * size, WAIT_S)) == size
        answer.release()


@pytest.mark.parametrize(("size", "again"), [(10, True), (2 * http_pool.HIGH, False)])
async def test_a_connection_that_is_not_read_any_more_is_not_asked_again(size: int, again: bool) -> None:
    """All of the answer came, and too much of it for whoever did not want it: the next one would never be read."""
    connection = http_pool._Connection(asyncio.get_running_loop(), lambda _: None)
    connection.connection_made(_Deaf())
    connection.send(b"")
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    assert (connection.whole, connection.rest()) == (True, again)


async def test_whole_is_no_more_than_was_asked_for() -> None:
    async with served([b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\n0123456789"]) as server, pooled(server) as pool:
        answer = await pool.request("POST", "/chat", within=WAIT_S)
        assert (answer.status, await answer.whole(4, WAIT_S)) == (500, b"0123")
        answer.release()


async def test_nobody_there() -> None:
    async with served() as server:
        pass
    async with pooled(server) as pool:
        with pytest.raises(OSError, match=r"refused|Connect"):
            await pool.request("POST", "/chat", within=WAIT_S)
        assert not pool._room.locked()


async def test_over_tls_and_only_to_whom_it_knows() -> None:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    async with served(tls=theirs) as server:
        async with pooled(server, context=ours) as pool:
            with pytest.raises(ssl.SSLError):
                await asked(pool)
        authority.configure_trust(ours)
        async with pooled(server, context=ours) as pool:
            assert await asked(pool) == (200, b"ok")
            assert await asked(pool) == (200, b"ok")


@pytest.mark.parametrize("url", ["ftp://host", "host/path", "https://"])
async def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="https://host/path"):
        HttpPool(url, headers={}, most=1, connect_s=1.0)


@pytest.mark.parametrize("key", ["k\r\nX: y", "k\n", "sch\u00f6n", "\x00"])
async def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ValueError, match="is the key whole"):
        HttpPool("https://host", headers={"Authorization": f"Bearer {key}"}, most=1, connect_s=1.0)


ANSWER = (
    CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"data: {}\n\n", b"x" * 300)) + b"0\r\n\r\n"
)


@given(cuts=st.lists(st.integers(1, len(ANSWER) - 1), max_size=12))
async def test_wherever_the_network_cuts_it(cuts: list[int]) -> None:
    connection = http_pool._Connection(asyncio.get_running_loop(), lambda _: None)
    connection.connection_made(_Deaf())
    connection.send(b"")
    marks = sorted({0, len(ANSWER), *cuts})
    for since, to in pairwise(marks):
        connection.data_received(ANSWER[since:to])
    assert (connection.status, connection.whole) == (200, True)
    assert connection.taken() == b"data: {}\n\n" + b"x" * 300


class _Deaf(asyncio.Transport):
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """To nobody."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing is read."""
