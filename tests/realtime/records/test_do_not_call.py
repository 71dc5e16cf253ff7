"""The list of numbers that are never to be called, on both stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from realtime.records import do_not_call
from realtime.records.customers import NotANumber
from realtime.stores.port import DocumentStore
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.fixture(params=BOTH)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[DocumentStore]:
    async with opened(opener(request.param, request)) as store:
        yield store


async def test_on_the_list_however_it_is_written_and_of_one_organisation(store: DocumentStore) -> None:
    await do_not_call.add(store, "acme", "(415) 555-0123", now=NOW)
    await do_not_call.add(store, "acme", "+14155550123", now=NOW)
    assert await do_not_call.listed(store, "acme", "+1 415 555 0123")
    assert not await do_not_call.listed(store, "other", "+14155550123")
    assert not await do_not_call.listed(store, "acme", "+14155550124")


async def test_off_the_list_and_on_it_again(store: DocumentStore) -> None:
    await do_not_call.remove(store, "acme", "+14155550123", now=NOW)
    await do_not_call.add(store, "acme", "+14155550123", now=NOW)
    await do_not_call.remove(store, "acme", "415-555-0123", now=NOW)
    assert not await do_not_call.listed(store, "acme", "+14155550123")
    await do_not_call.add(store, "acme", "+14155550123", now=NOW)
    assert await do_not_call.listed(store, "acme", "+14155550123")


async def test_what_is_no_number_is_not_listed_and_cannot_be(store: DocumentStore) -> None:
    assert not await do_not_call.listed(store, "acme", "anonymous")
    with pytest.raises(NotANumber):
        await do_not_call.add(store, "acme", "anonymous", now=NOW)


def test_no_number_is_in_a_path() -> None:
    assert not any("4155550123" in write.path for write in do_not_call.writes("acme", "+14155550123", now=NOW))
