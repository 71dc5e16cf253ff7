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
        str | None,
        Field(description="the number to call back (or e-mail), if it is not the one they call from", max_length=100),
    ] = None,
) -> ToolResult:
    """Take a message for the people of the shop, who see it at once and call back. The same message again in one
    call is the same message."""
    who = await identify(context)
    number = _callable(callback) or who.number
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


def _callable(callback: str | None) -> str | None:
    """E.164 where it is a number, else as it was said: the owner can read an e-mail address, or "ask for Jim"."""
    said = " ".join((callback or "").split())
    try:
        return e164(said) if said else None
    except NotANumber:
        return said
