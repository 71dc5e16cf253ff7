"""A shop's own customers from a table: rows to customers, and what is wrong with the rest. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo, available_timezones

from realtime.paths import digest, is_id
from realtime.records import vin as vins
from realtime.records.customers import Customer, NotANumber, Vehicle, e164

NEEDED = ("name", "phone")
_ALIASES = {
    "id": ("id", "customer_id", "customer_number", "customer_no"),
    "name": ("name", "full_name", "customer", "customer_name"),
    "first_name": ("first_name", "firstname", "first"),
    "last_name": ("last_name", "lastname", "last", "surname"),
    "phone": ("phone", "phones", "phone_number", "telephone", "mobile", "cell"),
    "email": ("email", "e_mail", "mail"),
    "vehicle": ("vehicle", "vehicles", "car", "cars"),
    "year": ("year", "vehicle_year", "model_year"),
    "make": ("make", "vehicle_make"),
    "model": ("model", "vehicle_model"),
    "vin": ("vin", "vins"),
    "timezone": ("timezone", "time_zone", "zone"),
    "customer_since": ("customer_since", "since", "created"),
    "last_service": ("last_service", "last_visit", "last_service_date"),
}
_DATES = ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: its line in the file, and why (without the values, which are people's own)."""

    line: int
    reason: str


class _Bad(ValueError):
    """The text is the reason."""


def columns(header: Iterable[str]) -> dict[str, int]:
    """Which column is what. Raises ValueError when name or phone is missing, or a column is there twice."""
    found: dict[str, int] = {}
    for at, title in enumerate(header):
        plain = re.sub(r"[^a-z0-9]+", "_", title.strip().lower()).strip("_")
        name = next((known for known, titles in _ALIASES.items() if plain in titles), None)
        if name is None:
            continue
        if name in found:
            raise ValueError(f"two columns are the {name}; keep one")
        found[name] = at
    if "phone" not in found or not ("name" in found or {"first_name", "last_name"} <= found.keys()):
        raise ValueError(
            "the first line must name the columns; name and phone are needed (first_name and last_name will do)"
        )
    return found


def customers(rows: Iterable[tuple[int, Mapping[str, str]]]) -> tuple[list[Customer], list[BadRow]]:
    """`rows` are (line, values by column). Rows of the same number and name become one customer with several
    vehicles."""
    by_phone: dict[str, tuple[int, Customer]] = {}
    ids: dict[str, int] = {}
    bad: list[BadRow] = []
    for line, row in rows:
        try:
            customer = _customer(row)
            first_line, before = by_phone.get(customer.phone, (line, None))
            if before is not None:
                if before.name.casefold() != customer.name.casefold():
                    raise _Bad(f"the same number as line {first_line}, with another name")
                customer = _merged(before, customer)
            elif customer.customer_id in ids:
                raise _Bad(f"the same id as line {ids[customer.customer_id]}, with another number")
        except _Bad as problem:
            bad.append(BadRow(line, str(problem)))
            continue
        by_phone[customer.phone] = (first_line, customer)
        ids[customer.customer_id] = first_line
    return [customer for _, customer in by_phone.values()], bad


def _customer(row: Mapping[str, str]) -> Customer:
    row = {name: " ".join(value.split()) for name, value in row.items()}
    too_long = [name for name, value in row.items() if len(value) > _LONGEST]
    if too_long:
        raise _Bad(f"{too_long[0]} is longer than {_LONGEST} characters")
    name = row.get("name") or f"{row.get('first_name', '')} {row.get('last_name', '')}".strip()
    if not name:
        raise _Bad("there is no name")
    phone, *others = _phones(row.get("phone", ""))
    given_id = row.get("id", "")
    if given_id and not is_id(given_id):
        raise _Bad("the id has characters that an id cannot have; use letters, digits, - and _")
    vehicles = _vehicles(row)
    return Customer(
        # Made of the number, so that the same file loaded again is the same customers.
        customer_id=given_id or "C" + digest(phone)[:16],
        name=name,
        phone=phone,
        other_phones=tuple(others),
        vehicle=vehicles[0].say if vehicles else None,
        vehicles=vehicles,
        email=_email(row.get("email", "")),
        timezone=_zone(row.get("timezone", "")),
        customer_since=_date(row.get("customer_since", ""), "customer_since"),
        last_service=_date(row.get("last_service", ""), "last_service"),
    )


def _merged(before: Customer, more: Customer) -> Customer:
    later = [one for one in (before.last_service, more.last_service) if one]
    return replace(
        before,
        vehicle=before.vehicle or more.vehicle,
        vehicles=tuple(dict.fromkeys((*before.vehicles, *more.vehicles))),
        other_phones=tuple(dict.fromkeys((*before.other_phones, *more.other_phones))),
        email=before.email or more.email,
        timezone=before.timezone or more.timezone,
        customer_since=before.customer_since or more.customer_since,
        last_service=max(later) if later else None,
    )


def _phones(text: str) -> list[str]:
    if not text:
        raise _Bad("there is no phone number")
    numbers: dict[str, None] = {}
    for part in filter(None, (one.strip() for one in re.split(r"[;/|]", text))):
        try:
            numbers[e164(part)] = None
        except NotANumber as error:
            raise _Bad(f"phone: {error}") from error
    if not numbers:
        raise _Bad("there is no phone number")
    return list(numbers)


def _vehicles(row: Mapping[str, str]) -> tuple[Vehicle, ...]:
    cars = [one.strip() for one in row.get("vehicle", "").split(";") if one.strip()]
    made_of = " ".join(row[name] for name in ("year", "make", "model") if row.get(name))
    cars += [made_of] if made_of and not cars else []
    numbers = [vins.from_speech(one) for one in row.get("vin", "").split(";") if one.strip()]
    for number in numbers:
        if vins.problem(number):
            raise _Bad("vin: this is no VIN (17 characters, with a check digit)")
    if len(numbers) > max(1, len(cars)):
        raise _Bad("there are more VINs than vehicles")
    cars = cars or ["car"] * len(numbers)
    return tuple(Vehicle(say, numbers[at] if at < len(numbers) else None) for at, say in enumerate(cars))


def _email(text: str) -> str | None:
    if text and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise _Bad("email: this is no address; write it like john@example.com")
    return text or None


def _zone(text: str) -> str | None:
    if text and text not in available_timezones():
        raise _Bad("timezone: no such time zone; use a name such as America/New_York")
    return ZoneInfo(text).key if text else None


def _date(text: str, name: str) -> str | None:
    if not text:
        return None
    for form in _DATES:
        try:
            found: date = datetime.strptime(text, form).date()
        except ValueError:
            continue
        return found.isoformat()
    raise _Bad(f"{name}: this is no date; write it like 2021-03-15 or 3/15/2021")
