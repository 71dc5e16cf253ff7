"""Background jobs that go on: one that fails is logged, counted and begun again, and takes nothing else with it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from realtime.backoff import Random, delay

log = logging.getLogger(__name__)

BASE_S, CAP_S = 1.0, 60.0
CALM_S = 120.0
"""A job that ran this long before it failed has its pauses begin anew."""
Job = Callable[[], Awaitable[None]]


class Keeper:
    """`faults` counts how often each job has failed."""

    def __init__(
        self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, rand: Random = random.random
    ) -> None:
        self.faults: Counter[str] = Counter()
        self._sleep, self._rand = sleep, rand

    async def keep(self, name: str, job: Job) -> None:
        """Run it until it returns or is cancelled, whatever it raises."""
        now = asyncio.get_running_loop().time
        attempt = 0
        while True:
            began = now()
            try:
                await job()
                return
            except Exception as error:  # whatever it is: the calls of this instance must not end for it
                attempt = 1 if now() - began > CALM_S else attempt + 1
                self.faults[name] += 1
                log.exception("job_failed", extra={"job": name, "why": type(error).__name__, "attempt": attempt})
            await self._sleep(delay(attempt, base=BASE_S, cap=CAP_S, rand=self._rand))

    async def each(self, name: str, every: float, *works: Job) -> None:
        """All of `works`, now and then, until cancelled; one that fails keeps none of the others from its turn."""
        while True:
            await self._sleep(every * (1 + self._rand() / 4))
            for work in works:
                try:
                    await work()
                except Exception as error:
                    self.faults[name] += 1
                    log.exception("job_failed", extra={"job": name, "why": type(error).__name__})
