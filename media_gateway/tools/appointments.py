"""Free times and bookings of the shop. Times are local: `HH:MM`, dates `YYYY-MM-DD`."""

from __future__ import annotations

from datetime import date as Date
from datetime import time as Time
from typing import Annotated

from pydantic import Field

from media_gateway.tools.identity import identify
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from media_gateway.tools.speech import listed, spoken_day, spoken_time, spoken_when
from realtime.records import appointments, shop
from realtime.records.appointments import Holder, Refused
from realtime.records.customers import phone_key
from realtime.records.shop import Shop

Day = Annotated[Date, Field(description="the day, YYYY-MM-DD, in the shop's time zone")]
Clock = Annotated[Time, Field(description="the start, HH:MM, 24 hours, in the shop's time zone")]
ServiceType = Annotated[str, Field(description="what is to be done, e.g. oil_change", min_length=1, max_length=60)]


@tool
async def get_available_slots(context: ToolContext, date: Day, service_type: ServiceType | None = None) -> ToolResult:
    """The free times of a day on which an appointment can start. With the service, only times that are long enough for
    it. A time that the caller holds already counts as free for them: booking it returns that booking."""
    place = await shop.load(context.store, context.org)
    service = place.service(service_type) if service_type else None
    if service_type and service is None:
        return _unknown_service(place)
    if not place.grid(date):
        message = f"We are closed on {date:%A}, {spoken_day(date)}."
        return ToolResult(ok=True, data={"date": date.isoformat(), "times": [], "open": False, "message": message})
    taken = await appointments.slots_of(context.store, context.org, date)
    others = [slot for slot in taken if not _holder(context).has(slot)]
    times = appointments.free_times(place, date, others, context.now, service.steps if service else 1)
    data = {"date": date.isoformat(), "times": list(times), "open": True}
    return ToolResult(ok=True, data=data if times else {**data, "message": _no_times(date, context)})


@tool
async def book_appointment(context: ToolContext, service_type: ServiceType, date: Day, time: Clock) -> ToolResult:
    """Book an appointment for the caller. Booking the same time again returns the booking that is already there."""
    place = await shop.load(context.store, context.org)
    service = place.service(service_type)
    if service is None:
        return _unknown_service(place)
    at = time.replace(tzinfo=None, second=0, microsecond=0)
    holder = (await identify(context)).holder(context.call_id)
    found = await appointments.book(context.store, context.org, place, holder, service, date, at, context.now)
    if isinstance(found, Refused):
        return refused(found, date, at)
    data = {
        "appointment_id": found.appointment_id,
        "reference": found.reference,
        "date": found.date,
        "time": found.time,
        "service_type": found.service_type,
    }
    return ToolResult(ok=True, data=data, writes=found.writes)


def _holder(context: ToolContext) -> Holder:
    customer = context.customer or {}
    return Holder(context.call_id, phone_key(context.caller_phone), customer.get("customer_id"))


def _unknown_service(place: Shop) -> ToolResult:
    names = [service.say for service in place.services]
    message = f"We do not offer that. We do {listed(names, 'and')}."
    keys = [service.key for service in place.services]
    return ToolResult(ok=False, data={"reason": "unknown_service", "message": message, "services": keys})


def refused(refused: Refused, day: Date, at: Time) -> ToolResult:
    """In words, with the nearest free times."""
    when = spoken_when(day, at)
    free = [spoken_time(Time.fromisoformat(one)) for one in refused.alternatives]
    said = {
        "closed": f"We are closed at {when}.",
        "in_the_past": f"{when} has already passed.",
        "canceled": "That appointment is canceled. I can book a new one.",
        "slot_taken": f"{when} is not available."
        + (f" I could offer {listed(free, 'or')}." if free else " There is nothing else free that day."),
    }[refused.reason]
    data = {"reason": refused.reason, "message": said, "date": day.isoformat()}
    return ToolResult(ok=False, data={**data, "alternatives": list(refused.alternatives)})


def _no_times(day: Date, context: ToolContext) -> str:
    if day < context.now.date():
        return "That day has already passed."
    return f"There is nothing free on {day:%A}, {spoken_day(day)}."
