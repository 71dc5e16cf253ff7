"""Customers by telephone number, on both stores."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from realtime.records.customers import Customer, NotANumber, e164, find_by_phone, phone_key, writes
from realtime.records.demo import DEMO_PHONE, seed
from realtime.records.shop import DEFAULT_SHOP, load
from realtime.records.shop import writes as shop_writes
from realtime.stores.port import DocumentStore, Put
from tests.realtime.stores import BOTH, opened, opener

JOHN = Customer(customer_id="c1", name="John", phone="(415) 555-0123", vehicle="2019 Honda Civic")


@pytest.fixture(params=BOTH)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[DocumentStore]:
    async with opened(opener(request.param, request)) as store:
        yield store


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+14155550123", "+14155550123"),
        ("415-555-0123", "+14155550123"),
        ("(415) 555 0123", "+14155550123"),
        ("+44 20 7946 0958", "+442079460958"),
    ],
)
def test_numbers_however_they_are_written(written: str, number: str) -> None:
    assert e164(written) == number


@pytest.mark.parametrize("written", ["", "anonymous", "+1", "12", "+1415555012345678", "sip:john@example.org"])
def test_what_is_no_number_is_refused_and_never_echoed(written: str) -> None:
    with pytest.raises(NotANumber, match=r"\+14155550123") as refused:
        e164(written)
    assert not written or written not in str(refused.value).replace("+14155550123", "")
    assert phone_key(written) is None


@pytest.mark.anyio
async def test_a_customer_is_found_by_their_number_within_their_organisation(store: DocumentStore) -> None:
    await store.commit(writes("acme", JOHN))
    found = await find_by_phone(store, "acme", "+1 415 555 0123")
    assert found is not None
    assert (found.customer_id, found.phone, found.vehicle) == ("c1", "+14155550123", "2019 Honda Civic")
    assert await find_by_phone(store, "other", "+14155550123") is None
    assert await find_by_phone(store, "acme", "+14155550999") is None
    assert await find_by_phone(store, "acme", "Anonymous") is None
    assert await find_by_phone(store, "acme", None) is None


@pytest.mark.anyio
async def test_a_number_whose_customer_is_gone_is_unknown(store: DocumentStore) -> None:
    await store.commit([write for write in writes("acme", JOHN) if "/phones/" in write.path])
    assert await find_by_phone(store, "acme", JOHN.phone) is None


def test_no_number_is_in_a_path() -> None:
    assert not any("4155550123" in write.path for write in writes("acme", JOHN))


@pytest.mark.anyio
async def test_the_demo_shop_is_seeded_once_and_spares_what_is_there(store: DocumentStore) -> None:
    await seed(store)
    caller = await find_by_phone(store, "default", DEMO_PHONE)
    assert caller is not None
    assert caller.name == "John Miller"
    await store.commit([Put("orgs/default/customers/demo-john", {**caller.to_dict(), "name": "Johnny"})])
    await seed(store)
    again = await find_by_phone(store, "default", DEMO_PHONE)
    assert again is not None
    assert again.name == "Johnny"


@pytest.mark.anyio
async def test_a_shop_of_its_own_or_the_default_one(store: DocumentStore) -> None:
    assert await load(store, "acme") == DEFAULT_SHOP
    await store.commit(shop_writes("acme", DEFAULT_SHOP))
    assert await load(store, "acme") == DEFAULT_SHOP
