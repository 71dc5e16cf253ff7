"""A supervisor on the line: `/api/v1/calls/{call_id}/takeover`, the socket of `POST .../takeover {"by": "browser"}`.

Up: binary frames of the supervisor's microphone, `?format=pcm16` (16 kHz, 16 bit, little endian; the default) or
`mulaw` (8 kHz). Down: binary frames as those of `/listen`, the caller's side. Closing the socket gives the caller back
to the assistant; so does `{"type": "release"}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import structlog
from starlette.websockets import WebSocket

from media_gateway.dashboard.connection import BAD_MESSAGE, Connection, Connections
from media_gateway.dashboard.listen import UNKNOWN_CALL, stream
from media_gateway.dashboard.ports import LiveMicrophone, LiveSessions
from media_gateway.pcm import Down
from realtime.journal import Journal

NOT_ALLOWED, NOT_YOURS, RELEASED = 4403, 4409, 1000
MAX_FRAME = 16 * 1024
_CALLER = 0
_log = structlog.get_logger()


class TakeoverSocket:
    """The endpoint."""

    def __init__(self, connections: Connections, journal: Journal, sessions: LiveSessions) -> None:
        self._connections, self._journal, self._sessions = connections, journal, sessions

    async def serve(self, ws: WebSocket) -> None:
        """One supervisor."""
        async with self._connections.open(ws) as peer:
            if peer is None:
                return
            if not peer.principal.may("operator"):
                await peer.close(NOT_ALLOWED, "this needs the role operator")
                return
            call = await self._journal.find(ws.path_params["call_id"])
            session = self._sessions.get(call.call_id) if call and call.org == peer.principal.org else None
            if call is None or session is None:
                await peer.close(UNKNOWN_CALL, "no such call is running here")
                return
            format_ = ws.query_params.get("format", "pcm16")
            if format_ not in ("pcm16", "mulaw"):
                await peer.close(BAD_MESSAGE, "format is pcm16 or mulaw")
                return
            microphone = session.microphone(peer.principal.user)
            if microphone is None:
                await peer.close(NOT_YOURS, "take the call over first, and once")
                return
            _log.info("taken_over", call_id=call.call_id, user=peer.principal.user)
            convert = Down().feed if format_ == "pcm16" else bytes
            try:
                async with asyncio.TaskGroup() as group:
                    sound = group.create_task(stream(peer, session, side=_CALLER))
                    await _speak(peer, microphone, convert)
                    sound.cancel()
            finally:
                microphone.close()
            await peer.close(RELEASED, "released")


async def _speak(peer: Connection, microphone: LiveMicrophone, convert: Callable[[bytes], bytes]) -> None:
    """Until the supervisor leaves or gives the caller back, or somebody else has ended it."""
    async with aclosing(peer.frames(MAX_FRAME)) as frames:
        async for frame in frames:
            if not microphone.open or (isinstance(frame, dict) and frame["type"] == "release"):
                return
            if isinstance(frame, bytes):
                microphone.feed(convert(frame))
