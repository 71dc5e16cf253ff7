"""A call to a driver, placed through a hosted agent: what is asked for, and what the agent is told. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, Self

import msgspec

from media_gateway.http_errors import ApiError
from realtime.clock import iso
from realtime.records.customers import NotANumber, e164

MOST_ITEMS = 20
MOST_NAME = 100
MOST_DESCRIPTION = 500
_DRIVER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_INTERNATIONAL = re.compile(r"\+[0-9 ().-]{6,24}")
Kind = Literal["violation", "reminder"]


class ItemBody(msgspec.Struct, frozen=True):
    """One thing to talk about, as it comes in."""

    type: Kind
    description: str


class OrderBody(msgspec.Struct, frozen=True):
    """The body of `POST /driver_data/call-elevenlabs`; fields that are not known are ignored."""

    driverId: str
    driverName: str
    phoneNumber: str
    violations: list[ItemBody]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to talk about; `description` is one line."""

    type: Kind
    description: str


@dataclass(frozen=True, slots=True)
class Order:
    """A call that may be placed: everything was checked. `phone` is E.164."""

    driver_id: str
    driver_name: str
    phone: str
    items: tuple[Item, ...]

    @classmethod
    def of(cls, body: OrderBody) -> Self:
        """Raises ApiError (422) that names the field and says what it must be."""
        if not _DRIVER_ID.fullmatch(body.driverId):
            raise ApiError(422, "driverId must be 1 to 64 of A-Z, a-z, 0-9, _ and -.")
        if not 1 <= len(body.violations) <= MOST_ITEMS:
            raise ApiError(422, f"violations must hold 1 to {MOST_ITEMS} items; the agent talks about each of them.")
        items = tuple(
            Item(item.type, _line(item.description, f"violations[{n}].description", MOST_DESCRIPTION))
            for n, item in enumerate(body.violations)
        )
        return cls(body.driverId, _line(body.driverName, "driverName", MOST_NAME), _phone(body.phoneNumber), items)

    @property
    def digest(self) -> str:
        """The same for the same order, whatever its spelling."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def variables(self) -> dict[str, Any]:
        """What the call is about, for its record (`Call.metadata["variables"]`)."""
        return {
            "driver_id": self.driver_id,
            "driver_name": self.driver_name,
            "items": [asdict(item) for item in self.items],
        }

    def dynamic_variables(self, call_id: str) -> dict[str, str | int]:
        """What the agent's prompt may use: flat, as ElevenLabs wants it. All of them are always there, for a variable
        that a prompt uses and nobody supplies makes the conversation fail."""
        violations = [item for item in self.items if item.type == "violation"]
        reminders = [item for item in self.items if item.type == "reminder"]
        return {
            "call_id": call_id,
            "driver_id": self.driver_id,
            "driver_name": self.driver_name,
            "items": _listed(self.items),
            "item_count": len(self.items),
            "violations": _listed(violations) or "none",
            "violation_count": len(violations),
            "reminders": _listed(reminders) or "none",
            "reminder_count": len(reminders),
        }


def call_id_of(driver_id: str, now: datetime) -> str:
    """`EL_{driverId}_20261120T190102345Z`: the call's own id, known before anybody is asked to place it."""
    return f"EL_{driver_id}_{re.sub(r'[-:.]', '', iso(now))}"


def find_text(value: Mapping[str, Any], *path: str) -> str | None:
    """The text at `path` in nested objects, None if there is none."""
    found: object = value
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def names(conversation: Mapping[str, Any], call_id: str) -> bool:
    """True if ElevenLabs' conversation carries this call id: we gave it both ways when the call was placed."""
    given = ("conversation_initiation_client_data", "dynamic_variables", "call_id")
    return call_id in (find_text(conversation, "user_id"), find_text(conversation, *given))


def _listed(items: tuple[Item, ...] | list[Item]) -> str:
    """`1. Violation: ... 2. Reminder: ...`, one a line."""
    return "\n".join(f"{n}. {item.type.capitalize()}: {item.description}" for n, item in enumerate(items, start=1))


def _line(text: str, field: str, most: int) -> str:
    """One line, without control characters. Raises ApiError (422)."""
    line = " ".join(text.split())
    if not line or len(line) > most or not line.isprintable():
        raise ApiError(422, f"{field} must be 1 to {most} printable characters.")
    return line


def _phone(text: str) -> str:
    """Raises ApiError (422)."""
    try:
        if not _INTERNATIONAL.fullmatch(text.strip()):
            raise NotANumber("it must be a number in international form, like +14155550123")
        return e164(text)
    except NotANumber as error:
        raise ApiError(422, f"phoneNumber: {error}.") from error
