"""Customers, found by the number they call from.

`orgs/{org}/customers/{id}` is the record, `orgs/{org}/phones/{digest of the E.164 number}` the way to it: numbers are
in the data, never in a path (paths end up in logs and consoles).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import phonenumbers

from realtime.paths import digest
from realtime.stores.port import Delete, Doc, DocumentStore, Put, Write

REGION = "US"
"""How a number without a country code is read."""


class NotANumber(ValueError):
    """The text is no telephone number that could be called."""


@dataclass(frozen=True, slots=True)
class Vehicle:
    """`say` is how it is said aloud ("2019 Honda Civic"), `vin` its number where that is known."""

    say: str
    vin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """`phone` and `other_phones` are E.164, `vehicle` the car they are greeted with (said aloud), `timezone` an IANA
    name, dates ISO 8601."""

    customer_id: str
    name: str
    phone: str
    vehicle: str | None = None
    customer_since: str | None = None
    last_service: str | None = None
    vehicles: tuple[Vehicle, ...] = ()
    other_phones: tuple[str, ...] = ()
    email: str | None = None
    timezone: str | None = None

    @property
    def phones(self) -> tuple[str, ...]:
        """All numbers on file, the main one first."""
        return (self.phone, *self.other_phones)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        data = asdict(self)
        return {**data, "vehicles": list(data["vehicles"]), "other_phones": list(self.other_phones)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError on a poison document; unknown keys are ignored."""
        known = {name: data.get(name) for name in ("vehicle", "customer_since", "last_service", "email", "timezone")}
        vehicles = tuple(Vehicle(one["say"], one.get("vin")) for one in data.get("vehicles") or ())
        return cls(
            customer_id=data["customer_id"],
            name=data["name"],
            phone=data["phone"],
            vehicles=vehicles,
            other_phones=tuple(data.get("other_phones") or ()),
            **known,
        )


def e164(text: str, region: str = REGION) -> str:
    """`+14155550123`, from however people write it. Raises NotANumber."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise NotANumber("this is not a telephone number; write it like +14155550123") from error
    if not phonenumbers.is_possible_number(number):
        raise NotANumber("no telephone number has so many digits; write it like +14155550123")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone_key(text: str | None) -> str | None:
    """The digest by which a number is known, None for a withheld or unreadable one ("anonymous", a SIP name)."""
    try:
        return digest(e164(text)) if text else None
    except NotANumber:
        return None


async def find_by_phone(store: DocumentStore, org: str, phone: str | None) -> Customer | None:
    """The customer with this number: a hint who is calling, not a proof. Raises StoreUnavailable."""
    key = phone_key(phone)
    if key is None:
        return None
    (way,) = await store.get(f"orgs/{org}/phones/{key}")
    if way is None:
        return None
    return await find(store, org, way.data["customer_id"])


async def find(store: DocumentStore, org: str, customer_id: str) -> Customer | None:
    """The customer of this id. Raises StoreUnavailable."""
    (record,) = await store.get(path(org, customer_id))
    return None if record is None else Customer.from_dict(record.data)


def path(org: str, customer_id: str) -> str:
    """Where a customer's record is kept."""
    return f"orgs/{org}/customers/{customer_id}"


def writes(org: str, customer: Customer, before: Doc | None = None) -> tuple[Write, ...]:
    """What makes this customer known; with the record that was there `before`, what leads from a number they no
    longer have is taken away. Raises NotANumber."""
    phone, *others = [e164(one) for one in customer.phones]
    kept = {**customer.to_dict(), "phone": phone, "other_phones": others}
    numbers = dict.fromkeys([phone, *others])
    gone = [] if before is None else [one for one in Customer.from_dict(before.data).phones if one not in numbers]
    return (
        Put(path(org, customer.customer_id), kept),
        *(Put(_way(org, one), {"customer_id": customer.customer_id}) for one in numbers),
        *(Delete(_way(org, one)) for one in gone),
    )


def _way(org: str, phone: str) -> str:
    return f"orgs/{org}/phones/{digest(phone)}"
