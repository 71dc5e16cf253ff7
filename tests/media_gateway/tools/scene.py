"""A shop, its customers and its tools, for the tests of what tools do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import Router, run_effect
from media_gateway.tools.services import Services
from realtime.records import customers, shop
from realtime.records.appointment import Appointment
from realtime.records.customers import Customer
from realtime.records.shop import DEFAULT_SHOP
from realtime.stores.port import Create, DocumentStore

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 10, 15, tzinfo=ZONE)
ROUTER = Router()
JOHN = Customer(
    customer_id="c1", name="John de la Cruz", phone="+14155550123", other_phones=("+14155550188",), vehicle="2019 Honda"
)
MARIA = Customer(customer_id="c2", name="Maria López", phone="+14155550124")
STRANGER = "+14155550199"
OIL = {"service_type": "oil_change", "date": "2026-11-23", "time": "14:00"}


@dataclass
class Scene:
    """One organisation. `do` runs a tool as a call would, its effect committed."""

    store: DocumentStore
    services: Services = field(default_factory=Services)
    now: datetime = NOW

    async def open(self) -> Scene:
        """One bay, two customers."""
        one_bay = shop.writes("acme", replace(DEFAULT_SHOP, bays=1))
        await self.store.commit([*one_bay, *customers.writes("acme", JOHN), *customers.writes("acme", MARIA)])
        return self

    def context(self, call_id: str, phone: str | None) -> ToolContext:
        """Of a call."""
        return ToolContext(
            org="acme",
            call_id=call_id,
            caller_phone=phone,
            customer=None,
            now=self.now,
            store=self.store,
            services=self.services,
        )

    async def do(self, call_id: str, phone: str | None, name: str, **given: Any) -> ToolResult:
        """Run it, commit it, again on a lost race."""

        async def commit(result: ToolResult) -> None:
            if result.writes:
                await self.store.commit(result.writes)

        return await run_effect(ROUTER, name, given, self.context(call_id, phone), commit, tries=60)

    async def booked(self, phone: str | None = JOHN.phone, call_id: str = "CA0", **change: str) -> Mapping[str, Any]:
        """An appointment made in an earlier call."""
        result = await self.do(call_id, phone, "book_appointment", **{**OIL, **change})
        assert result.ok, result.data
        return result.data

    async def dialled(self, call_id: str, phone: str) -> None:
        """A call that we placed."""
        head = {"call_id": call_id, "direction": "outbound", "to_number": phone, "org": "acme"}
        await self.store.commit([Create(f"calls/{call_id}", head)])

    async def kept(self, appointment_id: str) -> Appointment:
        """As it is in the store."""
        (doc,) = await self.store.get(f"orgs/acme/appointments/{appointment_id}")
        assert doc is not None
        return Appointment.of(doc)
