"""Appointments, and the slots that keep two cars out of one bay.

`orgs/{org}/slots/{date}T{time}-{bay}` is create-only: whoever creates it has the bay for that half hour, and the store
lets nobody else. A booking creates all slots it needs and `orgs/{org}/appointments/{id}` in one commit. Functions here
read and decide; they return the writes, and the caller commits them with the journal's line. What happens to an
appointment later is in `changes`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from realtime.clock import iso
from realtime.records.appointment import path, reference
from realtime.records.shop import Service, Shop
from realtime.stores.port import Create, DocumentStore, Query, Write

_MOST_SLOTS = 2000
_ALTERNATIVES = 3

Reason = Literal["slot_taken", "closed", "in_the_past", "canceled"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a slot is kept for: this call, and the number it comes from where that is known. `phone` is E.164."""

    call_id: str
    phone_key: str | None = None
    customer_id: str | None = None
    phone: str | None = None

    def has(self, slot: Mapping[str, Any]) -> bool:
        """True for a slot that this call or this caller booked."""
        return slot["call_id"] == self.call_id or (self.phone_key is not None and slot["phone_key"] == self.phone_key)


@dataclass(frozen=True, slots=True)
class Booked:
    """The appointment stands once `writes` are committed; none means that it stood already."""

    appointment_id: str
    date: str
    time: str
    service_type: str
    writes: tuple[Write, ...] = ()

    @property
    def reference(self) -> str:
        """Six digits to say aloud."""
        return reference(self.appointment_id)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not, and the nearest free times of the same day."""

    reason: Reason
    alternatives: tuple[str, ...] = ()


def free_times(shop: Shop, day: date, slots: Sequence[Mapping[str, Any]], now: datetime, steps: int) -> tuple[str, ...]:
    """Pure: the starts, later than `now`, at which some bay is free for `steps` half hours. `now` is local time."""
    return tuple(at for at in _to_come(shop, day, now) if _bay(shop, day, slots, at, steps) is not None)


async def slots_of(store: DocumentStore, org: str, day: date) -> list[Mapping[str, Any]]:
    """The taken slots of a day. Raises StoreUnavailable."""
    query = Query(f"orgs/{org}/slots", where=[("date", "==", day.isoformat())], limit=_MOST_SLOTS)
    return [doc.data for doc in await store.query(query)]


async def book(
    store: DocumentStore, org: str, shop: Shop, holder: Holder, service: Service, day: date, at: time, now: datetime
) -> Booked | Refused:
    """By state, not by request: a slot that this caller holds already is their booking, however often it is asked for.

    `now` is local time. The writes fail with Conflict when somebody was faster: then ask again. Raises
    StoreUnavailable.
    """
    start = at.strftime("%H:%M")
    slots = await slots_of(store, org, day)
    held = next((slot for slot in slots if slot["start"] == start and holder.has(slot)), None)
    if held is not None:
        return Booked(held["appointment_id"], held["date"], held["start"], held["service_type"])
    bay = refusal(shop, slots, service.steps, day, at, now)
    if isinstance(bay, Refused):
        return bay
    return _booking(org, shop, holder, service, day, start, bay, now)


def _booking(
    org: str, shop: Shop, holder: Holder, service: Service, day: date, start: str, bay: int, now: datetime
) -> Booked:
    # Not made from what was asked for: the same caller may book, cancel and book the same time again.
    appointment_id = "A" + secrets.token_hex(6)
    common = {
        "appointment_id": appointment_id,
        "date": day.isoformat(),
        "service_type": service.key,
        "bay": bay,
        "call_id": holder.call_id,
        "phone_key": holder.phone_key,
    }
    slots = slots_needed(org, shop, common, service.steps, day, start, bay)
    taken = tuple(Create(slot, data) for slot, data in slots.items())
    record = {
        **common,
        "reference": reference(appointment_id),
        "time": start,
        "minutes": service.minutes,
        "customer_id": holder.customer_id,
        "phone": holder.phone,
        "status": "booked",
        "created_at": iso(now),
    }
    appointment = Create(path(org, appointment_id), record)
    return Booked(appointment_id, day.isoformat(), start, service.key, (*taken, appointment))


def slots_needed(
    org: str, shop: Shop, common: Mapping[str, Any], steps: int, day: date, start: str, bay: int
) -> dict[str, dict[str, Any]]:
    """The documents by path that keep `bay` from `start` on for `steps` half hours."""
    return {
        f"orgs/{org}/slots/{day}T{step}-{bay}": {**common, "time": step, "start": start}
        for step in _steps(shop, day, start, steps)
    }


def refusal(
    shop: Shop, slots: Sequence[Mapping[str, Any]], steps: int, day: date, at: time, now: datetime
) -> Refused | int:
    """Why nothing can start then, or the bay that it can have. Pure; `now` is local time."""
    start = at.strftime("%H:%M")
    if start not in shop.grid(day) and (not shop.grid(day) or not _within(shop, day, start)):
        return Refused("closed")
    if datetime.combine(day, at, now.tzinfo) <= now:
        return Refused("in_the_past")
    bay = _bay(shop, day, slots, start, steps)
    return bay or Refused("slot_taken", _nearest(free_times(shop, day, slots, now, steps), start))


def _to_come(shop: Shop, day: date, now: datetime) -> tuple[str, ...]:
    today = now.date()
    if day < today:
        return ()
    return tuple(at for at in shop.grid(day) if day > today or time.fromisoformat(at) > now.time())


def _within(shop: Shop, day: date, start: str) -> bool:
    """Between opening and closing, on the grid or not."""
    return shop.grid(day)[0] <= start <= shop.grid(day)[-1]


def _steps(shop: Shop, day: date, start: str, steps: int) -> tuple[str, ...]:
    """The slots of an appointment; fewer than `steps` when it would not end before closing."""
    grid = shop.grid(day)
    return grid[grid.index(start) :][:steps] if start in grid else ()


def _bay(shop: Shop, day: date, slots: Sequence[Mapping[str, Any]], start: str, steps: int) -> int | None:
    needed = _steps(shop, day, start, steps)
    if len(needed) < steps:
        return None
    taken = {(slot["time"], slot["bay"]) for slot in slots}
    return next((bay for bay in range(1, shop.bays + 1) if not any((at, bay) in taken for at in needed)), None)


def _nearest(times: Sequence[str], wanted: str) -> tuple[str, ...]:
    """The closest in time, in the order of the day."""

    def distance(at: str) -> timedelta:
        return abs(datetime.combine(date.min, time.fromisoformat(at)) - datetime.combine(date.min, _wanted))

    _wanted = time.fromisoformat(wanted)
    return tuple(sorted(sorted(times, key=distance)[:_ALTERNATIVES]))
