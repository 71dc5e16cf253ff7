"""Tools that a supervisor has to approve: asked for in the journal, answered by a command, refused when time is up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from media_gateway.voice.ports import ToolRequest
from realtime.clock import Clock, iso

REFUSAL: Mapping[str, Any] = {
    "reason": "not_approved",
    "message": "I am sorry, I cannot do that myself, and nobody could approve it right now.",
}
"""What the conversation is told of a tool that was not approved."""


@dataclass(slots=True)
class _Asked:
    tool: str
    answer: asyncio.Future[bool]


class Approvals:
    """Of one call. `note` writes a `command` line."""

    def __init__(self, note: Callable[[Mapping[str, Any]], None], *, clock: Clock, seconds: float) -> None:
        self.needed: Collection[str] = ()
        self._note = note
        self._clock = clock
        self._seconds = seconds
        self._asked: dict[str, _Asked] = {}

    async def granted(self, request: ToolRequest) -> bool:
        """May this tool run? At once, unless somebody has to say so."""
        if request.name not in self.needed:
            return True
        request_id = secrets.token_hex(4)
        asked = self._asked[request_id] = _Asked(request.name, asyncio.get_running_loop().create_future())
        until = iso(self._clock() + timedelta(seconds=self._seconds))
        self._line(request_id, None, "asked", tool=request.name, arguments=dict(request.arguments), until=until)
        try:
            async with asyncio.timeout(self._seconds):
                return await asked.answer
        except TimeoutError:
            self._line(request_id, False, "nobody answered in time")
            return False
        finally:
            del self._asked[request_id]

    def decide(self, request_id: str | None, *, approved: bool) -> str | None:
        """Answer the request of this id, or the only one that waits; the tool, None if there is no such request."""
        waiting = {key: asked for key, asked in self._asked.items() if not asked.answer.done()}
        if request_id is None and len(waiting) == 1:
            request_id = next(iter(waiting))
        asked = waiting.get(request_id or "")
        if asked is None:
            return None
        asked.answer.set_result(approved)
        return asked.tool

    def _line(self, request_id: str, ok: bool | None, detail: str, **more: Any) -> None:
        line = {"command_id": request_id, "kind": "approval", "actor": "session", "ok": ok, "detail": detail}
        self._note(line | more)
