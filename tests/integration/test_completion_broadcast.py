"""A signed post-call webhook completes a hosted call in front of everyone who watches it.

The whole way, on the embedded parts and on the emulators: the webhook function, the bus with its push, the applier
function (both real functions-framework apps), the store, and the hub of a gateway that shares nothing with them but
the store.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask
import pytest

from functions import publisher, runtime
from functions.applier import Applier
from realtime.bus.embedded import Dispatcher, EmbeddedBus
from realtime.bus.port import Bus, BusMessage
from realtime.bus.pubsub import PubSubBus
from realtime.call import Call, Status
from realtime.events import Event, EventType
from realtime.hub import Ended, Hub, Subscription
from realtime.join import join
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import DocumentStore
from tests.functions.apps import SECRET, app_of, deliver, failure, serving, transcription
from tests.realtime.buses import wire_pubsub

pytestmark = pytest.mark.anyio
CALL = Call(call_id="EL_driver7_20261120T100000000Z", hosted=True, direction="outbound", status=Status.INITIATED)
SECONDS = 30.0


@dataclass
class Gateway:
    """What a gateway has: a journal, a bus and a hub; and beside it, the webhook of the functions."""

    journal: Journal
    bus: Bus
    hub: Hub
    webhook: flask.Flask

    async def post(self, payload: dict[str, Any]) -> int:
        status, _ = await asyncio.to_thread(deliver, self.webhook, payload)
        return status

    async def placed(self, **ids: str) -> Call:
        """A hosted call was placed: it is in the journal, and its ids are known."""
        call = await self.journal.open(CALL)
        if ids:
            call = (await self.journal.append(call.call_id, [], change=ids)).call
        await join(self.journal, self.bus, call)
        return call

    async def completed(self) -> Call:
        """Wait for the end of the call, without anybody watching it."""
        async with asyncio.timeout(SECONDS):
            while True:
                call = await self.journal.find(CALL.call_id)
                if call is not None and call.status.terminal:
                    return call
                await asyncio.sleep(0.02)


@pytest.fixture(params=["embedded", pytest.param("emulators", marks=pytest.mark.emulator)])
async def gateway(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    monkeypatch.setenv("ELEVENLABS_WEBHOOK_SECRET", SECRET)
    parts: Parts = _embedded(tmp_path) if request.param == "embedded" else _emulators(request)
    for name, value in parts.environment.items():
        monkeypatch.setenv(name, value)
    try:
        with serving(app_of("apply_call_event")) as push_url:
            async with parts.delivering(push_url):
                store, bus = parts.store(), parts.bus()
                journal = Journal(store)
                hub = Hub(journal, store.feed(), linger=0.0)
                running = asyncio.create_task(hub.run())
                try:
                    yield Gateway(journal, bus, hub, app_of("elevenlabs_webhook"))
                finally:
                    running.cancel()
                    await asyncio.gather(running, return_exceptions=True)
                    await bus.aclose()
                    await store.aclose()
    finally:
        await asyncio.to_thread(runtime.close_all)
        publisher.close_all()


@dataclass
class Parts:
    environment: dict[str, str]
    store: Callable[[], DocumentStore]
    bus: Callable[[], Bus]
    delivering: Callable[[str], Any]


def _embedded(folder: Path) -> Parts:
    path = folder / "callboard.db"

    @asynccontextmanager
    async def delivering(push_url: str) -> AsyncIterator[None]:
        dispatcher = asyncio.create_task(Dispatcher(path, push_url, poll_seconds=0.01, backoff=(0.02, 0.1)).run())
        try:
            yield
        finally:
            dispatcher.cancel()
            await asyncio.gather(dispatcher, return_exceptions=True)

    environment = {"CALLBOARD_STORE": "embedded", "CALLBOARD_BUS": "embedded", "CALLBOARD_DATA_DIR": str(folder)}
    return Parts(environment, lambda: EmbeddedStore(path), lambda: EmbeddedBus(path), delivering)


def _emulators(request: pytest.FixtureRequest) -> Parts:
    firestore: str = request.getfixturevalue("firestore_emulator")
    pubsub: str = request.getfixturevalue("pubsub_emulator")
    project = f"demo-{secrets.token_hex(6)}"

    @asynccontextmanager
    async def delivering(push_url: str) -> AsyncIterator[None]:
        close = await asyncio.to_thread(wire_pubsub, pubsub, project, push_url)
        try:
            yield
        finally:
            await asyncio.to_thread(close)

    environment = {
        "CALLBOARD_STORE": "firestore",
        "CALLBOARD_BUS": "pubsub",
        "GOOGLE_CLOUD_PROJECT": project,
        "FIRESTORE_EMULATOR_HOST": firestore,
        "PUBSUB_EMULATOR_HOST": pubsub,
    }
    return Parts(
        environment,
        lambda: FirestoreStore(project, emulator_host=firestore),
        lambda: PubSubBus(project, emulator_host=pubsub),
        delivering,
    )


async def all_of(subscription: Subscription) -> list[Event]:
    """Everything up to the end of the subscription."""
    async with asyncio.timeout(SECONDS):
        return [item async for item in subscription if isinstance(item, Event)]


def assert_the_two_messages(events: list[Event], call: Call, payload: dict[str, Any]) -> None:
    assert [event.type for event in events[-2:]] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    status, completed = events[-2:]
    assert status.data["status"] == "completed"
    assert status.data["call_end_time"] == "2026-11-20T17:59:21.000Z"
    record = completed.data["call_data"]
    assert record["call_id"] == call.call_id
    assert (record["call_sid"], record["conversation_id"]) == ("CA1", "conv_1")
    assert (record["status"], record["call_end_time"]) == ("completed", status.data["call_end_time"])
    assert record["transcript"] == payload["data"]["transcript"]
    assert record["analysis_data"] == payload["data"]["analysis"]
    assert record["metadata"] == payload["data"]["metadata"]
    assert record["duration_secs"] == 61


async def test_a_webhook_reaches_every_watcher_as_two_messages_in_order(gateway: Gateway) -> None:
    by_sid, by_conversation = (gateway.hub.subscribe(key, org="default") for key in ("CA1", "conv_1"))
    call = await gateway.placed(call_sid="CA1", conversation_id="conv_1")
    payload = transcription()
    assert await gateway.post(payload) == 200
    for subscription in (by_sid, by_conversation):
        assert_the_two_messages(await all_of(subscription), call, payload)
        assert subscription.reason is Ended.COMPLETED
    assert gateway.hub.subscriptions == {}


async def test_the_same_webhook_again_and_again_completes_the_call_once(gateway: Gateway) -> None:
    everything = gateway.hub.subscribe("*", org="default")
    await gateway.placed(call_sid="CA1", conversation_id="conv_1")
    for _ in range(4):
        assert await gateway.post(transcription()) == 200
    await gateway.post({**transcription("conv_2", "CA2", user_id=CALL.call_id), "event_timestamp": 1795197999})
    call = await gateway.completed()
    await asyncio.sleep(0.3)
    events = await gateway.journal.events(call.call_id)
    assert [event.type for event in events] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]
    seen = [await anext(everything) for _ in range(2)]
    assert [item.seq for item in seen if isinstance(item, Event)] == [1, 2]


async def test_nobody_watching_changes_nothing_for_the_webhook(gateway: Gateway) -> None:
    await gateway.placed(call_sid="CA1", conversation_id="conv_1")
    assert await gateway.post(transcription()) == 200
    call = await gateway.completed()
    assert call.analysis is not None
    assert call.analysis["call_successful"] == "success"
    late = gateway.hub.subscribe("conv_1", org="default")
    assert_the_two_messages(await all_of(late), call, transcription())
    assert gateway.hub.subscriptions == {}


async def test_a_relay_that_throws_does_not_change_the_answer_and_is_tried_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = iter(range(2))
    apply = Applier.apply

    async def trip(self: Applier, message: BusMessage) -> str:
        if next(trips, None) is not None:
            raise RuntimeError("the relay throws")
        return await apply(self, message)

    monkeypatch.setattr(Applier, "apply", trip)
    by_sid, by_conversation = (gateway.hub.subscribe(key, org="default") for key in ("CA1", "conv_1"))
    call = await gateway.placed(call_sid="CA1", conversation_id="conv_1")
    assert await gateway.post(transcription()) == 200
    for subscription in (by_sid, by_conversation):
        assert_the_two_messages(await all_of(subscription), call, transcription())
    assert next(trips, None) is None
    assert gateway.hub.subscriptions == {}


async def test_a_broadcast_that_throws_does_not_change_the_answer(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One watcher's mailbox is broken: the webhook is answered, the journal is whole, and whoever comes is served."""
    broken = gateway.hub.subscribe("CA1", org="default")

    def trip(*_: object, **__: object) -> bool:
        raise RuntimeError("the broadcast throws")

    monkeypatch.setattr(broken, "put", trip)
    call = await gateway.placed(call_sid="CA1", conversation_id="conv_1")
    assert await gateway.post(transcription()) == 200
    assert (await gateway.completed()).status is Status.COMPLETED
    by_conversation = gateway.hub.subscribe("conv_1", org="default")
    assert_the_two_messages(await all_of(by_conversation), call, transcription())
    assert await all_of(broken) == []
    assert broken.reason is Ended.FAILED
    assert gateway.hub.subscriptions == {}


async def test_a_webhook_that_comes_before_its_call_is_joined_to_it(gateway: Gateway) -> None:
    by_sid, by_conversation = (gateway.hub.subscribe(key, org="default") for key in ("CA1", "conv_1"))
    assert await gateway.post(transcription()) == 200
    waiting = Call(call_id="none", conversation_id="conv_1")
    deadline = time.monotonic() + SECONDS
    while not await gateway.journal.parked(waiting):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert gateway.hub.subscriptions == {"CA1": 1, "conv_1": 1}
    call = await gateway.placed(conversation_id="conv_1")  # its CallSid comes with the webhook
    for subscription in (by_sid, by_conversation):
        assert_the_two_messages(await all_of(subscription), call, transcription())
    assert await gateway.journal.parked(waiting) == []
    assert gateway.hub.subscriptions == {}


async def test_a_call_that_could_not_be_placed_ends_as_what_it_was(gateway: Gateway) -> None:
    watching = gateway.hub.subscribe("conv_1", org="default")
    await gateway.placed(conversation_id="conv_1")
    assert await gateway.post(failure(reason="no-answer")) == 200
    status, completed = await all_of(watching)
    assert status.data["status"] == "no_answer"
    record = completed.data["call_data"]
    assert (record["status"], record["transcript"], record["analysis_data"]) == ("no_answer", None, None)
    assert record["metadata"]["body"]["CallStatus"] == "busy"
    assert record["failure_reason"] == "no-answer"
