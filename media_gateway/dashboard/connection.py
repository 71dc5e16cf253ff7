"""A dashboard's WebSocket: let in, read, written to, closed. What its socket says is the business of `sockets`.

Close codes are those of the `callboard.v1` protocol: 4400 bad message, 4401 not authenticated, 4408 too late,
4429 too many, 4500 internal, 4508 too slow; 1001 when this instance goes away.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import structlog
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.auth.doors import Doors
from media_gateway.auth.gate import Gate
from media_gateway.auth.model import AuthError, Principal
from media_gateway.dashboard.newest import newest
from media_gateway.http_errors import ApiError
from realtime.accounts.model import KEY_PREFIX
from realtime.call import PoisonedHead
from realtime.clock import Clock, utcnow
from realtime.journal import Journal
from realtime.stores.port import StoreUnavailable

BAD_MESSAGE, UNAUTHENTICATED, TOO_LATE, TOO_MANY = 4400, 4401, 4408, 4429
INTERNAL, TOO_SLOW, GOING_AWAY = 4500, 4508, 1001
_GREETINGS = ("auth", "connect")
"""First messages that bring a ticket and nothing else."""
MAX_COMMAND = 16 * 1024
MOST_SOCKETS = 500
MOST_PER_USER = 20
_COUNT_FOR_S = 60.0
_log = structlog.get_logger()


Before = Callable[[Principal], AbstractAsyncContextManager[object]]


class Connection:
    """One accepted and authenticated dashboard."""

    def __init__(self, ws: WebSocket, principal: Principal, first: Mapping[str, Any] | None, send_s: float) -> None:
        self._ws = ws
        self.principal = principal
        self._first = first
        self._send_s = send_s

    async def send(self, message: Mapping[str, Any]) -> None:
        """Raises TimeoutError when the peer does not take it in time, WebSocketDisconnect when it has left."""
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        await self._send({"type": "websocket.send", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        """The same for a binary frame."""
        await self._send({"type": "websocket.send", "bytes": data})

    async def _send(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._send_s):
                await self._ws.send(message)
        except TimeoutError:
            raise
        except (OSError, RuntimeError) as error:
            # So the server says that the peer has left, when it has noticed before us.
            raise WebSocketDisconnect(1006) from error

    async def commands(self) -> AsyncIterator[dict[str, Any]]:
        """The client's messages (JSON objects with a `type`) until it leaves; anything else closes the socket."""
        if self._first is not None and self._first["type"] not in _GREETINGS:
            yield dict(self._first)
        while True:
            try:
                command = parse(await self._ws.receive())
            except WebSocketDisconnect:
                return
            if command is None:
                await self.close(BAD_MESSAGE, "not a command")
                return
            if command["type"] == "ping":
                await self.send({"type": "pong"})
            else:
                yield command

    async def frames(self, most: int) -> AsyncGenerator[bytes | dict[str, Any], None]:
        """Like `commands`, with sound among them: binary frames of at most `most` bytes."""
        if self._first is not None and self._first["type"] not in _GREETINGS:
            yield dict(self._first)
        while True:
            try:
                message = await self._ws.receive()
                sound = message.get("bytes")
                command = None if sound is not None else parse(message)
            except WebSocketDisconnect:
                return
            if sound is not None and len(sound) <= most:
                yield sound
            elif command is None:
                await self.close(BAD_MESSAGE, "neither a command nor sound that is short enough")
                return
            elif command["type"] == "ping":
                await self.send({"type": "pong"})
            else:
                yield command

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """Around what sends: a peer that left ends it, one that is too slow is closed, and so is one whose events we
        could not read."""
        try:
            yield
        except* TimeoutError:
            _log.info("dashboard_too_slow")
            await self.close(TOO_SLOW, "too slow")
        except* WebSocketDisconnect:
            _log.debug("dashboard_gone")
        except* StoreUnavailable:
            _log.exception("broadcast_failed")
            await self.close(INTERNAL, "the store is not reachable")
        except* PoisonedHead:  # the log has it
            await self.close(INTERNAL, "the record of this call cannot be read")

    async def close(self, code: int, reason: str) -> None:
        """Close if it is still open."""
        await close(self._ws, code, reason)


class _TooMany(Exception):
    """This user has as many sockets as a user may have."""


class Connections:
    """Every open dashboard socket of this instance."""

    def __init__(
        self,
        *,
        gate: Gate,
        journal: Journal,
        doors: Doors,
        most: int = MOST_SOCKETS,
        most_per_user: int = MOST_PER_USER,
        first_message_s: float = 5.0,
        send_s: float = 10.0,
        recheck_s: float = 30.0,
        clock: Clock = utcnow,
    ) -> None:
        self._gate, self._journal, self._doors = gate, journal, doors
        self._most, self._first_message_s, self._send_s = most, first_message_s, send_s
        self._most_per_user, self._recheck_s, self._clock = most_per_user, recheck_s, clock
        self._arriving = 0
        self._users: Counter[tuple[str, str]] = Counter()
        self._open: set[WebSocket] = set()
        self._counts: dict[str, tuple[float, int]] = {}
        self._draining = False

    def __len__(self) -> int:
        return len(self._open)

    @asynccontextmanager
    async def open(self, ws: WebSocket, before: Before | None = None) -> AsyncIterator[Connection | None]:
        """Let the client in, or refuse it and give None: a foreign origin with 403 and a bad `?token=` (or bearer
        token) with 401, both before the socket is accepted; without a token, the first message must bring a ticket.

        `before` is entered when it is known who comes and before they are told that they are in: what is subscribed
        there misses nothing of what happens after the client's handshake. It ends with the connection."""
        async with AsyncExitStack() as stack:
            self._arriving += 1
            try:
                peer = await self._admit(ws, lambda principal: self._enter(stack, before, principal))
            finally:
                self._arriving -= 1
            if peer is None:
                yield None
                return
            self._open.add(ws)
            expiry = asyncio.create_task(self._expire(peer))
            try:
                async with peer.guard():
                    yield peer
            finally:
                expiry.cancel()
                self._open.discard(ws)
            await close(ws, 1000, "")

    async def door(self, ws: WebSocket) -> bool:
        """True if this client may be accepted; else it has been refused: a foreign origin with 403, one too many with
        503."""
        if not self._doors.same_origin(ws.headers):
            await ws.close()  # before accept: HTTP 403
            return False
        if self._draining or len(self._open) + self._arriving > self._most:
            await ws.send_denial_response(ApiError(503, "This instance takes no more sockets.").response())
            return False
        return True

    @contextmanager
    def present(self, ws: WebSocket) -> Iterator[None]:
        """An accepted socket that counts, and is told when this instance goes away."""
        self._open.add(ws)
        try:
            yield
        finally:
            self._open.discard(ws)

    async def drain(self) -> None:
        """This instance goes away: everyone is told at once, and comes back to another one."""
        self._draining = True
        await asyncio.gather(*(close(ws, GOING_AWAY, "going away") for ws in list(self._open)))

    async def conversations(self, org: str) -> int:
        """How many calls this organisation has had (at most 1,000 are counted); up to a minute old."""
        counted_at, count = self._counts.get(org, (float("-inf"), 0))
        if time.monotonic() - counted_at > _COUNT_FOR_S:
            calls, _ = await newest(self._journal, org)
            count = len(calls)
            self._counts[org] = (time.monotonic(), count)
        return count

    async def _enter(self, stack: AsyncExitStack, before: Before | None, principal: Principal) -> None:
        """Count this user's socket until `stack` ends, then enter `before`. Raises _TooMany."""
        user = (principal.org, principal.user)
        if self._users[user] >= self._most_per_user:
            raise _TooMany(f"at most {self._most_per_user} sockets a user")
        self._users[user] += 1
        stack.callback(self._leave, user)
        if before is not None:
            await stack.enter_async_context(before(principal))

    def _leave(self, user: tuple[str, str]) -> None:
        self._users[user] -= 1
        if not self._users[user]:
            del self._users[user]

    async def _expire(self, peer: Connection) -> None:
        """A socket is good for as long as the token that opened it, and as the one who opened it may come in as who
        they were."""
        expires = peer.principal.expires
        while True:
            left = (expires - self._clock()).total_seconds() if expires else float("inf")
            await asyncio.sleep(min(left, self._recheck_s))
            if left <= self._recheck_s:
                return await peer.close(UNAUTHENTICATED, "expired")
            try:
                if await self._gate.check(peer.principal) != peer.principal:
                    return await peer.close(UNAUTHENTICATED, "another role or organisation")
            except AuthError as error:
                return await peer.close(UNAUTHENTICATED, str(error))
            except StoreUnavailable:  # who came in stays in until we know better
                _log.debug("socket_not_rechecked")

    async def _admit(self, ws: WebSocket, before: Callable[[Principal], Awaitable[None]]) -> Connection | None:
        if not await self.door(ws):
            return None
        shown = credential(ws)
        if shown is not None:
            try:
                principal = await self._gate.bearer(shown)
            except AuthError as error:
                await ws.send_denial_response(ApiError(401, str(error)).response())
                return None
            except StoreUnavailable:
                await ws.send_denial_response(ApiError(503, "The store is not reachable.").response())
                return None
            try:
                await before(principal)
            except _TooMany as error:
                await ws.send_denial_response(ApiError(429, str(error)).response())
                return None
            await ws.accept()
            return Connection(ws, principal, None, self._send_s)
        await ws.accept()
        return await self._first_message(ws, before)

    async def _first_message(self, ws: WebSocket, before: Callable[[Principal], Awaitable[None]]) -> Connection | None:
        """`{"type": "auth" | "connect", "ticket": ...}`, or any first command with a `ticket`."""
        try:
            async with asyncio.timeout(self._first_message_s):
                first = parse(await ws.receive())
        except TimeoutError:
            await close(ws, TOO_LATE, "no ticket in time")
            return None
        except WebSocketDisconnect:
            return None
        ticket = (first or {}).get("ticket")
        if first is None or not isinstance(ticket, str):
            await close(ws, UNAUTHENTICATED, "the first message must bring a ticket")
            return None
        try:
            principal = await self._gate.ticket(ticket, self._journal)
        except AuthError as error:
            await close(ws, UNAUTHENTICATED, str(error))
            return None
        except StoreUnavailable:
            await close(ws, INTERNAL, "the store is not reachable")
            return None
        try:
            await before(principal)
        except _TooMany as error:
            await close(ws, TOO_MANY, str(error))
            return None
        peer = Connection(ws, principal, first, self._send_s)
        if first["type"] in _GREETINGS:
            await peer.send({"type": "authenticated", "user": principal.user})
        return peer


def credential(ws: WebSocket) -> str | None:
    """The token or API key that a socket is opened with; None when its first message is to bring a ticket. A key lives
    long and has no place in a URL: there, nothing but a token is a credential."""
    asked = ws.query_params.get("token")
    if asked:
        return "" if asked.startswith(KEY_PREFIX) else asked
    scheme, _, token = ws.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    key = ws.headers.get("x-api-key", "").strip()
    return key if key.startswith(KEY_PREFIX) else None


def parse(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """The command in an ASGI message: a JSON object with a text `type`; None for anything else. Raises
    WebSocketDisconnect when the message is the end."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if not isinstance(text, str) or len(text) > MAX_COMMAND:
        return None
    try:
        command = json.loads(text)
        # Not all that JSON can escape can be said again: lone surrogates have no UTF-8, NaN is no JSON.
        json.dumps(command, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return command if isinstance(command, dict) and isinstance(command.get("type"), str) else None


async def close(ws: WebSocket, code: int, reason: str, *, patience_s: float = 1.0) -> None:
    """Close if it is still open. The code comes after what was sent; who takes that within `patience_s` hears it."""
    try:
        async with asyncio.timeout(patience_s):
            await ws.close(code, reason)
    except (WebSocketDisconnect, OSError, RuntimeError, TimeoutError):
        _log.debug("dashboard_already_closed", code=code)
