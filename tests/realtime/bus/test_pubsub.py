"""The Pub/Sub publisher when Pub/Sub fails: retries, paused keys, deadlines, order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from realtime.bus.port import BusMessage, PublishFailed
from realtime.bus.pubsub import PubSubBus
from tests.realtime.buses import wire_pubsub

pytestmark = pytest.mark.anyio
TOPIC = "projects/p/topics/callboard-events"


def news(key: str, n: int) -> BusMessage:
    return BusMessage(f"{key}:{n}", "test", "tick", {"conversation_id": key}, "2026-11-20T10:00:00.000Z")


class Client:
    """Google's client as far as it is used: a failed publish pauses its key until it is resumed."""

    def __init__(self, fate: Callable[[str, int], Exception | str | None] = lambda _id, _times: None) -> None:
        self.fate = fate
        self.calls: list[str] = []
        self.took: list[str] = []
        self.paused: set[str] = set()
        self.stopped = 0
        self.transport = self

    def publish(self, topic: str, data: bytes, ordering_key: str, **options: Any) -> Future[str]:
        assert (topic, options["retry"]) == (TOPIC, None)
        future: Future[str] = Future()
        id = options["id"]
        self.calls.append(id)
        fate = self.fate(id, self.calls.count(id))
        if ordering_key in self.paused:
            future.set_exception(RuntimeError("the key is paused"))
        elif isinstance(fate, Exception):
            self.paused.add(ordering_key)
            future.set_exception(fate)
        elif fate is None:
            self.took.append(id)
            future.set_result("1")
        return future

    def resume_publish(self, topic: str, ordering_key: str) -> None:
        assert topic == TOPIC
        if ordering_key not in self.paused:
            raise RuntimeError("Ordering key is not paused.")
        self.paused.discard(ordering_key)

    def stop(self) -> None:
        self.stopped += 1

    def close(self) -> None:
        """The transport's."""


def bus_of(client: Client, **options: Any) -> PubSubBus:
    return PubSubBus("p", client=lambda: client, rand=lambda: 0.0, **options)


async def test_a_failed_publish_is_resumed_and_tried_again_in_order() -> None:
    client = Client(lambda id, times: ConnectionError() if id == "a:0" and times < 3 else None)
    bus = bus_of(client)
    await asyncio.gather(*(bus.publish(news("a", n)) for n in range(4)), bus.publish(news("b", 0)))
    assert [id for id in client.took if id.startswith("a")] == ["a:0", "a:1", "a:2", "a:3"]
    assert client.calls.count("a:0") == 3
    assert client.took[0] == "b:0"  # another key is not held up
    assert bus._keys == {}


@pytest.mark.parametrize("fate", [ConnectionError("refused"), "never"])
async def test_at_the_deadline_it_is_said_and_the_key_works_again_later(fate: Exception | str) -> None:
    client = Client(lambda id, _times: fate if id == "a:0" else None)
    bus = bus_of(client, deadline=0.2, attempt_seconds=0.05)
    with pytest.raises(PublishFailed, match="a:0"):
        await bus.publish(news("a", 0))
    await bus.publish(news("a", 1))
    assert client.took == ["a:1"]


async def test_what_pubsub_will_never_take_is_not_tried_again() -> None:
    client = Client(lambda _id, _times: ValueError("too large"))
    with pytest.raises(PublishFailed, match="never"):
        await bus_of(client).publish(news("a", 0))
    assert client.calls == ["a:0"]


async def test_a_client_that_cannot_be_built_is_a_publish_that_failed() -> None:
    def build() -> Any:
        raise OSError("no credentials")

    bus = PubSubBus("p", client=build, deadline=0.1)
    with pytest.raises(PublishFailed, match="OSError"):
        await bus.publish(news("a", 0))
    await bus.aclose()


async def test_closing_flushes_once() -> None:
    client = Client()
    bus = bus_of(client)
    await bus.publish(news("a", 0))
    await bus.aclose()
    await bus.aclose()
    assert client.stopped == 1
    with pytest.raises(PublishFailed):
        await bus.publish(news("a", 1))


async def test_nobody_listening_is_a_publish_that_failed_in_time() -> None:
    bus = PubSubBus("p", emulator_host="127.0.0.1:9", deadline=1.0, attempt_seconds=0.4)
    async with asyncio.timeout(5):
        with pytest.raises(PublishFailed):
            await bus.publish(news("a", 0))
    await bus.aclose()


@pytest.mark.emulator
async def test_the_real_client_publishes_at_once_however_often(pubsub_emulator: str) -> None:
    """The library refuses to resume a key that is not paused: that must not cost a retry."""
    project = f"demo-{uuid.uuid4().hex[:8]}"
    close = await asyncio.to_thread(wire_pubsub, pubsub_emulator, project, "http://127.0.0.1:9/")
    bus = PubSubBus(project, emulator_host=pubsub_emulator)
    attempts: list[str] = []
    attempt = bus._attempt

    async def counted(key: str, data: bytes, attributes: dict[str, str]) -> None:
        attempts.append(key)
        await attempt(key, data, attributes)

    bus._attempt = counted  # type: ignore[method-assign]
    for n in range(10):
        await bus.publish(news("a", n))
    assert len(attempts) == 10
    await bus.aclose()
    await asyncio.to_thread(close)
