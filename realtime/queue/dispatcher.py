"""Makes the requests of the embedded queue, as Cloud Tasks would: when they are due, again after a failure, one by one.

A lost answer is a failure too, so a request may come twice: each carries its Idempotency-Key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sqlite3
import uuid
from pathlib import Path

import httpx2

from realtime.backoff import Random, delay
from realtime.clock import Clock, utcnow
from realtime.queue.embedded import Claimed, EmbeddedQueue

log = logging.getLogger(__name__)

LEASE_MARGIN_SECONDS = 5.0


class TaskDispatcher:
    """Several may run at once. `push_seconds` is the deadline of one request, `backoff` the first and longest wait."""

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock = utcnow,
        rand: Random = random.random,
        poll_seconds: float = 0.5,
        push_seconds: float = 15.0,
        max_attempts: int = 5,
        backoff: tuple[float, float] = (2.0, 60.0),
    ) -> None:
        self._queue = EmbeddedQueue(path, clock=clock)
        self._clock = clock
        self._rand = rand
        self._poll = poll_seconds
        self._push_seconds = push_seconds
        self._max_attempts = max_attempts
        self._base, self._cap = backoff
        self._lease = uuid.uuid4().hex

    async def run(self) -> None:
        """Run until cancelled. A request that is under way then counts as lost: it comes again after its lease."""
        try:
            # The gateway is on this machine: an HTTP proxy of the environment is not for it.
            async with httpx2.AsyncClient(timeout=self._push_seconds, trust_env=False) as client:
                while True:
                    if not await self._once(client):
                        await asyncio.sleep(self._poll)
        finally:
            await asyncio.to_thread(self._queue.close)

    async def _once(self, client: httpx2.AsyncClient) -> bool:
        """False when there was nothing to do, or nothing could be done."""
        try:
            seconds = self._push_seconds + LEASE_MARGIN_SECONDS
            task = await asyncio.to_thread(self._queue.claim, self._lease, seconds=seconds)
            if task is None:
                return False
            await self._note(task, await self._make(client, task))
        except sqlite3.Error as error:  # the file is busy or the disk full; made or not, it comes again
            log.warning("queue_unavailable", extra={"why": str(error)})
            return False
        return True

    async def _make(self, client: httpx2.AsyncClient, task: Claimed) -> str | None:
        """None when it was taken, else why not."""
        left = task.until - self._clock().timestamp()
        if left <= 0:
            return "too late"
        headers = {**json.loads(task.headers), "Content-Type": "application/json"}
        try:
            async with asyncio.timeout(min(left, self._push_seconds)):
                response = await client.post(task.url, content=task.body, headers=headers)
        except (httpx2.HTTPError, TimeoutError) as error:
            return type(error).__name__
        return None if response.is_success else f"HTTP {response.status_code}"

    async def _note(self, task: Claimed, why: str | None) -> None:
        if why is None:
            log.info("task_made", extra={"task": task.name})
            await asyncio.to_thread(self._queue.done, self._lease, task.name)
            return
        tries = task.attempts + 1
        if tries >= self._max_attempts or self._clock().timestamp() >= task.until:
            log.error("task_dead", extra={"task": task.name, "attempts": tries, "why": why})
            await asyncio.to_thread(self._queue.bury, self._lease, task.name, why=why)
            return
        log.warning("task_again", extra={"task": task.name, "attempts": tries, "why": why})
        wait = delay(tries, base=self._base, cap=self._cap, rand=self._rand)
        await asyncio.to_thread(self._queue.retry, self._lease, task.name, after=wait)
