"""One contract, both buses: the embedded one, and the real Pub/Sub emulator with a push subscription."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from realtime.bus.port import SUBSCRIPTION, BusMessage
from tests.realtime.buses import OpenBus, embedded_bus, pubsub_bus
from tests.realtime.push import applier


@pytest.fixture(params=["embedded", pytest.param("pubsub", marks=pytest.mark.emulator)])
def open_bus(request: pytest.FixtureRequest, tmp_path: Path) -> OpenBus:
    if request.param == "embedded":
        return embedded_bus(tmp_path)
    return pubsub_bus(request.getfixturevalue("pubsub_emulator"))


def news(key: str, n: int) -> BusMessage:
    return BusMessage(
        f"{key}:{n}", "test", "tick", {"conversation_id": key}, "2026-11-20T10:00:00.000Z", {"n": n, "said": "Grüße ☎"}
    )


@pytest.mark.anyio
async def test_a_push_is_the_pubsub_envelope_with_the_message_in_it(open_bus: OpenBus) -> None:
    with applier() as there:
        async with open_bus(there.url) as bus:
            await bus.publish(news("conv_1", 1))
            await asyncio.to_thread(there.wait, lambda a: bool(a.got))
    body = there.bodies[0]
    assert there.got[0][0] == news("conv_1", 1)
    assert json.loads(base64.b64decode(body["message"]["data"])) == news("conv_1", 1).to_dict()
    assert body["message"]["attributes"] == {"id": "conv_1:1", "source": "test", "type": "tick"}
    assert body["message"].get("orderingKey", "conv_1") == "conv_1"  # the emulator leaves it out
    assert body["message"]["messageId"]
    assert body["message"]["publishTime"].endswith("Z")
    assert body["subscription"].endswith(f"/subscriptions/{SUBSCRIPTION}")


@pytest.mark.anyio
@pytest.mark.parametrize("status", [500, 404, 302])
async def test_what_is_not_acknowledged_comes_again(open_bus: OpenBus, status: int) -> None:
    with applier() as there:
        there.answer = lambda _message, times: status if times < 3 else 204
        async with open_bus(there.url) as bus:
            await bus.publish(news("conv_1", 1))
            await asyncio.to_thread(there.wait, lambda a: bool(a.acknowledged()))
    assert [answered for _, answered in there.got] == [status, status, 204]
    assert len({body["message"]["messageId"] for body in there.bodies}) == 1


@pytest.mark.anyio
async def test_order_holds_per_key_and_a_stuck_key_does_not_hold_up_another(open_bus: OpenBus) -> None:
    with applier() as there:
        released = asyncio.Event()
        there.answer = lambda m, _times: 503 if m.id == "stuck:0" and not released.is_set() else 204
        async with open_bus(there.url) as bus:
            for n in range(8):
                await bus.publish(news("stuck", n))
                await bus.publish(news("free", n))
            await asyncio.to_thread(there.wait, lambda a: "free:7" in a.acknowledged())
            assert not [id for id in there.acknowledged() if id.startswith("stuck")]
            released.set()
            await asyncio.to_thread(there.wait, lambda a: "stuck:7" in a.acknowledged())
    acknowledged = list(dict.fromkeys(there.acknowledged()))
    for key in ("stuck", "free"):
        assert [id for id in acknowledged if id.startswith(key)] == [f"{key}:{n}" for n in range(8)]


@pytest.mark.anyio
async def test_the_same_news_published_twice_is_delivered_with_the_same_id(open_bus: OpenBus) -> None:
    """The bus does not deduplicate: the applier does, by the id of the news, not by the id of the delivery."""
    with applier() as there:
        async with open_bus(there.url) as bus:
            await bus.publish(news("conv_1", 1))
            await bus.publish(news("conv_1", 1))
            await asyncio.to_thread(there.wait, lambda a: len(a.got) >= 2)
    assert {message.id for message, _ in there.got} == {"conv_1:1"}
    assert len({body["message"]["messageId"] for body in there.bodies}) == 2


@pytest.mark.anyio
async def test_concurrent_publishers_of_one_key_lose_nothing(open_bus: OpenBus) -> None:
    with applier() as there:
        async with open_bus(there.url) as bus:
            async with asyncio.TaskGroup() as group:
                for n in range(20):
                    group.create_task(bus.publish(news("conv_1", n)))
            await asyncio.to_thread(there.wait, lambda a: len(set(a.acknowledged())) == 20)
