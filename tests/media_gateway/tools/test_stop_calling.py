"""Who asks not to be called is on the list, once, and it is audited."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from realtime import audit
from realtime.records import do_not_call
from tests.media_gateway.tools.scene import JOHN, NOW, Scene
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio


@pytest.fixture(params=BOTH)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    async with opened(opener(request.param, request, clock=lambda: NOW)) as store:
        yield await Scene(store).open()


async def test_the_number_of_the_call_is_put_on_the_list_once(scene: Scene) -> None:
    for _ in range(2):
        assert (await scene.do("CA1", JOHN.phone, "stop_calling")).ok
    assert await do_not_call.listed(scene.store, "acme", JOHN.phone)
    numbers, cursor = await do_not_call.page(scene.store, "acme")
    assert [(one["phone"], one["reason"]) for one in numbers] == [(JOHN.phone, "asked in a call")]
    assert cursor is None
    entries, _ = await audit.newest(scene.store, "acme")
    assert [(entry.action, entry.target) for entry in entries] == [("do_not_call.add", "CA1")]
    assert JOHN.phone not in str(entries)


async def test_a_number_that_is_withheld_cannot_be_listed(scene: Scene) -> None:
    refused = await scene.do("CA1", None, "stop_calling")
    assert (refused.ok, refused.data["reason"]) == (False, "no_number")


async def test_the_list_is_read_page_by_page(scene: Scene) -> None:
    numbers = [f"+1415555{n:04d}" for n in range(100, 107)]
    for phone in numbers:
        await do_not_call.add(scene.store, "acme", phone, now=scene.now)
    await do_not_call.remove(scene.store, "acme", numbers[0], now=scene.now)
    found, after = await do_not_call.page(scene.store, "acme", limit=4)
    more, end = await do_not_call.page(scene.store, "acme", after=after, limit=4)
    assert sorted(one["phone"] for one in found + more) == numbers[1:]
    assert end is None
