"""Who is calling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from media_gateway.tools.identity import identify
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from realtime.records.customers import Customer, find_by_phone
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


def caller_lookup(store: DocumentStore) -> Callable[[str, str], Awaitable[Mapping[str, Any] | None]]:
    """`(org, phone) -> what is known of the caller`, for the start of a call."""

    async def look_up(org: str, phone: str) -> Mapping[str, Any] | None:
        found = await find_by_phone(store, org, phone)
        return None if found is None else known(found)

    return look_up
