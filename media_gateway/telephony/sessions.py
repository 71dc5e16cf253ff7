"""The calls whose sound this instance holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from media_gateway.loop_lag import LoopLag
from media_gateway.voice.ports import Session


class Sessions:
    """By call id. While `draining`, no new stream is let in."""

    def __init__(self, *, max_calls: int = 100, lag: LoopLag | None = None, max_lag_ms: float = 0.0) -> None:
        self._by_call: dict[str, Session] = {}
        self._streams = 0
        self._max_calls = max_calls
        self._lag, self._max_lag_ms = lag, max_lag_ms
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
        """True if one call more would be one too many: there are as many as may be, or those that there are keep this
        process from waking in time."""
        return self._streams >= self._max_calls or (self._streams > 0 and self._lags)

    @property
    def _lags(self) -> bool:
        return bool(self._lag and self._max_lag_ms and self._lag.ms() > self._max_lag_ms)

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
