"""The calls whose sound this instance holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from media_gateway.voice.ports import Session


class Sessions:
    """By call id. While `draining`, no new stream is let in."""

    def __init__(self, *, max_calls: int = 100) -> None:
        self._by_call: dict[str, Session] = {}
        self._streams = 0
        self._max_calls = max_calls
        self.draining = False
        self.ended: list[Callable[[str], None]] = []
        """Told the call id when a session has ended here."""
        self._empty = asyncio.Event()
        self._empty.set()

    async def empty(self) -> None:
        """Returns when no stream is left."""
        await self._empty.wait()

    def __len__(self) -> int:
        return self._streams

    @property
    def full(self) -> bool:
        """True if one call more would be one too many."""
        return self._streams >= self._max_calls

    def get(self, call_id: str) -> Session | None:
        """The session of this call, if it is here."""
        return self._by_call.get(call_id)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Counts a socket from its acceptance to its end."""
        self._streams += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._streams -= 1
            if not self._streams:
                self._empty.set()

    @contextmanager
    def running(self, session: Session) -> Iterator[None]:
        """A call that was taken over by a newer stream belongs to that one, and the older falls silent."""
        older = self._by_call.get(session.call_id)
        self._by_call[session.call_id] = session
        if older is not None:
            # Not `move`: that would have Twilio ask for a stream once more.
            older.on_lost()
        try:
            yield
        finally:
            if self._by_call.get(session.call_id) is session:
                del self._by_call[session.call_id]
                for tell in self.ended:
                    tell(session.call_id)

    def drain(self) -> None:
        """This instance is going away: nothing new, and what runs moves."""
        self.draining = True
        for session in list(self._by_call.values()):
            session.move()
