"""The feed of heads, watched: started again when it ends, doubted when the store knows what it has not told, and asked
for proof that the store is there at all."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from realtime.backoff import Random, delay
from realtime.call import Status
from realtime.stores.port import FeedState, HeadFeed

log = logging.getLogger(__name__)

Heads = list[Mapping[str, Any]]


class Feeding:
    """One run of it lasts for as long as somebody watches."""

    def __init__(
        self,
        feed: HeadFeed,
        on_head: Callable[[Mapping[str, Any]], None],
        on_state: Callable[[FeedState], None],
        *,
        look: Callable[[], Awaitable[Heads]],
        told: Callable[[Mapping[str, Any]], bool],
        sweep: float,
        grace: float = 2.0,
        proof: float = 10.0,
        backoff: tuple[float, float],
        rand: Random = random.random,
    ) -> None:
        """`look` reads from the store what is watched; `told` says whether a head is known already. What a feed that
        calls itself live has not told `grace` seconds after it was read, it has lost: it is started afresh. A `look`
        that takes longer than `proof` seconds, or fails, means that the store is away, whatever the feed says."""
        self._feed, self._on_head, self._on_state = feed, on_head, on_state
        self._look, self._told = look, told
        self._sweep, self._grace, self._proof = sweep, grace, proof
        self._backoff, self._rand = backoff, rand
        self._says = FeedState.CONNECTING
        self._store_there = True
        self._said: FeedState | None = None
        self._restart = asyncio.Event()
        self.lost = 0
        """Heads that the store had and a live feed did not tell."""

    @property
    def heard_at(self) -> float | None:
        """When (loop time) the feed's server last said anything; None before it has, and for a feed without one."""
        heard: float | None = getattr(self._feed, "heard_at", None)
        return heard

    async def run(self) -> None:
        """Until cancelled."""
        self._says, self._store_there, self._said = FeedState.CONNECTING, True, None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feeding())
                group.create_task(self._sweeping())
        finally:
            self._says, self._store_there = FeedState.CONNECTING, True
            self._tell()

    async def _feeding(self) -> None:
        attempt = 0
        while True:
            self._restart.clear()
            running = asyncio.create_task(self._feed.run(self._on_head, self._feed_says))
            doubted = asyncio.create_task(self._restart.wait())
            try:
                await asyncio.wait({running, doubted}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                doubted.cancel()
                running.cancel()
                (ended,) = await asyncio.gather(running, return_exceptions=True)
            if isinstance(ended, Exception):  # a feed promises not to end; if it does, start it again and say so
                log.error("feed_failed", extra={"why": type(ended).__name__}, exc_info=ended)
            attempt = 0 if self._restart.is_set() else attempt + 1
            self._feed_says(FeedState.DEGRADED)
            base, cap = self._backoff
            await asyncio.sleep(delay(attempt, base=base, cap=cap, rand=self._rand))

    async def _sweeping(self) -> None:
        failures = 0
        base, cap = self._backoff
        while True:
            usual = self._sweep * (0.75 + self._rand() / 2)
            await asyncio.sleep(delay(failures, base=base, cap=cap, rand=self._rand) if failures else usual)
            try:
                await self.sweep()
            except Exception as error:  # the store is away: asked again soon
                failures += 1
                log.warning("sweep_failed", extra={"why": type(error).__name__, "attempt": failures})
            else:
                failures = 0

    async def sweep(self) -> None:
        """Read again what is watched."""
        looking = asyncio.ensure_future(self._look())
        try:
            await asyncio.wait({looking}, timeout=self._proof)
            if not looking.done():
                self._store_is(there=False)
            heads = await looking
        except Exception:
            self._store_is(there=False)
            raise
        finally:
            looking.cancel()
        self._store_is(there=True)
        await asyncio.sleep(self._grace)
        unknown = [head for head in heads if not self._told(head)]
        for head in unknown:
            self._on_head(head)
        lost = [head for head in unknown if head["active"] and not Status(head["status"]).terminal]
        if lost and self._says is FeedState.LIVE:
            self.lost += len(lost)
            log.warning("feed_doubted", extra={"heads": len(lost)})
            self._restart.set()

    def _store_is(self, *, there: bool) -> None:
        self._store_there = there
        self._tell()

    def _feed_says(self, state: FeedState) -> None:
        self._says = state
        self._store_there = self._store_there or state is FeedState.LIVE
        self._tell()

    def _tell(self) -> None:
        state = self._says if self._store_there else FeedState.DEGRADED
        if state is not self._said:
            self._said = state
            self._on_state(state)
