"""What clients that come back with a cursor have missed of all calls: in a storm of them, one listing serves many."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from media_gateway.dashboard.newest import newest
from realtime.call import Call
from realtime.clock import iso
from realtime.journal import Journal

PAUSE_S = 0.25
"""Between the beginnings of two listings of an organisation. Who is alone does not wait; of a thousand that lose their
gateway at once, each costs the store next to nothing."""


@dataclass(slots=True)
class _Round:
    """A listing that has not begun; it goes back as far as the furthest of those who wait for it."""

    moment: datetime
    listed: asyncio.Task[tuple[list[Call], bool]]


class Missed:
    """Lists for whoever asks. A listing begins after all whom it serves have asked, so it holds what they missed."""

    def __init__(self, journal: Journal, *, pause_s: float = PAUSE_S) -> None:
        self._journal, self._pause_s = journal, pause_s
        self._next: dict[str, _Round] = {}
        self._began: dict[str, float] = {}

    async def since(self, org: str, moment: datetime) -> tuple[list[Call], bool]:
        """The calls of `org` that began at `moment` or later, newest first, and whether these are all. Raises
        StoreUnavailable."""
        waiting = self._next.get(org)
        if waiting is None:
            waiting = self._next[org] = _Round(moment, asyncio.create_task(self._list(org), name="missed"))
            waiting.listed.add_done_callback(_looked_at)
        waiting.moment = min(waiting.moment, moment)
        calls, whole = await asyncio.shield(waiting.listed)
        began = iso(moment)
        return [call for call in calls if call.started_at >= began], whole or calls[-1].started_at < began

    async def _list(self, org: str) -> tuple[list[Call], bool]:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._began.get(org, -self._pause_s) + self._pause_s - clock()))
        self._began[org] = clock()
        return await newest(self._journal, org, began=iso(self._next.pop(org).moment))


def _looked_at(listed: asyncio.Task[tuple[list[Call], bool]]) -> None:
    """Its failure is known, also when everybody who waited for it has left."""
    if not listed.cancelled():
        listed.exception()
