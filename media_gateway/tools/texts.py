"""Text messages to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date as Date
from datetime import datetime
from datetime import time as Time
from typing import Annotated, Any

from pydantic import Field

from media_gateway.tools.effects import Outcome, once
from media_gateway.tools.identity import Identity, identify
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from media_gateway.tools.speech import spoken_when
from realtime.records import shop
from realtime.records.appointment import Appointment, held_by

_SAID = {
    "refused": "I am sorry, I cannot send text messages to that number.",
    "failed": "I am sorry, the text message could not be sent right now.",
    "unknown": "I have tried to send the text message, but I cannot tell whether it went through.",
}


@tool(deadline_s=9.0)
async def send_sms_confirmation(
    context: ToolContext,
    appointment_id: Annotated[str, Field(description="the appointment_id of the caller's appointment", max_length=60)],
) -> ToolResult:
    """Send the caller a text message with the day, the time and the reference of their appointment. It goes to their
    number on file, once."""
    messenger = context.services.messenger
    if messenger is None:
        return _no("not_configured", "I cannot send text messages from here, but your appointment is in our book.")
    who = await identify(context)
    kept = await _theirs(context, who, appointment_id)
    if kept is None:
        return _no("not_found", "I cannot find that appointment.")
    to = who.customer.phone if who.customer else who.number
    if kept.status == "canceled" or to is None:
        reason = "canceled" if kept.status == "canceled" else "no_number"
        return _no(reason, "There is nothing that I could send." if to else "I have no number to send it to.")
    body = await _body(context, kept)

    async def act() -> Mapping[str, Any]:
        return {"sid": await messenger.send(to, body)}

    async def look_up(since: datetime) -> Mapping[str, Any] | None:
        sid = await messenger.find(to, body, since)
        return None if sid is None else {"sid": sid}

    # What it says is part of what is asked for: a moved appointment may be confirmed once more.
    asked = {"appointment_id": kept.appointment_id, "date": kept.date, "time": kept.time}
    return _told(await once(context, "send_sms_confirmation", asked, act, look_up), kept)


async def _theirs(context: ToolContext, who: Identity, appointment_id: str) -> Appointment | None:
    """No second fact is needed: it goes to the number on file, whoever calls."""
    customer_id = who.customer.customer_id if who.customer else None
    mine = await held_by(
        context.store, context.org, phone_keys=who.keys, customer_id=customer_id, call_id=context.call_id
    )
    return next((one for one in mine if appointment_id in (one.appointment_id, one.reference)), None)


async def _body(context: ToolContext, kept: Appointment) -> str:
    place = await shop.load(context.store, context.org)
    service = place.service(kept.service_type)
    what = service.say if service else kept.service_type.replace("_", " ")
    when = spoken_when(Date.fromisoformat(kept.date), Time.fromisoformat(kept.time))
    return f"{place.name}: your {what} is booked for {when}. Reference {kept.reference}."


def _told(outcome: Outcome, kept: Appointment) -> ToolResult:
    if outcome.status != "done":
        data = {"reason": f"sms_{outcome.status}", "message": _SAID[outcome.status], "detail": outcome.detail["reason"]}
        return ToolResult(ok=False, data=data)
    data = {"appointment_id": kept.appointment_id, "sent": True}
    return ToolResult(ok=True, data=data)


def _no(reason: str, message: str) -> ToolResult:
    return ToolResult(ok=False, data={"reason": reason, "message": message})
