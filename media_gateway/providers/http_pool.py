"""HTTP/1.1 to one vendor, for answers that come word by word: kept connections, httptools' parser straight on the
transport, one future a wait.

A library's client is made for everybody: a request is a dozen objects and two turns of the event loop, and each piece
of an answer a timer of its own. Here a request is one write, and what has come of the answer is there in the turn in
which it was read. No redirects, proxies or compression: a vendor's API has none, and one that sends them is told from
its answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit
from weakref import WeakSet

import httptools

KEPT_S = 60.0
"""How long a connection waits for its next request."""
MOST_HEAD = 64 * 1024
"""Bytes of an answer's head."""
HIGH = 256 * 1024
"""Bytes of an answer that may wait for whoever reads it, before its connection is not read either."""


class Broken(ConnectionError):
    """What came is no answer, or only a part of one."""


class HttpPool:
    """Connections to one origin; `headers` go with every request. At most `most` are open, `kept_s` is how long one
    waits idle, `connect_s` how long opening one may take. One event loop."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        most: int,
        connect_s: float,
        kept_s: float = KEPT_S,
        context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{base_url!r} is no address of an API; give it as https://host/path")
        secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if secure else 80)
        self._context = (context or ssl.create_default_context()) if secure else None
        self._path = parts.path.rstrip("/")
        fields = {"Host": parts.netloc.rpartition("@")[2], **headers}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        if not all(value.isascii() and value.isprintable() for value in fields.values()):
            raise ValueError(
                "what goes to the API with each request is not plain ASCII; is the key whole, and all of it?"
            )
        self._connect_s, self._kept_s = connect_s, kept_s
        self._room = asyncio.Semaphore(most)
        self._idle: list[_Connection] = []
        self._open: WeakSet[_Connection] = WeakSet()  # one that is lost before it comes here is held by nobody
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def request(
        self, method: str, path: str, *, within: float, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask, and wait until the head of the answer is there, at most `within` seconds. Whoever gets an Answer
        releases it. Raises TimeoutError; OSError (Broken among them) when there is no connection or no answer."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        connection = await self._connection(until)
        try:
            more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
            length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
            head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._head}{more}{length}\r\n"
            connection.send(head.encode("latin-1") + body)
            await connection.head(until)
        except BaseException:
            self._release(connection)
            raise
        return Answer(self, connection)

    async def aclose(self) -> None:
        """Let all connections go; safe to call twice."""
        self._closed = True
        if self._sweep:
            self._sweep.cancel()
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # in which they go

    async def _connection(self, until: float) -> _Connection:
        loop = asyncio.get_running_loop()
        if self._room.locked():
            async with asyncio.timeout_at(until):
                await self._room.acquire()
        else:
            await self._room.acquire()  # at once
        try:
            if self._closed:
                raise Broken("the pool is closed")
            while self._idle:
                connection = self._idle.pop()
                if connection.usable:
                    return connection
            async with asyncio.timeout_at(min(until, loop.time() + self._connect_s)):
                _, made = await loop.create_connection(
                    lambda: _Connection(loop, self._gone), self._host, self._port, ssl=self._context
                )
            self._open.add(made)
            return made
        except BaseException:
            self._room.release()
            raise

    def _release(self, connection: _Connection) -> None:
        """It has done its work. One whose answer is whole is kept; any other is closed, so that the vendor stops."""
        self._room.release()
        if connection.rest() and not self._closed:
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = connection.loop.call_later(self._kept_s, self._swept)
        else:
            connection.abort()

    def _gone(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _swept(self) -> None:
        """The oldest come first, for the youngest is taken first."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        due = loop.time() - self._kept_s
        for connection in [one for one in self._idle if one.rested_at <= due]:
            self._idle.remove(connection)
            connection.abort()
        if self._idle and not self._closed:
            first = min(one.rested_at for one in self._idle)
            self._sweep = loop.call_at(first + self._kept_s, self._swept)


class Answer:
    """`status`, `headers` by lower-case name, and a body that is read as it comes."""

    def __init__(self, pool: HttpPool, connection: _Connection) -> None:
        self._pool = pool
        self._connection: _Connection | None = connection
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers

    @property
    def over(self) -> bool:
        """There is no more of it to come, though something may wait to be read."""
        return self._connection is None or self._connection.whole

    async def read(self, within: float) -> bytes:
        """What has come of the body, or comes next; empty at its end. Raises TimeoutError; Broken when it ends too
        soon."""
        if self._connection is None:
            return b""
        return self._connection.taken() or await self._connection.read(within)

    async def whole(self, most: int, within: float) -> bytes:
        """All of the body; what is beyond `most` bytes is left out. Raises as `read`."""
        until = asyncio.get_running_loop().time() + within
        parts, size = list[bytes](), 0
        while size < most and (part := await self.read(until - asyncio.get_running_loop().time())):
            parts.append(part)
            size += len(part)
        return b"".join(parts)[:most]

    def release(self) -> None:
        """Done with it: the connection is kept if the answer was whole, and closed if it was not. Once is enough."""
        connection, self._connection = self._connection, None
        if connection:
            self._pool._release(connection)


class _Connection(asyncio.Protocol):
    """One request at a time. The parser's callbacks come from `data_received`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, gone: Callable[[_Connection], None]) -> None:
        self.loop = loop
        self.rested_at = 0.0
        self._told_gone = gone
        self._transport: asyncio.Transport | None = None
        self._lost = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._due = self._timer_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._fresh()
        self.whole = True
        """Nothing is asked, or all of the answer is here."""

    def _fresh(self) -> None:
        """Before a request."""
        self._parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.whole = False
        self._kept = False
        self._size = self._waiting = 0
        self._body: list[bytes] = []
        self._problem: Exception | None = None

    # --- for the pool ---

    @property
    def usable(self) -> bool:
        """Can it be asked?"""
        return not self._lost and self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> None:
        """Ask. Raises Broken when it has just gone."""
        if not self.usable or self._transport is None:
            raise Broken("the connection is gone")
        self._fresh()
        self._transport.write(request)

    async def head(self, until: float) -> None:
        """Wait for the status and the headers."""
        while not self.status:
            if self._problem:
                raise self._problem
            await self._wait(until)

    async def read(self, within: float) -> bytes:
        """Wait for the next of the body; empty at its end."""
        until = self.loop.time() + within
        while not self._body:
            if self.whole:
                return b""
            if self._problem:
                raise self._problem
            await self._wait(until)
        return self.taken()

    def taken(self) -> bytes:
        """What waits."""
        if not self._body:
            return b""
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._waiting = 0
        if self._paused and self._transport:
            self._paused = False
            self._transport.resume_reading()
        return data

    def rest(self) -> bool:
        """Whether it can be asked again."""
        self.rested_at = self.loop.time()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._body.clear()
        return self.whole and self._kept and not self._paused and self._problem is None and self.usable

    def abort(self) -> None:
        """Now, whatever is under way."""
        self._lost = True
        if self._transport:
            self._transport.abort()

    async def _wait(self, until: float) -> None:
        """For the next thing to happen. One timer serves all waits of an answer: it looks when the first was due, and
        goes on to when the last one is."""
        self._due = until
        if self._timer is None or self._timer_at > until:
            if self._timer:
                self._timer.cancel()
            self._timer_at = until
            self._timer = self.loop.call_at(until, self._late)
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _late(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self.loop.time() >= self._due - 0.001:  # a loop's clock counts whole milliseconds
            self._waiter.set_exception(TimeoutError())
        else:
            self._timer_at = self._due
            self._timer = self.loop.call_at(self._due, self._late)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, problem: Exception) -> None:
        self._problem = self._problem or problem
        self._wake()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        if self.whole:  # nobody asked
            self.abort()
            return
        if not self.status:
            self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            self._fail(Broken(type(problem).__name__))
            self.abort()
            return
        if not self.status and self._size > MOST_HEAD:
            self._fail(Broken("a head without end"))
            self.abort()
            return
        if self._waiting > HIGH and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, problem: Exception | None) -> None:
        self._lost = True
        if not self.whole:
            named = {"content-length", "transfer-encoding"} & self.headers.keys()
            if self.status and not named and problem is None:
                self.whole = True  # such an answer ends with its connection
            else:
                self._fail(Broken("closed in the middle of an answer" if self.status else "closed without an answer"))
        self._wake()
        self._told_gone(self)

    # --- httptools' callbacks ---

    def on_message_begin(self) -> None:
        if self.whole:  # a second answer to one question
            raise Broken("an answer to nothing")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
        else:
            self.headers.clear()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._waiting += len(body)

    def on_message_complete(self) -> None:
        if self.status:  # not one of the interim answers
            self.whole = True
            self._kept = self._parser.should_keep_alive()
