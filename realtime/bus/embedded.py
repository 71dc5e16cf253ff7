"""The bus of a machine without Google Cloud: messages in a SQLite file, pushed to the applier over HTTP.

What the applier sees is what Pub/Sub would send: the same envelope, at least once, in order per ordering key, again
after anything that is not 2xx, set aside after too many attempts.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import uuid
from pathlib import Path

import httpx2

from realtime.backoff import Random, delay
from realtime.bus.envelope import push_body
from realtime.bus.outbox import Letter, Outbox
from realtime.bus.port import MAX_DELIVERIES, BusMessage, PublishFailed
from realtime.clock import Clock, utcnow

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 10.0
PURGE_SECONDS = 600.0
LEASE_MARGIN_SECONDS = 5.0


class EmbeddedBus:
    """Publishes into the file; a `Dispatcher` (here or in another process) delivers."""

    def __init__(self, path: str | Path, *, clock: Clock = utcnow) -> None:
        self._outbox = Outbox(path, clock=clock)

    async def publish(self, message: BusMessage) -> None:
        """Returns when the message is on disk. Raises PublishFailed."""
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await asyncio.to_thread(self._outbox.publish, message)
        except TimeoutError as error:
            raise PublishFailed(f"the embedded bus did not take {message.id} in {PUBLISH_SECONDS:g} s") from error

    async def aclose(self) -> None:
        """Safe to call twice."""
        await asyncio.to_thread(self._outbox.close)


class Dispatcher:
    """Delivers what is in the file, one message per ordering key at a time. Several may run at once."""

    def __init__(
        self,
        path: str | Path,
        push_url: str,
        *,
        clock: Clock = utcnow,
        rand: Random = random.random,
        poll_seconds: float = 0.05,
        push_seconds: float = 60.0,
        max_attempts: int = MAX_DELIVERIES,
        backoff: tuple[float, float] = (0.1, 30.0),
        concurrency: int = 8,
        token: str = "",
        retention_days: int = 30,
    ) -> None:
        """`token` goes with every push, as a bearer. `push_seconds` is the acknowledgement deadline; `backoff` the
        first and the longest wait in seconds; `retention_days` how long what could not be delivered is kept."""
        self._outbox = Outbox(path, clock=clock, retention_days=retention_days)
        self._url = push_url
        self._rand = rand
        self._poll = poll_seconds
        self._push_seconds = push_seconds
        self._max_attempts = max_attempts
        self._base, self._cap = backoff
        self._concurrency = concurrency
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._lease = uuid.uuid4().hex

    async def run(self) -> None:
        """Run until cancelled; what was under way is then given back to whoever dispatches next."""
        limits = httpx2.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency)
        try:
            # The applier is on this machine: an HTTP proxy of the environment is not for it.
            client = httpx2.AsyncClient(timeout=self._push_seconds, limits=limits, trust_env=False)
            async with client, asyncio.TaskGroup() as group:
                group.create_task(self._purging())
                await self._dispatch(client)
        finally:
            await asyncio.to_thread(self._outbox.release, self._lease)
            await asyncio.to_thread(self._outbox.close)

    async def _dispatch(self, client: httpx2.AsyncClient) -> None:
        working: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                room = self._concurrency - len(working)
                letters = await self._claim(room) if room else []
                for letter in letters:
                    task = group.create_task(self._deliver(client, letter))
                    working.add(task)
                    task.add_done_callback(working.discard)
                if working and not (room and letters):
                    # A key's next message can go as soon as the one before it is through.
                    await asyncio.wait(working, timeout=self._poll, return_when=asyncio.FIRST_COMPLETED)
                elif not letters:
                    await asyncio.sleep(self._poll)

    async def _purging(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._outbox.purge)
            except sqlite3.Error as error:
                log.warning("bus_unavailable", extra={"why": str(error)})
            await asyncio.sleep(PURGE_SECONDS)

    async def _claim(self, room: int) -> list[Letter]:
        seconds = self._push_seconds + LEASE_MARGIN_SECONDS
        try:
            return await asyncio.to_thread(self._outbox.claim, self._lease, seconds=seconds, limit=room)
        except sqlite3.Error as error:  # the file is busy or the disk full: what waits there goes on waiting
            log.warning("bus_unavailable", extra={"why": str(error)})
            return []

    async def _deliver(self, client: httpx2.AsyncClient, letter: Letter) -> None:
        why = await self._push(client, letter)
        try:
            await self._note(letter, why)
        except sqlite3.Error as error:  # delivered or not, it comes again when the lease has run out
            log.warning("bus_unavailable", extra={"n": letter.n, "why": str(error)})

    async def _note(self, letter: Letter, why: str | None) -> None:
        """Write down how the delivery went."""
        if why is None:
            await asyncio.to_thread(self._outbox.acknowledge, self._lease, letter.n)
            return
        tries = letter.attempts + 1
        if tries >= self._max_attempts:
            log.error("bus_dead_letter", extra={**_ids(letter), "attempts": tries, "why": why})
            await asyncio.to_thread(self._outbox.bury, self._lease, letter.n, why=why)
            return
        log.warning("bus_redelivery", extra={**_ids(letter), "attempts": tries, "why": why})
        wait = delay(tries, base=self._base, cap=self._cap, rand=self._rand)
        await asyncio.to_thread(self._outbox.retry, self._lease, letter.n, after=wait)

    async def _push(self, client: httpx2.AsyncClient, letter: Letter) -> str | None:
        """None when acknowledged, else why not."""
        body = push_body(
            letter.data,
            letter.attributes,
            message_id=str(letter.n),
            publish_time=letter.published_at,
            ordering_key=letter.ordering_key,
        )
        try:
            async with asyncio.timeout(self._push_seconds):
                response = await client.post(self._url, json=body, headers=self._headers)
        except (httpx2.HTTPError, TimeoutError) as error:
            return type(error).__name__
        return None if response.is_success else f"HTTP {response.status_code}"


def _ids(letter: Letter) -> dict[str, object]:
    """What a line of the log says of a message."""
    about = {"news": letter.attributes.get("id"), "kind": letter.attributes.get("type")}
    return {"n": letter.n, **about, "source": letter.attributes.get("source"), "key": letter.ordering_key}
