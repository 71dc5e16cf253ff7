"""Appointments that stand: told, confirmed, moved, canceled. Only for whoever has shown who they are, or booked them
in this very call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as Date
from datetime import time as Time
from typing import Annotated, Any

from pydantic import Field

from media_gateway.tools.appointments import Clock, Day, refused
from media_gateway.tools.identity import Identity, appointments_of, digits, identify, verification_needed
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from media_gateway.tools.speech import spoken_when
from realtime.records import changes, shop
from realtime.records.appointment import Appointment
from realtime.records.appointments import Booked, Refused
from realtime.records.shop import Shop

TOLD = 5
"""More appointments than that nobody can follow on the phone."""

Which = Annotated[
    str | None,
    Field(description="the appointment_id, or the reference that the caller said; leave out for their only one"),
]


@tool
async def get_upcoming_appointments(context: ToolContext) -> ToolResult:
    """The caller's appointments to come, the nearest first. The caller must have been verified."""
    who = await identify(context)
    if not who.proven:
        return verification_needed(who)
    place = await shop.load(context.store, context.org)
    mine = _open(await appointments_of(context, who), context)
    data: dict[str, Any] = {"appointments": [told(one, place) for one in mine[:TOLD]], "count": len(mine)}
    if not mine:
        data["message"] = "You have no appointment with us at the moment."
    return ToolResult(ok=True, data=data)


@tool
async def confirm_appointment(context: ToolContext, appointment_id: Which = None) -> ToolResult:
    """Note that the caller will come to their appointment. Confirming again changes nothing."""
    kept = await _pick(context, appointment_id)
    if isinstance(kept, ToolResult):
        return kept
    return await _result(context, kept, changes.confirm(context.org, kept, context.now), "confirmed")


@tool
async def cancel_appointment(context: ToolContext, appointment_id: Which = None) -> ToolResult:
    """Cancel an appointment of the caller, who must have been verified unless it was booked in this call. Canceling
    again returns the canceled one."""
    kept = await _pick(context, appointment_id, canceled=True)
    if isinstance(kept, ToolResult):
        return kept
    found = await changes.cancel(context.store, context.org, kept, context.now)
    return await _result(context, kept, found, "canceled")


@tool
async def reschedule_appointment(
    context: ToolContext, date: Day, time: Clock, appointment_id: Which = None
) -> ToolResult:
    """Move an appointment of the caller, who must have been verified unless it was booked in this call. The old time is
    given up only when the new one is theirs."""
    kept = await _pick(context, appointment_id)
    if isinstance(kept, ToolResult):
        return kept
    place = await shop.load(context.store, context.org)
    at = time.replace(tzinfo=None, second=0, microsecond=0)
    found = await changes.move(context.store, context.org, place, kept, date, at, context.now)
    if isinstance(found, Refused) and found.reason != "canceled" and kept.starts(context.now) > context.now:
        return refused(found, date, at)
    moved = isinstance(found, Booked) and bool(found.writes)
    return await _result(context, kept, found, "booked" if moved else kept.status)


def told(one: Appointment, place: Shop) -> dict[str, Any]:
    """What the conversation hears of an appointment."""
    return _told(one.appointment_id, one.reference, one.date, one.time, one.service_type, one.status, place)


def _told(
    appointment_id: str, reference: str, date: str, time: str, service_type: str, status: str, place: Shop
) -> dict[str, Any]:
    service = place.service(service_type)
    return {
        "appointment_id": appointment_id,
        "reference": reference,
        "date": date,
        "time": time,
        "service_type": service_type,
        "status": status,
        "say": f"{service.say if service else service_type.replace('_', ' ')} at "
        f"{spoken_when(Date.fromisoformat(date), Time.fromisoformat(time))}",
    }


async def _pick(context: ToolContext, wanted: str | None, *, canceled: bool = False) -> Appointment | ToolResult:
    """The one that is meant, or why it is not clear. `canceled`: one that is canceled already will do."""
    who = await identify(context)
    mine = await appointments_of(context, who)
    if wanted:
        named = [one for one in mine if wanted == one.appointment_id or digits(wanted) == one.reference]
        return named[0] if len(named) == 1 else _none(who, "I cannot find that appointment.", "not_found")
    to_come = _open(mine, context)
    if not to_come and canceled:
        to_come = [one for one in mine if one.starts(context.now) > context.now]
    if not to_come:
        return _none(who, "You have no appointment with us at the moment.", "no_appointment")
    if len(to_come) > 1:
        return await _which(context, to_come)
    return to_come[0]


def _none(who: Identity, message: str, reason: str) -> ToolResult:
    if not who.proven:
        return verification_needed(who)
    return ToolResult(ok=False, data={"reason": reason, "message": message})


async def _which(context: ToolContext, several: Sequence[Appointment]) -> ToolResult:
    place = await shop.load(context.store, context.org)
    choices = [told(one, place) for one in several[:TOLD]]
    message = f"Which one do you mean: {', or '.join(one['say'] for one in choices)}?"
    return ToolResult(ok=False, data={"reason": "which_one", "message": message, "appointments": choices})


async def _result(context: ToolContext, kept: Appointment, found: Booked | Refused, status: str) -> ToolResult:
    if isinstance(found, Refused):
        return refused(found, Date.fromisoformat(kept.date), Time.fromisoformat(kept.time))
    place = await shop.load(context.store, context.org)
    data = _told(found.appointment_id, found.reference, found.date, found.time, found.service_type, status, place)
    return ToolResult(ok=True, data=data, writes=found.writes)


def _open(mine: Sequence[Appointment], context: ToolContext) -> list[Appointment]:
    return [one for one in mine if one.status != "canceled" and one.starts(context.now) > context.now]
