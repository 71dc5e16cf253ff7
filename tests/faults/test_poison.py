"""F18: news that cannot be applied goes aside after its deliveries, the other calls flow, and once what was wrong is
mended a replay makes the log complete. On both buses, with the real applier behind them."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from realtime.bus.embedded import Dispatcher, EmbeddedBus
from realtime.bus.envelope import open_push
from realtime.bus.port import DEAD, SUBSCRIPTION, TOPIC, Bus, BusMessage
from realtime.bus.pubsub import PubSubBus
from realtime.bus.undelivered import DeadTopic, Undelivered
from realtime.call import Call
from realtime.dead_letters import Letters, Place
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from tests.functions.apps import app_of
from tests.functions.conftest import embedded
from tests.functions.test_apply_call_event import status
from tests.realtime.buses import embedded_bus, pubsub_bus

__all__ = ["embedded"]
pytestmark = pytest.mark.anyio
DELIVERIES = 5


class Poisoned:
    """In front of the applier: while `broken`, news of this call makes it fail."""

    def __init__(self, call_sid: str) -> None:
        self.broken, self.refused = True, 0
        self.came: list[str] = []
        """What was pushed of this call, each time it was."""
        self._call_sid = call_sid
        self._app = app_of("apply_call_event")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body = Request(environ).get_data()
        message = open_push(json.loads(body))
        ours = message.keys.get("call_sid") == self._call_sid
        if ours:
            self.came.append(str(message.data["CallStatus"]))
        if self.broken and ours:
            self.refused += 1
            return Response("a bug", 500)(environ, start_response)
        answer = self._app.test_client().post("/", data=body, content_type="application/json")
        return Response(answer.data, answer.status_code)(environ, start_response)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def buses(kind: str, folder: Path, url: str, emulator: str | None) -> AsyncIterator[tuple[Bus, Place]]:
    if kind == "embedded":
        path = folder / "bus.db"
        bus = EmbeddedBus(path)
        delivery = Dispatcher(path, url, poll_seconds=0.01, backoff=(0.01, 0.02), max_attempts=DELIVERIES)
        running = asyncio.create_task(delivery.run())
        try:
            yield bus, Undelivered(path)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await bus.aclose()
        return
    assert emulator is not None
    project = f"demo-{uuid.uuid4().hex[:8]}"
    close = await asyncio.to_thread(wired, emulator, project, url)
    cloud, dead = PubSubBus(project, emulator_host=emulator), DeadTopic(project, emulator_host=emulator)
    try:
        yield cloud, dead
    finally:
        await dead.aclose()
        await cloud.aclose()
        await asyncio.to_thread(close)


def wired(host: str, project: str, url: str) -> Callable[[], None]:
    """Topics and subscriptions as they are deployed, with few deliveries; but the emulator sets nothing aside on a
    subscription that keeps the order, so this one does not."""
    import grpc
    from google.pubsub_v1.services.publisher import PublisherClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.subscriber import SubscriberClient
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    channel = grpc.insecure_channel(host)
    publisher: Any = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    subscriber: Any = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    topics = {name: f"projects/{project}/topics/{name}" for name in (TOPIC, DEAD)}
    names = [f"projects/{project}/subscriptions/{name}" for name in (SUBSCRIPTION, DEAD)]
    for topic in topics.values():
        publisher.create_topic(request={"name": topic})
    apply: dict[str, Any] = {
        "name": names[0],
        "topic": topics[TOPIC],
        "push_config": {"push_endpoint": url},
        "ack_deadline_seconds": 10,
        "retry_policy": {"minimum_backoff": timedelta(milliseconds=100), "maximum_backoff": timedelta(seconds=1)},
        "dead_letter_policy": {"dead_letter_topic": topics[DEAD], "max_delivery_attempts": DELIVERIES},
    }
    subscriber.create_subscription(request=apply)
    dead: dict[str, Any] = {"name": names[1], "topic": topics[DEAD], "ack_deadline_seconds": 10}
    subscriber.create_subscription(request=dead)

    def close() -> None:
        for name in names:
            subscriber.delete_subscription(request={"subscription": name})
        channel.close()

    return close


def news(word: str, call_sid: str) -> BusMessage:
    message = status(word, call_sid)
    return BusMessage(
        f"{call_sid}:{word}", "twilio", "status", {"call_sid": call_sid}, message.occurred_at, message.data
    )


@pytest.mark.parametrize("kind", ["embedded", pytest.param("pubsub", marks=[pytest.mark.emulator, pytest.mark.long])])
async def test_f18_poison_goes_aside_and_comes_back_by_replay(
    kind: str, embedded: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    emulator = request.getfixturevalue("pubsub_emulator") if kind == "pubsub" else None
    store = EmbeddedStore(embedded)
    journal = Journal(store)
    for call_sid in ("CA1", "CA2"):
        await journal.open(Call(call_id=call_sid, call_sid=call_sid))
    gate = Poisoned("CA1")
    with serving(gate) as url:
        async with buses(kind, tmp_path, url, emulator) as (bus, place):
            letters = Letters([place])
            await bus.publish(news("ringing", "CA1"))
            for word in ("ringing", "in-progress", "completed"):
                await bus.publish(news(word, "CA2"))

            async def told(call_sid: str) -> list[Any]:
                return [event.data.get("status") for event in await Journal(store).events(call_sid)]

            await until(
                lambda: told("CA2"), ["in_progress", "completed", None], ["ringing", "in_progress", "completed", None]
            )
            assert await told("CA1") == []

            async def aside() -> list[str | None]:
                return [letter.news for letter in await letters.all()]

            await until(aside, ["CA1:ringing"])
            assert gate.refused >= DELIVERIES
            gate.broken = False
            await bus.publish(news("completed", "CA1"))
            await until(lambda: told("CA1"), ["completed", None])
            (letter,) = await letters.all()
            assert letter.why.startswith(("HTTP 500", "not acknowledged"))
            await letters.replay(letter.id, bus)
            await until(aside, [])
            await bus.publish(news("busy", "CA1"))  # behind the replayed one, in its order
            await asyncio.sleep(0.2)
            assert await told("CA1") == ["completed", None], "a status never goes back"
    await store.aclose()


@pytest.mark.parametrize("kind", ["embedded", pytest.param("pubsub", marks=pytest.mark.emulator)])
async def test_f18_what_follows_poison_in_its_order_waits_for_it(
    kind: str, embedded: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """On a subscription that keeps the order nothing overtakes news that fails; the other calls flow."""
    emulator = request.getfixturevalue("pubsub_emulator") if kind == "pubsub" else None
    open_bus = pubsub_bus(emulator) if emulator else embedded_bus(tmp_path)
    store = EmbeddedStore(embedded)
    for call_sid in ("CA1", "CA2"):
        await Journal(store).open(Call(call_id=call_sid, call_sid=call_sid))
    gate = Poisoned("CA1")

    async def told(call_sid: str) -> list[Any]:
        return [event.data.get("status") for event in await Journal(store).events(call_sid)]

    words = ("ringing", "in-progress", "completed")
    with serving(gate) as url:
        async with open_bus(url) as bus:
            for word in words:
                await bus.publish(news(word, "CA1"))
            for word in words:
                await bus.publish(news(word, "CA2"))
            await until(lambda: told("CA2"), ["ringing", "in_progress", "completed", None])

            async def refused() -> bool:
                return gate.refused >= 3

            await until(refused, True)
            assert set(gate.came) == {"ringing"}, "delivered again and again, and nothing else of this call"
            assert await told("CA1") == []
            gate.broken = False
            await until(lambda: told("CA1"), ["ringing", "in_progress", "completed", None])
            first_of = [gate.came.index(word) for word in words]
            assert first_of == sorted(first_of)
    await store.aclose()


async def until(look: Callable[[], Any], *wanted: Any) -> None:
    """What another process brings about has no event of its own here."""
    async with asyncio.timeout(60):
        while (seen := await look()) not in wanted:
            await asyncio.sleep(0.1)
    assert seen in wanted
