"""Both buses behind one face for the contract: how to publish, and a running push delivery to a URL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtime.bus.embedded import Dispatcher, EmbeddedBus
from realtime.bus.port import SUBSCRIPTION, TOPIC, Bus

if TYPE_CHECKING:
    from google.pubsub_v1.types import Subscription

OpenBus = Callable[[str], AbstractAsyncContextManager[Bus]]
"""push URL -> a bus whose news is pushed there while the context lasts."""


def embedded_bus(folder: Path) -> OpenBus:
    @asynccontextmanager
    async def opened(push_url: str) -> AsyncIterator[Bus]:
        path = folder / "bus.db"
        bus = EmbeddedBus(path)
        delivery = Dispatcher(path, push_url, poll_seconds=0.01, backoff=(0.02, 0.1))
        running = asyncio.create_task(delivery.run())
        try:
            yield bus
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await bus.aclose()

    return opened


def pubsub_bus(host: str) -> OpenBus:
    @asynccontextmanager
    async def opened(push_url: str) -> AsyncIterator[Bus]:
        from realtime.bus.pubsub import PubSubBus

        project = f"demo-{uuid.uuid4().hex[:8]}"
        close = await asyncio.to_thread(wire_pubsub, host, project, push_url)
        bus = PubSubBus(project, emulator_host=host)
        try:
            yield bus
        finally:
            await bus.aclose()
            await asyncio.to_thread(close)

    return opened


def wire_pubsub(
    host: str, project: str, push_url: str, *, topic: str = TOPIC, subscription: str = SUBSCRIPTION
) -> Callable[[], None]:
    """Topic and ordered push subscription in the emulator; the result removes the subscription."""
    import grpc
    from google.pubsub_v1.services.publisher import PublisherClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.subscriber import SubscriberClient
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    channel = grpc.insecure_channel(host)
    publisher: Any = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    subscriber: Any = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    topic = f"projects/{project}/topics/{topic}"
    publisher.create_topic(request={"name": topic})
    wanted: dict[str, Any] = {
        "name": f"projects/{project}/subscriptions/{subscription}",
        "topic": topic,
        "push_config": {"push_endpoint": push_url},
        "enable_message_ordering": True,
        "ack_deadline_seconds": 10,
        "retry_policy": {"minimum_backoff": timedelta(milliseconds=100), "maximum_backoff": timedelta(seconds=1)},
    }
    made: Subscription = subscriber.create_subscription(request=wanted)

    def close() -> None:
        subscriber.delete_subscription(request={"subscription": made.name})
        channel.close()

    return close
