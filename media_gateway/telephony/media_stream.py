"""The socket that carries a call's sound: `/api/v1/voice/media-stream`. Verify, then read and hand over.

Per frame there is one decode and one call of the session: no queue, task, timer, lock or log line. Where the server
lets it (`direct_socket`) the frames come straight from the read of the socket, else one by one from ASGI's `receive`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from starlette.responses import PlainTextResponse
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.auth.model import AuthError
from media_gateway.auth.tokens import Tokens
from media_gateway.direct_socket import DirectSocket, direct
from media_gateway.telephony import handoff
from media_gateway.telephony import media_protocol as wire
from media_gateway.telephony.flood import Allowance
from media_gateway.telephony.line import SocketLine
from media_gateway.telephony.sessions import Sessions
from media_gateway.telephony.signature import Signatures
from media_gateway.voice.ports import Session, SessionFactory, StartedStream
from realtime.journal import Journal
from realtime.stores.port import StoreUnavailable

PATH = "/api/v1/voice/media-stream"
TRY_LATER = 1013
FAILED = 1011
YIELD_EVERY = 16
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: from accept to `start`; for the last words to be written; for a session to end after its stream."""

    start_s: float = 5.0
    flush_s: float = 5.0
    wind_down_s: float = 30.0


class MediaStream:
    """The endpoint. It writes nothing and calls no session before the token was claimed."""

    def __init__(
        self,
        *,
        signatures: Signatures,
        tokens: Tokens,
        journal: Journal,
        sessions: Sessions,
        factory: SessionFactory,
        limits: Limits = Limits(),
    ) -> None:
        self._signatures, self._tokens, self._journal = signatures, tokens, journal
        self._sessions, self._factory, self._limits = sessions, factory, limits

    async def serve(self, ws: WebSocket) -> None:
        """One stream from the upgrade to the end."""
        if not self._signatures.upgrade(ws.scope["path"], ws.headers):
            await ws.close()  # before accept: HTTP 403
            return
        if self._sessions.draining or self._sessions.full:
            await ws.send_denial_response(PlainTextResponse("no room", 503, headers={"Retry-After": "1"}))
            return
        await ws.accept()
        with self._sessions.stream():
            try:
                await self._stream(ws)
            except wire.ProtocolError as error:
                _log.info("media_stream_refused", code=error.code, reason=error.reason)
                await _close(ws, error.code, error.reason)
            except WebSocketDisconnect:
                _log.info("media_stream_gone", reason="before start")

    async def _stream(self, ws: WebSocket) -> None:
        protocol = wire.MediaProtocol()
        try:
            async with asyncio.timeout(self._limits.start_s):
                start = await _read_start(ws, protocol)
        except TimeoutError as error:
            raise wire.ProtocolError(wire.REFUSED, "no start in time") from error
        started = await self._verify(start)
        socket = direct(ws.scope)
        line = SocketLine(wire.Frames(started.stream_sid), write=socket.write if socket else None)
        session = self._factory(started, line)
        with self._sessions.running(session):
            try:
                await self._carry(ws, socket, _Incoming(protocol, session), line)
            except* Exception:
                _log.exception("call_failed", call_id=started.call_id)
                await _close(ws, FAILED, "internal")

    async def _verify(self, start: wire.StartBody) -> StartedStream:
        """The token is checked against the call first and claimed last: a wrong one leaves no trace."""
        try:
            token = start.custom_parameters.get("token", "")
            claims = self._tokens.verify_stream(token, call_id=start.call_sid)
            call = await self._journal.find(claims.call_id)
            if call is None or call.status.terminal:
                raise wire.ProtocolError(wire.REFUSED, "no such call in progress")
            if not await self._journal.claim("stream", claims.jti, until=claims.expires):
                raise AuthError("the token has been used")
        except AuthError as error:
            raise wire.ProtocolError(wire.REFUSED, str(error)) from error
        except StoreUnavailable as error:
            raise wire.ProtocolError(TRY_LATER, "the store is not reachable") from error
        return StartedStream(
            call_id=call.call_id,
            stream_sid=start.stream_sid,
            org=call.org,
            caller_phone=call.caller_phone,
            flow=call.flow,
            resumed=claims.resumed,
            direction=call.direction,
            variables={**(call.metadata.get("variables") or {}), **handoff.told(call.metadata)},
        )

    async def _carry(self, ws: WebSocket, socket: DirectSocket | None, incoming: _Incoming, line: SocketLine) -> None:
        """Everything the call started ends here, whichever side ended it."""
        session = incoming.session
        async with asyncio.TaskGroup() as group:
            call = group.create_task(session.run())
            call.add_done_callback(lambda _: line.close())
            reader = group.create_task(_read(ws, incoming, lambda: line.hung_up, socket))
            writer = group.create_task(line.write_out(ws.send_text, reader.cancel))
            await asyncio.wait({reader, writer, call}, return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():  # we hang up: the last words go out, then the socket closes, then the reader ends
                await asyncio.wait({writer}, timeout=self._limits.flush_s)
                line.abandon()
                await _close(ws, 1000, "")
                await asyncio.wait({reader}, timeout=self._limits.flush_s)
            elif reader.cancelled():  # the peer stopped taking what we sent
                session.on_lost()
                await _close(ws, TRY_LATER, "too slow")
            elif (code := reader.result()) is not None:
                await _close(ws, code, "")
            line.abandon()
            reader.cancel()
            writer.cancel()
            await asyncio.wait({call}, timeout=self._limits.wind_down_s)
            if not call.done():
                _log.error("session_stuck", call_id=session.call_id)
                call.cancel()


async def _read_start(ws: WebSocket, protocol: wire.MediaProtocol) -> wire.StartBody:
    while True:
        message = protocol.receive(_text(await ws.receive()))
        if isinstance(message, wire.Start):
            return message.start


class _Incoming:
    """What comes in after `start`, handed over to the session."""

    __slots__ = ("_allowed", "_decode", "session")

    def __init__(self, protocol: wire.MediaProtocol, session: Session) -> None:
        self.session = session
        self._decode = protocol.receive
        self._allowed = Allowance(asyncio.get_running_loop().time)

    def take(self, text: str | bytes) -> bool:
        """One message; True when it was the last. Raises ProtocolError."""
        message = self._decode(text)
        self._allowed.check(message)
        kind, session = type(message), self.session
        if kind is wire.Media:
            session.on_media(message.media.payload)  # type: ignore[union-attr]
        elif isinstance(message, wire.Mark):
            session.on_mark(message.mark.name)
        elif isinstance(message, wire.Dtmf):
            session.on_digit(message.dtmf.digit)
        elif isinstance(message, wire.Stop):
            session.on_stop()
            return True
        return False


async def _read(
    ws: WebSocket, incoming: _Incoming, hung_up: Callable[[], bool], socket: DirectSocket | None = None
) -> int | None:
    """Until the stream ends; the code to close with, None if the peer has closed."""
    session = incoming.session
    try:
        await (_diverted(ws, incoming, socket) if socket else _received(ws, incoming))
    except WebSocketDisconnect:
        if not hung_up():
            session.on_lost()
        return None
    except wire.ProtocolError as error:
        _log.warning("media_stream_broken", call_id=session.call_id, code=error.code, reason=error.reason)
        session.on_lost()
        return error.code
    return 1000


async def _received(ws: WebSocket, incoming: _Incoming) -> None:
    """By ASGI."""
    receive, take, seen = ws.receive, incoming.take, 0
    while not take(_text(await receive())):
        seen += 1
        if not seen % YIELD_EVERY:
            await asyncio.sleep(0)  # what is there already is received without waiting, and others want to live


async def _diverted(ws: WebSocket, incoming: _Incoming, socket: DirectSocket) -> None:
    """Straight from the socket; only its end, and what is no text, still comes by ASGI."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(text: bytes) -> None:
        if over.done():
            return
        try:
            if incoming.take(text):
                over.set_result(None)
        except Exception as problem:  # on the socket's own stack nobody would know what to do with it
            over.set_exception(problem)

    rest: asyncio.Future[None] = asyncio.create_task(_no_text(ws), name="end of stream")
    try:
        socket.divert(take)
        await asyncio.wait({over, rest}, return_when=asyncio.FIRST_COMPLETED)
        await (over if over.done() else rest)
    finally:
        socket.divert(None)
        rest.cancel()
        await asyncio.wait({rest})
        for one in (over, rest):
            if one.done() and not one.cancelled():
                one.exception()  # whichever came second is of no interest


async def _no_text(ws: WebSocket) -> None:
    """Raises WebSocketDisconnect, or ProtocolError on a binary frame."""
    while True:
        _text(await ws.receive())


def _text(message: Message) -> str:
    """The text of a frame. Raises WebSocketDisconnect when it is the end, ProtocolError on a binary frame."""
    text = message.get("text")
    if type(text) is str:
        return text
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(1006)
    raise wire.ProtocolError(wire.NOT_TEXT, "binary frame")


async def _close(ws: WebSocket, code: int, reason: str) -> None:
    """Close if it is still open; the peer may have left, or we may have closed already."""
    try:
        async with asyncio.timeout(1.0):
            await ws.close(code, reason)
    except (WebSocketDisconnect, OSError, RuntimeError, TimeoutError):
        _log.debug("media_stream_already_closed", code=code)
