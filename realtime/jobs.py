"""What the hub has begun and waits for: tasks of its run, and a store that is asked until it answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from realtime.backoff import Random, delay

log = logging.getLogger("realtime.hub")

T = TypeVar("T")
Job = Callable[[], Awaitable[None]]


class Jobs:
    """`backoff`: base and cap of the pause between two attempts, seconds."""

    def __init__(self, backoff: tuple[float, float], rand: Random) -> None:
        self._backoff, self._rand = backoff, rand
        self._group: asyncio.TaskGroup | None = None
        self._early: list[Job] = []

    def begin(self, group: asyncio.TaskGroup) -> None:
        """From now on jobs are tasks of this group; those that came before begin now."""
        self._group = group
        early, self._early = self._early, []
        for job in early:
            self.later(job)

    def end(self) -> None:
        """The group is gone."""
        self._group = None

    def later(self, job: Job) -> None:
        """Run it as a task, now or when they begin."""
        if self._group is None:
            self._early.append(job)
        else:
            self._group.create_task(_run(job))

    async def asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The store's answer, however often it has to be asked."""
        attempt = 0
        while True:
            try:
                return await ask()
            except Exception as error:  # one watcher's or one call's trouble must not end the hub
                attempt += 1
                log.warning("hub_store_unavailable", extra={"why": type(error).__name__, "attempt": attempt})
                await self.pause(attempt)

    async def pause(self, attempt: int) -> None:
        """Before another attempt."""
        base, cap = self._backoff
        await asyncio.sleep(delay(attempt, base=base, cap=cap, rand=self._rand))


async def _run(job: Job) -> None:
    await job()
