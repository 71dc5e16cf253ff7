"""Parked news is published again and forgotten; what could not be published stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from realtime.bus.port import BusMessage, PublishFailed
from realtime.call import Call
from realtime.join import join
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore

pytestmark = pytest.mark.anyio


class Bus:
    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.published: list[str] = []

    async def publish(self, message: BusMessage) -> None:
        if len(self.published) == self.most:
            raise PublishFailed("full")
        self.published.append(message.id)

    async def aclose(self) -> None:
        """Nothing to let go of."""


def news(n: int, **keys: str) -> BusMessage:
    return BusMessage(f"n{n}", "elevenlabs", "post_call_transcription", keys, f"2026-11-20T10:00:0{n}.000Z")


async def test_what_waited_under_any_id_is_published_in_order_and_once(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "c.db")
    journal, full, bus = Journal(store), Bus(most=1), Bus()
    await journal.park(news(2, conversation_id="conv_1"))
    await journal.park(news(1, call_sid="CA1", conversation_id="conv_1"))
    await journal.park(news(3, call_sid="CA2"))
    call = await journal.open(Call(call_id="EL_1", call_sid="CA1", conversation_id="conv_1"))
    with pytest.raises(PublishFailed):
        await join(journal, full, call)
    assert await join(journal, bus, call) == 1
    assert (full.published, bus.published) == (["n1"], ["n2"])
    assert await join(journal, bus, call) == 0
    await store.aclose()
