"""Whoever asks not to be called any more is not called any more."""

from __future__ import annotations

from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from realtime import audit
from realtime.records import do_not_call
from realtime.records.customers import NotANumber


@tool
async def stop_calling(context: ToolContext) -> ToolResult:
    """Put the number that this call goes to on the do-not-call list. Use it as soon as they ask not to be called again.
    A number that is on the list already stays there."""
    phone = context.caller_phone
    try:
        if phone and await do_not_call.listed(context.store, context.org, phone):
            return ToolResult(ok=True, data={"listed": True})
        writes = do_not_call.writes(context.org, phone or "", now=context.now, reason="asked in a call")
    except NotANumber:
        message = "I cannot see which number this is; please tell our staff."
        return ToolResult(ok=False, data={"reason": "no_number", "message": message})
    told = audit.entry(context.org, "system", "do_not_call.add", context.call_id, context.now)
    return ToolResult(ok=True, data={"listed": True}, writes=(*writes, told))
