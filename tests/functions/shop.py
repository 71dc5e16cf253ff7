"""A small shop for the reminders' tests: tomorrow's appointments, and calls as the gateway records them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from realtime.call import Call, Status
from realtime.clock import iso
from realtime.journal import Journal
from realtime.paths import digest
from realtime.records import customers
from realtime.records.customers import Customer
from realtime.reminders import ledger
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Put, Write

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
"""The day of these tests; nothing of it expires, whatever day it is."""
PHONES = {"john": "+12125550123", "maria": "+12125550124", "chen": "+919876543210"}
T = TypeVar("T")

ALL_DAY = {"opens": "00:00", "closes": "23:59", "spacing": 60}


def on_store(path: Path, work: Callable[[EmbeddedStore], Awaitable[T]]) -> T:
    """Do this with the store, then close it."""

    async def inside() -> T:
        store = EmbeddedStore(path, clock=lambda: NOW)
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(inside())


def appointment(who: str, now: datetime, *, days: int = 1, at: str = "14:00", **more: Any) -> Put:
    day = (now.astimezone(ZONE) + timedelta(days=days)).date().isoformat()
    data = {
        "appointment_id": f"A-{who}",
        "reference": "123456",
        "date": day,
        "time": at,
        "service_type": "oil_change",
        "minutes": 30,
        "bay": 1,
        "status": "booked",
        "call_id": "CA-old",
        "phone_key": digest(PHONES[who]),
        "phone": None,
        "customer_id": who,
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    return Put(f"orgs/default/appointments/A-{who}", {**data, **more})


def seed(path: Path, now: datetime, *extra: Write, rules: Mapping[str, Any] = ALL_DAY, who: tuple[str, ...]) -> None:
    """Customers and their appointments of tomorrow at two."""
    writes: list[Write] = [Put(ledger.rules_path("default"), rules)]
    for name in who:
        known = Customer(customer_id=name, name=f"{name.title()} Doe", phone=PHONES[name], vehicle="2019 Honda Civic")
        writes += [*customers.writes("default", known), appointment(name, now)]
    on_store(path, lambda store: store.commit([*writes, *extra]))


def reminder_of(who: str, now: datetime) -> str:
    day = (now.astimezone(ZONE) + timedelta(days=1)).date().isoformat()
    return ledger.reminder_id("default", f"A-{who}", day)


def called(path: Path, who: str, now: datetime, status: Status, *, n: int = 1, **head: Any) -> None:
    """The call of the `n`-th attempt, as it is when it is over."""

    async def write(store: EmbeddedStore) -> None:
        call = Call(
            call_id=f"CA-{who}-{n}",
            direction="outbound",
            flow="outbound_reminder",
            status=status,
            started_at=iso(now),
            metadata={"variables": {"reminder_id": reminder_of(who, now), "attempt": n}},
            **head,
        )
        await Journal(store, clock=lambda: now).open(call)

    on_store(path, write)
