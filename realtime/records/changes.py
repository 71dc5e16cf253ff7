"""What happens to an appointment that stands: confirmed, moved, canceled.

By state, not by request: canceling a canceled one, or moving one to where it is, changes nothing and returns it. Like a
booking, a change is decided here and committed by the caller, with the journal's line; every write carries the version
that was read, so that whoever was slower gets Conflict and decides anew.
"""

from __future__ import annotations

from datetime import date, datetime, time

from realtime.clock import iso
from realtime.records.appointment import Appointment, Status, path
from realtime.records.appointments import Booked, Refused, refusal, slots_needed, slots_of
from realtime.records.shop import STEP_MINUTES, Shop
from realtime.stores.port import Create, Delete, Doc, DocumentStore, Put, Query, Write

_MOST_SLOTS = 100


def confirm(org: str, kept: Appointment, now: datetime) -> Booked | Refused:
    """The caller will come."""
    if kept.status == "canceled":
        return Refused("canceled")
    return _stands(kept, () if kept.status == "confirmed" else (_marked(org, kept, "confirmed", now),))


async def cancel(store: DocumentStore, org: str, kept: Appointment, now: datetime) -> Booked | Refused:
    """Its slots are free again in the same commit. Raises StoreUnavailable."""
    if kept.status == "canceled":
        return _stands(kept, ())
    if kept.starts(now) <= now:
        return Refused("in_the_past")
    slots = await _slots(store, org, kept)
    freed = [Delete(slot.path, slot.version) for slot in slots]
    return _stands(kept, (*freed, _marked(org, kept, "canceled", now)))


async def move(
    store: DocumentStore, org: str, shop: Shop, kept: Appointment, day: date, at: time, now: datetime
) -> Booked | Refused:
    """To another time, for as long as it was booked for: the old slots are freed and the new ones taken in one
    commit. `now` is local time. Raises StoreUnavailable."""
    start = at.strftime("%H:%M")
    if kept.status == "canceled":
        return Refused("canceled")
    if (kept.date, kept.time) == (day.isoformat(), start):
        return _stands(kept, ())
    if kept.starts(now) <= now:
        return Refused("in_the_past")
    steps = -(-int(kept.data["minutes"]) // STEP_MINUTES)
    others = [slot for slot in await slots_of(store, org, day) if slot["appointment_id"] != kept.appointment_id]
    bay = refusal(shop, others, steps, day, at, now)
    if isinstance(bay, Refused):
        return bay
    names = ("appointment_id", "service_type", "call_id", "phone_key")
    common = {**{name: kept.data[name] for name in names}, "date": day.isoformat(), "bay": bay}
    old = {slot.path: slot for slot in await _slots(store, org, kept)}
    new = slots_needed(org, shop, common, steps, day, start, bay)
    writes: list[Write] = [Delete(slot.path, slot.version) for slot in old.values() if slot.path not in new]
    for slot_path, data in new.items():
        kept_slot = old.get(slot_path)
        writes.append(Put(slot_path, data, kept_slot.version) if kept_slot else Create(slot_path, data))
    changed = {"date": day.isoformat(), "time": start, "bay": bay, "status": "booked", "changed_at": iso(now)}
    writes.append(Put(path(org, kept.appointment_id), {**kept.data, **changed}, kept.version))
    return Booked(kept.appointment_id, day.isoformat(), start, kept.service_type, tuple(writes))


def _stands(kept: Appointment, writes: tuple[Write, ...]) -> Booked:
    return Booked(kept.appointment_id, kept.date, kept.time, kept.service_type, writes)


def _marked(org: str, kept: Appointment, status: Status, now: datetime) -> Put:
    changed = {**kept.data, "status": status, "changed_at": iso(now)}
    return Put(path(org, kept.appointment_id), changed, kept.version)


async def _slots(store: DocumentStore, org: str, kept: Appointment) -> list[Doc]:
    query = Query(f"orgs/{org}/slots", where=[("appointment_id", "==", kept.appointment_id)], limit=_MOST_SLOTS)
    return await store.query(query)
