"""The shop: what it does and how long that takes, when it is open, how many cars it can take at once.

Kept as `orgs/{org}/records/shop`; an organisation that has none yet works by `DEFAULT_SHOP`. Days are ISO dates and
times `HH:MM`, both in the shop's own time zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from functools import lru_cache
from typing import Any, Self

from realtime.stores.port import DocumentStore, Put, Write

STEP_MINUTES = 30
"""Appointments begin on the hour and the half hour; a long one takes several steps of the same bay."""


@dataclass(frozen=True, slots=True)
class Service:
    """What can be booked. `key` is what tools and records use, `say` how it is said aloud."""

    key: str
    say: str
    minutes: int

    @property
    def steps(self) -> int:
        """How many slots of a bay it takes."""
        return -(-self.minutes // STEP_MINUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """`hours` are (opens, closes) for monday..sunday, None when closed."""

    name: str
    services: tuple[Service, ...]
    hours: tuple[tuple[time, time] | None, ...]
    bays: int = 2
    closed_on: frozenset[date] = field(default_factory=frozenset)

    def service(self, wanted: str) -> Service | None:
        """By key or by what it is called, whatever the case."""
        plain = wanted.strip().lower().replace("_", " ")
        return next((one for one in self.services if plain in (one.key.replace("_", " "), one.say.lower())), None)

    def grid(self, day: date) -> tuple[str, ...]:
        """Every start of a step on that day, "09:00", "09:30" ...; empty when closed."""
        hours = None if day in self.closed_on else self.hours[day.weekday()]
        return () if hours is None else _starts(*hours)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "services": [{"key": one.key, "say": one.say, "minutes": one.minutes} for one in self.services],
            "hours": [None if day is None else "-".join(one.strftime("%H:%M") for one in day) for day in self.hours],
            "bays": self.bays,
            "closed_on": sorted(day.isoformat() for day in self.closed_on),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, ValueError, TypeError on a poison document."""
        hours = tuple(None if day is None else _opening(day) for day in data["hours"])
        if len(hours) != 7 or int(data["bays"]) < 1:
            raise ValueError("a shop has hours for seven days and at least one bay")
        return cls(
            name=data["name"],
            services=tuple(Service(one["key"], one["say"], int(one["minutes"])) for one in data["services"]),
            hours=hours,
            bays=int(data["bays"]),
            closed_on=frozenset(date.fromisoformat(day) for day in data.get("closed_on", ())),
        )


@lru_cache(256)
def _starts(opens: time, closes: time) -> tuple[str, ...]:
    """Asked for with every start that is looked at, and the same on most days."""
    first, last = (60 * one.hour + one.minute for one in (opens, closes))
    begins = range(first, last - STEP_MINUTES + 1, STEP_MINUTES)
    return tuple(f"{at // 60:02}:{at % 60:02}" for at in begins)


def _opening(text: str) -> tuple[time, time]:
    opens, closes = (time.fromisoformat(one) for one in text.split("-"))
    return opens, closes


_WEEKDAY = (time(8), time(18))
DEFAULT_SHOP = Shop(
    name="Sunrise Auto Service",
    services=(
        Service("oil_change", "oil change", 30),
        Service("brake_service", "brake service", 90),
        Service("tire_rotation", "tire rotation", 45),
        Service("battery_check", "battery check", 30),
        Service("inspection", "state inspection", 60),
        Service("diagnostics", "engine check", 60),
    ),
    hours=(_WEEKDAY, _WEEKDAY, _WEEKDAY, _WEEKDAY, _WEEKDAY, (time(9), time(17)), (time(10), time(16))),
)


def path(org: str) -> str:
    """Where the shop of an organisation is kept."""
    return f"orgs/{org}/records/shop"


async def load(store: DocumentStore, org: str) -> Shop:
    """Raises StoreUnavailable; KeyError, ValueError, TypeError on a poison document."""
    (found,) = await store.get(path(org))
    return DEFAULT_SHOP if found is None else Shop.from_dict(found.data)


def writes(org: str, shop: Shop) -> tuple[Write, ...]:
    """What makes `shop` the shop of `org`."""
    return (Put(path(org), shop.to_dict()),)
