"""Dead letters: kept, listed, shown, published again, forgotten."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from realtime import dead_letters
from realtime.bus.envelope import encode, push_body
from realtime.bus.outbox import Outbox
from realtime.bus.port import BusMessage, PublishFailed
from realtime.bus.undelivered import Undelivered
from realtime.clock import iso
from realtime.dead_letters import KeptAside, Letters, NoLetter, NotNews
from realtime.stores.port import DocumentStore, Query
from tests.media_gateway.harness import NotedBus
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEWS = BusMessage("n1", "elevenlabs", "something_new", {"conversation_id": "conv_1"}, iso(NOON), {"a": "é"})


def pushed(message: BusMessage) -> str:
    data, attributes = encode(message)
    return json.dumps(push_body(data, attributes, message_id="1", publish_time="t", ordering_key="k"))


async def kept(store: DocumentStore, raw: str, message: BusMessage | None = None, *, later: int = 0) -> None:
    now = NOON + timedelta(seconds=later)
    await dead_letters.keep(store, raw, "nobody knows it", message, now=now, expire_at=iso(NOON))


@pytest.mark.parametrize("kind", BOTH)
async def test_what_was_kept_aside(kind: str, request: pytest.FixtureRequest) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        letters, bus = Letters([KeptAside(store)]), NotedBus()
        await kept(store, pushed(NEWS), NEWS)
        await kept(store, pushed(NEWS), NEWS)  # the same again
        await kept(store, "no JSON at all " * 30_000, later=1)
        first, second = await letters.all()
        assert (first.news, first.source, first.type, first.keys) == ("n1", "elevenlabs", "something_new", NEWS.keys)
        assert (second.news, second.why, second.where) == (None, "nobody knows it", "kept aside")
        assert await letters.show(second.id) == "no JSON at all " * 30_000
        with pytest.raises(NotNews):
            await letters.replay(second.id, bus)
        bus.broken = True
        with pytest.raises(PublishFailed):
            await letters.replay(first.id, bus)
        assert len(await letters.all()) == 2, "what could not be published stays"
        bus.broken = False
        assert await letters.replay(first.id, bus) == NEWS
        assert bus.messages == [NEWS]
        await letters.forget(second.id)
        assert await letters.all() == []
        assert await store.query(Query(f"dead_letters/{second.id.removeprefix('aside-')}/parts")) == []
        for unknown in (first.id, "aside-", "aside-a/b", "nowhere-1", ""):
            with pytest.raises(NoLetter):
                await letters.show(unknown)


async def test_what_the_embedded_bus_could_not_deliver(tmp_path: Path) -> None:
    path = tmp_path / "callboard.db"
    outbox = Outbox(path)
    outbox.publish(NEWS)
    (letter,) = outbox.claim("me", seconds=60, limit=1)
    outbox.bury("me", letter.n, why="HTTP 503")
    letters, bus = Letters([Undelivered(path)]), NotedBus()
    (found,) = await letters.all()
    assert (found.news, found.type, found.why) == ("n1", "something_new", "HTTP 503 (1 times)")
    assert await letters.replay(found.id, bus) == NEWS
    assert await letters.all() == []
    for unknown in (found.id, "bus-", "bus-x", "bus--1", "bus-99999999999999999999"):
        with pytest.raises(NoLetter):
            await letters.show(unknown)
    outbox.close()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", "{}", '{"occurred_at": 1}', '{"message": {}}', '{"message": {"data": "="}}']
)
def test_what_is_no_news(text: str) -> None:
    with pytest.raises(NotNews):
        dead_letters.news_in(text)


def test_news_in_every_shape_it_comes_in() -> None:
    for text in (
        pushed(NEWS),
        json.dumps(NEWS.to_dict()),
        json.dumps({"specversion": "1.0", "data": json.loads(pushed(NEWS))}),
    ):
        assert dead_letters.news_in(text) == NEWS
