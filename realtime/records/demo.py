"""A shop to play with: `dev` puts it into an empty store."""

from __future__ import annotations

from realtime.records import customers, shop
from realtime.records.customers import Customer
from realtime.records.shop import DEFAULT_SHOP
from realtime.stores.port import Create, DocumentStore, Put, Write

DEMO_PHONE = "+14155550123"
"""The simulated phone's own number: its caller is greeted by name."""

_CUSTOMERS = (
    Customer(
        customer_id="demo-john",
        name="John Miller",
        phone=DEMO_PHONE,
        vehicle="2019 Honda Civic",
        customer_since="2021-03-15",
        last_service="2026-05-04",
    ),
    Customer(
        customer_id="demo-maria",
        name="Maria Lopez",
        phone="+14155550124",
        vehicle="2022 Ford F-150",
        customer_since="2023-08-02",
    ),
    Customer(customer_id="demo-chen", name="Wei Chen", phone="+14155550125", vehicle="2016 Toyota Corolla"),
)


async def seed(store: DocumentStore, org: str = "default") -> None:
    """The demo shop and its customers; what is there already stays as it is. Raises StoreUnavailable."""
    wanted: list[Write] = [*shop.writes(org, DEFAULT_SHOP)]
    for customer in _CUSTOMERS:
        wanted += customers.writes(org, customer)
    puts = [write for write in wanted if isinstance(write, Put)]
    there = await store.get(*(put.path for put in puts))
    missing = [Create(put.path, put.data) for put, found in zip(puts, there, strict=True) if found is None]
    if missing:
        await store.commit(missing)
