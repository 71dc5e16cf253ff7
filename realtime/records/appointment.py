"""One appointment as it is kept, and how it is found again.

`orgs/{org}/appointments/{id}`: {appointment_id, reference, date, time, service_type, minutes, bay, status, call_id,
phone_key, phone, customer_id, created_at, changed_at?}. Date and time are local to the shop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal, Self

from realtime.paths import digest
from realtime.stores.port import Doc, DocumentStore, Query

Status = Literal["booked", "confirmed", "canceled"]
MOST = 500
"""Of one caller, or of one day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """`version` is that of the document it was read from, `data` all of it."""

    appointment_id: str
    date: str
    time: str
    service_type: str
    status: Status
    customer_id: str | None
    phone_key: str | None
    call_id: str
    version: str
    data: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """Six digits to say aloud."""
        return reference(self.appointment_id)

    @property
    def phone(self) -> str | None:
        """Of whoever booked, E.164, where it was known."""
        phone: str | None = self.data.get("phone")
        return phone

    def starts(self, now: datetime) -> datetime:
        """In the zone of `now`."""
        return datetime.combine(date.fromisoformat(self.date), time.fromisoformat(self.time), now.tzinfo)

    @classmethod
    def of(cls, doc: Doc) -> Self:
        """Raises KeyError on a poison document."""
        data = doc.data
        return cls(
            appointment_id=data["appointment_id"],
            date=data["date"],
            time=data["time"],
            service_type=data["service_type"],
            status=data["status"],
            customer_id=data.get("customer_id"),
            phone_key=data.get("phone_key"),
            call_id=data["call_id"],
            version=doc.version,
            data=data,
        )


def reference(appointment_id: str) -> str:
    """Six digits that stand for an appointment where somebody says them: unlikely, not impossible, to be shared."""
    return f"{int(digest(appointment_id)[:12], 16) % 1_000_000:06d}"


def path(org: str, appointment_id: str) -> str:
    """Where an appointment is kept."""
    return f"orgs/{org}/appointments/{appointment_id}"


async def held_by(
    store: DocumentStore, org: str, *, phone_keys: Sequence[str] = (), customer_id: str | None = None, call_id: str = ""
) -> list[Appointment]:
    """All appointments of a caller, by any of what is known of them, the earliest first. Raises StoreUnavailable."""
    known: list[tuple[str, str]] = [("phone_key", key) for key in phone_keys]
    known += [("customer_id", customer_id)] if customer_id else []
    known += [("call_id", call_id)] if call_id else []
    found: dict[str, Appointment] = {}
    for name, value in known:
        for one in await _where(store, org, name, value):
            found[one.appointment_id] = one
    return sorted(found.values(), key=lambda one: (one.date, one.time))


async def on_day(store: DocumentStore, org: str, day: date) -> list[Appointment]:
    """All appointments of a day, the earliest first, the canceled ones too. Raises StoreUnavailable."""
    found = await _where(store, org, "date", day.isoformat())
    return sorted(found, key=lambda one: (one.time, one.appointment_id))


async def by_reference(store: DocumentStore, org: str, said: str) -> list[Appointment]:
    """Whose reference is `said`. Raises StoreUnavailable."""
    return await _where(store, org, "reference", said)


async def _where(store: DocumentStore, org: str, name: str, value: str) -> list[Appointment]:
    # One equality a query: Firestore answers it without an index of its own.
    docs = await store.query(Query(f"orgs/{org}/appointments", where=[(name, "==", value)], limit=MOST))
    return [Appointment.of(doc) for doc in docs]
