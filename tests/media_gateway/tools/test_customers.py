"""Who calls, remembered for a while."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from media_gateway.tools.customers import CachedLookup, caller_lookup
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import StoreUnavailable
from tests.media_gateway.tools.scene import JOHN, MARIA, NOW, STRANGER, Scene

pytestmark = pytest.mark.anyio


class Asked:
    """Counts what the store was asked; fails when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = False
        self.now = 0.0

    async def __call__(self, org: str, phone: str) -> Mapping[str, Any] | None:
        self.asked.append(phone)
        if self.broken:
            raise StoreUnavailable("away")
        return {"name": phone, "org": org} if phone != STRANGER else None


async def test_asked_once_and_again_when_it_is_old() -> None:
    asked = Asked()
    look_up = CachedLookup(asked, keep_s=60, clock=lambda: asked.now)
    first = await look_up("acme", JOHN.phone)
    assert await look_up("acme", "(415) 555-0123") == first
    assert len(asked.asked) == 1
    assert await look_up("other", JOHN.phone) != first, "another organisation has its own customers"
    asked.now = 60.0
    await look_up("acme", JOHN.phone)
    assert len(asked.asked) == 3


async def test_strangers_and_failures_are_asked_anew() -> None:
    asked = Asked()
    look_up = CachedLookup(asked, clock=lambda: asked.now)
    assert [await look_up("acme", STRANGER) for _ in range(2)] == [None, None]
    asked.broken = True
    with pytest.raises(StoreUnavailable):
        await look_up("acme", JOHN.phone)
    asked.broken = False
    assert await look_up("acme", JOHN.phone) is not None
    assert len(asked.asked) == 4


async def test_it_never_grows_past_its_size() -> None:
    asked = Asked()
    look_up = CachedLookup(asked, most=2, clock=lambda: asked.now)
    for phone in (JOHN.phone, MARIA.phone, "+14155550177", JOHN.phone):
        await look_up("acme", phone)
    assert len(asked.asked) == 4
    await look_up("acme", "+14155550177")
    assert len(asked.asked) == 4


async def test_what_was_seen_lately_is_there_in_two_milliseconds(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "callboard.db", clock=lambda: NOW)
    await Scene(store).open()
    look_up = CachedLookup(caller_lookup(store))
    await look_up("acme", JOHN.phone)
    took = []
    for _ in range(20):
        started = time.perf_counter()
        await look_up("acme", JOHN.phone)
        took.append(time.perf_counter() - started)
    assert sorted(took)[10] < 0.002
    await store.aclose()
