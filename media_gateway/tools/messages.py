"""Messages for the owner: an inbox that they see, and are told of."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from media_gateway.tools.identity import identify
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from realtime.clock import iso
from realtime.paths import digest
from realtime.records import inbox
from realtime.records.customers import NotANumber, e164


@tool
async def take_message(
    context: ToolContext,
    text: Annotated[str, Field(description="the message in the caller's own words", min_length=1, max_length=1000)],
    callback: Annotated[
        str | None, Field(description="the number to call back, if it is not the one they call from", max_length=40)
    ] = None,
) -> ToolResult:
    """Take a message for the people of the shop, who see it at once and call back. The same message again in one
    call is the same message."""
    who = await identify(context)
    try:
        number = e164(callback) if callback and callback.strip() else who.number
    except NotANumber:
        message = "I did not get that number. Please tell me all its digits, with the area code."
        return ToolResult(ok=False, data={"reason": "not_a_number", "message": message})
    words = " ".join(text.split())
    message_id = "M" + digest(f"{context.call_id}/{words.casefold()}/{number}")[:16]
    data = {"message_id": message_id, "callback": number is not None}
    if (await context.store.get(inbox.path(context.org, message_id)))[0] is not None:
        return ToolResult(ok=True, data=data)
    kept = inbox.Message(
        message_id=message_id,
        call_id=context.call_id,
        text=words,
        callback=number,
        customer_id=who.customer.customer_id if who.customer else None,
        name=who.customer.name if who.customer else None,
        at=iso(context.now),
        expire_at=iso(context.now + timedelta(days=context.services.retention_days)),
    )
    if context.services.alerts is not None:
        context.services.alerts.notice(context.org, message_id)
    return ToolResult(ok=True, data=data, writes=inbox.writes(context.org, kept))
