"""Publishing to Google Pub/Sub from the event loop (the gateway)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from realtime.backoff import Random, delay
from realtime.bus.envelope import encode
from realtime.bus.port import TOPIC, BusMessage, PublishFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)


def _google_client(emulator_host: str | None) -> Any:
    """A publisher client; blocking (imports, credentials), so build it in a worker thread.

    No batching delay: news is rare and somebody waits for each one's confirmation.
    """
    import grpc
    from google.cloud.pubsub_v1 import PublisherClient, types
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    settings = {
        "batch_settings": types.BatchSettings(max_latency=0),
        "publisher_options": types.PublisherOptions(enable_message_ordering=True),
    }
    if emulator_host:
        channel = grpc.insecure_channel(emulator_host)
        return PublisherClient(transport=PublisherGrpcTransport(channel=channel), **settings)
    return PublisherClient(**settings)


class PubSubBus:
    """Publishes with ordering keys and waits for Pub/Sub's confirmation, off the loop.

    One publish per ordering key is under way at a time: the library fails everything of a key that stands behind a
    failed publish and pauses the key, so a retry of several at once could change their order.
    """

    def __init__(
        self,
        project: str,
        topic: str = TOPIC,
        *,
        emulator_host: str | None = None,
        deadline: float = 10.0,
        attempt_seconds: float = 4.0,
        client: Callable[[], Any] | None = None,
        rand: Random = random.random,
    ) -> None:
        """`deadline` bounds a whole `publish`, `attempt_seconds` one RPC of it. `client` builds the library's client
        (blocking; called once, in a thread)."""
        self._topic = f"projects/{project}/topics/{topic}"
        self._deadline = deadline
        self._attempt_seconds = attempt_seconds
        self._build = client or (lambda: _google_client(emulator_host))
        self._rand = rand
        self._client: Any = None
        self._closed = False
        self._building = asyncio.Lock()
        self._keys: dict[str, tuple[asyncio.Lock, int]] = {}

    async def publish(self, message: BusMessage) -> None:
        """Returns when Pub/Sub has confirmed the message. Raises PublishFailed at the deadline."""
        data, attributes = encode(message)
        key = message.ordering_key
        why = "no answer"
        try:
            async with asyncio.timeout(self._deadline), self._turn(key):
                attempt = 0
                while True:
                    attempt += 1
                    try:
                        await self._attempt(key, data, attributes)
                        return
                    except Exception as error:  # the library raises what gRPC, it and the credentials raise
                        why = type(error).__name__
                        if isinstance(error, ValueError):
                            raise PublishFailed(f"Pub/Sub will never take {message.id}: {why}") from error
                        log.warning("publish_retry", extra={"news": message.id, "attempt": attempt, "why": why})
                    await asyncio.sleep(delay(attempt, base=0.1, cap=2.0, rand=self._rand))
        except TimeoutError as error:
            raise PublishFailed(f"Pub/Sub did not take {message.id} in {self._deadline:g} s: {why}") from error

    async def aclose(self) -> None:
        """Flush and let go; safe to call twice."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            async with asyncio.timeout(self._deadline):
                await asyncio.to_thread(client.stop)
                await asyncio.to_thread(client.transport.close)

    async def _attempt(self, key: str, data: bytes, attributes: dict[str, str]) -> None:
        client = await self._connected()

        # retry=None: with ordering on, the library would otherwise retry for ever; the deadline here is ours.
        def send() -> Any:
            with suppress(RuntimeError):  # the key is not paused: nothing to resume
                client.resume_publish(self._topic, key)  # a publish that failed has paused it, maybe long after
            return client.publish(self._topic, data, key, retry=None, timeout=self._attempt_seconds, **attributes)

        async with asyncio.timeout(self._attempt_seconds + 1):
            await asyncio.wrap_future(await asyncio.to_thread(send))

    async def _connected(self) -> Any:
        async with self._building:
            if self._closed:
                raise ValueError("this bus is closed")
            if self._client is None:
                self._client = await asyncio.to_thread(self._build)
            return self._client

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        lock, users = self._keys.get(key, (asyncio.Lock(), 0))
        self._keys[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._keys.pop(key)
            if users > 1:
                self._keys[key] = (lock, users - 1)
