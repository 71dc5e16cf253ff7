"""Listening in: `/api/v1/calls/{call_id}/listen` sends both sides of a running call as it is heard and said.

Binary frames, each one byte of side (0 the caller, 1 the assistant) and mu-law sound. A listener who cannot keep up
misses sound; the call never waits for anybody who listens.
"""

from __future__ import annotations

import asyncio
from collections import deque

import structlog
from starlette.websockets import WebSocket

from media_gateway.dashboard.connection import Connection, Connections
from media_gateway.dashboard.ports import LiveSession, LiveSessions
from realtime import audit
from realtime.clock import utcnow
from realtime.journal import Journal
from realtime.stores.port import DocumentStore

UNKNOWN_CALL = 4404
_WAITING = 500
"""Frames that may wait for a listener: ten seconds of one side."""
_SIDES = (b"\x00", b"\x01")
_log = structlog.get_logger()


class ListenSocket:
    """The endpoint."""

    def __init__(
        self, connections: Connections, journal: Journal, sessions: LiveSessions, store: DocumentStore
    ) -> None:
        self._connections, self._journal, self._sessions, self._store = connections, journal, sessions, store

    async def serve(self, ws: WebSocket) -> None:
        """One listener."""
        async with self._connections.open(ws) as peer:
            if peer is None:
                return
            call = await self._journal.find(ws.path_params["call_id"])
            session = self._sessions.get(call.call_id) if call and call.org == peer.principal.org else None
            if call is None or session is None:
                await peer.close(UNKNOWN_CALL, "no such call is running here")
                return
            who = peer.principal
            await audit.record(self._store, who.org, who.user, "call.listen", call.call_id, utcnow())
            _log.info("listening_in", call_id=call.call_id, user=peer.principal.user)
            async with asyncio.TaskGroup() as group:
                sound = group.create_task(stream(peer, session))
                async for _ in peer.commands():
                    await peer.send({"type": "error", "code": "bad_request", "message": "This socket only sends."})
                sound.cancel()


async def stream(peer: Connection, session: LiveSession, *, side: int | None = None) -> None:
    """Both sides, or one, until cancelled, or the listener is gone."""
    waiting: deque[bytes] = deque(maxlen=_WAITING)
    wake = asyncio.Event()

    def tap(whose: int, mulaw: bytes) -> None:
        if side in (None, whose):
            waiting.append(_SIDES[whose] + mulaw)
            wake.set()

    stop = session.add_tap(tap)
    try:
        async with peer.guard():
            while True:
                await wake.wait()
                wake.clear()
                while waiting:
                    await peer.send_bytes(waiting.popleft())
    finally:
        stop()
