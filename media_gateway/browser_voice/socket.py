"""`/ws/voice`: the microphone of a browser as a caller.

The first message authenticates, `{"type": "auth", "ticket": ...}`; what comes next begins the conversation: sound
(binary, 16 kHz signed 16 bit little endian, 20 ms a frame), `{"type": "text", "text": ...}`, or
`{"type": "start", "flow"?: ..., "session_id"?: ...}` to choose a flow or to go on with a conversation. Sound comes down
in the same form; `{"event": "clear"}` says that what has not been played is not to be. Every event of the call comes as
`{event, data: {text, session_id, userId, timestamp, ...}}`, the form of `/ws/events`. `{"type": "stop"}` hangs up; a
socket that breaks leaves a few seconds to come back with `session_id`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.browser_voice.line import BrowserLine
from media_gateway.browser_voice.opening import Refused, Wish, complete, open_call
from media_gateway.dashboard.connection import BAD_MESSAGE, TOO_LATE, TOO_MANY, TOO_SLOW, Connection, Connections
from media_gateway.dashboard.sockets import GlobalEncoder
from media_gateway.pcm import Down
from media_gateway.rate import Bucket
from media_gateway.voice.ports import Session, SessionFactory
from realtime.call import Call
from realtime.clock import Clock, utcnow
from realtime.hub import Hub, Subscription
from realtime.journal import Journal
from realtime.stores.port import StoreUnavailable

FORBIDDEN, INTERNAL, TRY_LATER = 4403, 4500, 1013
MAX_SOUND = 16 * 1024
"""Bytes of a frame: half a second."""
MAX_TEXT = 1_000
_BYTES_PER_S = 32_000
_SOUND_RATE, _SOUND_BURST = 2 * _BYTES_PER_S, 10 * _BYTES_PER_S
"""Twice real time on the long run, and ten seconds that a network held back at once."""
_COMMAND_RATE, _COMMAND_BURST = 10, 40
_log = structlog.get_logger()


class Registry(Protocol):
    """The calls whose sound this instance holds (`telephony.sessions.Sessions`)."""

    draining: bool

    @property
    def full(self) -> bool:
        """True if one call more would be one too many."""

    def stream(self) -> AbstractContextManager[None]:
        """Counts a conversation from its beginning to its end."""

    def running(self, session: Session) -> AbstractContextManager[None]:
        """Findable while it runs; an older session of the same call falls silent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: from the login to the first sound or word; for the last words to be written; for a session to end after
    its socket."""

    start_s: float = 120.0
    flush_s: float = 5.0
    wind_down_s: float = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSocket:
    """The endpoint. `flows` names what may be asked for; `noticed` is told of a head that this room changed."""

    connections: Connections
    journal: Journal
    hub: Hub
    sessions: Registry
    factory: SessionFactory
    flows: Callable[[], set[str]]
    limits: Limits = Limits()
    clock: Clock = utcnow

    async def serve(self, ws: WebSocket) -> None:
        """One conversation, or what is left of it after a reload."""
        async with self.connections.open(ws) as peer:
            if peer is None:
                return
            if not peer.principal.may("operator"):
                await peer.close(FORBIDDEN, "this needs the role operator")
                return
            async with aclosing(peer.frames(MAX_SOUND)) as frames:
                await self._begin(peer, frames)

    async def _begin(self, peer: Connection, frames: AsyncIterator[bytes | dict[str, Any]]) -> None:
        try:
            async with asyncio.timeout(self.limits.start_s):
                first = await anext(frames, None)
        except TimeoutError:
            await peer.close(TOO_LATE, "nothing was said")
            return
        if first is None:
            return
        if self.sessions.draining or self.sessions.full:
            await peer.close(TRY_LATER, "no room for another call")
            return
        try:
            async with AsyncExitStack() as stack:
                stack.enter_context(self.sessions.stream())
                call, started = await open_call(self.journal, peer.principal, self._wish(first), self.clock)
                self.hub.notice(call.to_dict())
                _log.info("browser_voice_started", call_id=call.call_id, resumed=started.resumed)
                # Subscribed before the browser hears that it may speak: its first words are told to it.
                events = self.hub.subscribe(call.call_id, org=call.org, since=call.seq)
                stack.push_async_callback(events.aclose)
                await peer.send({"event": "started", "data": {"session_id": call.call_id, "resumed": started.resumed}})
                echoes: list[Session] = []
                line = BrowserLine(lambda name: echoes[0].on_mark(name))
                session = self.factory(started, line)
                echoes.append(session)
                with self.sessions.running(session):
                    await self._carry(peer, frames, first, session, line, self._tell(peer, call, events))
                await self._complete(call.call_id)
        except Refused as no:
            await peer.send({"type": "error", "code": no.code, "message": str(no)})
            await peer.close(BAD_MESSAGE if no.code == "bad_request" else FORBIDDEN, no.code)
        except StoreUnavailable:
            await peer.close(INTERNAL, "the store is not reachable")

    def _wish(self, first: bytes | dict[str, Any]) -> Wish:
        if isinstance(first, bytes) or first["type"] != "start":
            return Wish()
        flow, session_id = first.get("flow"), first.get("session_id")
        for value in (flow, session_id):
            if value is not None and (not isinstance(value, str) or len(value) > 128):
                raise Refused("bad_request", "flow and session_id must be texts.")
        if flow is not None and flow not in self.flows():
            raise Refused("bad_request", f"There is no such flow; there are: {', '.join(sorted(self.flows()))}.")
        return Wish(flow, session_id or None)

    async def _carry(
        self,
        peer: Connection,
        frames: AsyncIterator[bytes | dict[str, Any]],
        first: bytes | dict[str, Any],
        session: Session,
        line: BrowserLine,
        tell: Coroutine[None, None, None],
    ) -> None:
        """Everything the conversation started ends here, whichever side ended it."""
        async with asyncio.TaskGroup() as group:
            talk = group.create_task(_contained(session))
            talk.add_done_callback(lambda _: line.close())
            telling = group.create_task(tell)
            reader = group.create_task(_listen(peer, frames, first, session))
            writer = group.create_task(_write(peer, line))
            await asyncio.wait({reader, writer, talk}, return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():  # we hang up, or the browser does not take what we send
                await asyncio.wait({writer}, timeout=self.limits.flush_s)
                if line.overflowed:
                    session.on_lost()
                await asyncio.wait({telling}, timeout=1.0)  # the last words in writing too
                await peer.close(TOO_SLOW if line.overflowed else 1000, "")
                await asyncio.wait({reader}, timeout=self.limits.flush_s)
            line.abandon()
            for task in (reader, writer, telling):
                task.cancel()
            await asyncio.wait({talk}, timeout=self.limits.wind_down_s)
            if not talk.done():
                _log.error("session_stuck", call_id=session.call_id)
                talk.cancel()

    async def _tell(self, peer: Connection, call: Call, events: Subscription) -> None:
        """The call's events to its own speaker, from now on; what fails here never touches the conversation."""
        encoder = GlobalEncoder(self.connections, self.journal, call.org)
        try:
            async for event in events:
                message = await encoder.message(event)
                if message is not None:
                    await peer.send(message)
        except (TimeoutError, WebSocketDisconnect):
            _log.debug("browser_voice_gone", call_id=call.call_id)
        except Exception:
            _log.exception("broadcast_failed", call_id=call.call_id)

    async def _complete(self, call_id: str) -> None:
        call = await complete(self.journal, call_id, self.clock)
        if call is not None:
            self.hub.notice(call.to_dict())


async def _contained(session: Session) -> None:
    """A fault of the session ends this conversation in order, and nothing else."""
    try:
        await session.run()
    except Exception:
        _log.exception("call_failed", call_id=session.call_id)


async def _listen(
    peer: Connection, frames: AsyncIterator[bytes | dict[str, Any]], first: bytes | dict[str, Any], session: Session
) -> None:
    """Until the browser leaves, hangs up, or does not take our answers. The session is told, and ends in order."""
    try:
        await _read(peer, frames, first, session)
    except (TimeoutError, WebSocketDisconnect):
        session.on_lost()


async def _read(
    peer: Connection, frames: AsyncIterator[bytes | dict[str, Any]], first: bytes | dict[str, Any], session: Session
) -> None:
    """Until the browser leaves or hangs up. Raises what sending raises."""
    now = asyncio.get_running_loop().time
    sound, commands = Bucket(_SOUND_RATE, _SOUND_BURST), Bucket(_COMMAND_RATE, _COMMAND_BURST)
    down = Down()
    frame: bytes | dict[str, Any] | None = first
    while frame is not None:
        if isinstance(frame, bytes):
            if not sound.take(now(), len(frame)):
                return await _refuse(peer, session, TOO_MANY, "more sound than there is time")
            if len(frame) % 2:
                return await _refuse(peer, session, BAD_MESSAGE, "half a sample")
            session.on_media(down.feed(frame))
        elif not commands.take(now()):
            return await _refuse(peer, session, TOO_MANY, "too many commands")
        elif frame["type"] == "stop":
            session.on_stop()
            return None
        elif frame["type"] == "text" and _sayable(frame.get("text")):
            session.on_text(frame["text"].strip())
        elif frame["type"] != "start":
            message = f"Send sound, start, stop, or text with 1 to {MAX_TEXT} characters."
            await peer.send({"type": "error", "code": "bad_request", "message": message})
        frame = await anext(frames, None)
    session.on_lost()
    return None


def _sayable(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text.strip()) <= MAX_TEXT


async def _refuse(peer: Connection, session: Session, code: int, reason: str) -> None:
    session.on_lost()
    await peer.close(code, reason)


async def _write(peer: Connection, line: BrowserLine) -> None:
    try:
        await line.write_out(peer.send_bytes, peer.send)
    except (TimeoutError, WebSocketDisconnect):
        line.overflowed = True  # gone or too slow: the reader hears of it, or we close
