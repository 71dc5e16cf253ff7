"""Who is calling."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from media_gateway.tools.identity import identify
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from realtime.records.customers import Customer, find_by_phone, phone_key
from realtime.stores.port import DocumentStore


@tool
async def lookup_customer(context: ToolContext) -> ToolResult:
    """Look up the customer who is calling, by the number they call from. The number is a hint, not a proof of who it
    is."""
    found = (await identify(context)).customer
    if found is None:
        message = "I do not have this phone number on file."
        return ToolResult(ok=False, data={"reason": "unknown_caller", "message": message})
    return ToolResult(ok=True, data=known(found))


def known(customer: Customer) -> dict[str, Any]:
    """What the conversation may know of a customer: enough to greet them, nothing that only they should hear."""
    words = customer.name.split()
    return {
        "customer_id": customer.customer_id,
        "name": customer.name,
        "first_name": words[0] if words else "",
        "vehicle": customer.vehicle,
        "customer_since": customer.customer_since,
        "last_service": customer.last_service,
    }


Lookup = Callable[[str, str], Awaitable[Mapping[str, Any] | None]]
"""`(org, phone) -> what is known of the caller`, for the start of a call."""


def caller_lookup(store: DocumentStore) -> Lookup:
    """From the store."""

    async def look_up(org: str, phone: str) -> Mapping[str, Any] | None:
        found = await find_by_phone(store, org, phone)
        return None if found is None else known(found)

    return look_up


class CachedLookup:
    """Remembers callers for a while, so that who calls again, or is looked up twice, is there at once. Only found ones
    are kept: a customer who was just added is greeted by name. A `Lookup`."""

    def __init__(
        self, look_up: Lookup, *, keep_s: float = 60.0, most: int = 4096, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look_up = look_up
        self._keep_s = keep_s
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, Mapping[str, Any]]] = OrderedDict()

    async def __call__(self, org: str, phone: str) -> Mapping[str, Any] | None:
        """Raises StoreUnavailable."""
        key, now = (org, phone_key(phone) or ""), self._clock()
        until, known_before = self._kept.get(key, (now, {}))
        if until > now:
            return known_before
        found = await self._look_up(org, phone)
        self._kept.pop(key, None)
        if found is not None:
            self._kept[key] = (now + self._keep_s, found)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found
