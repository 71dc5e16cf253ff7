"""When somebody may be called: a window of the day on the clock of the place they live in. Pure.

Open is what the callee's clock shows at that very instant, whatever daylight saving did that night. A number that may
belong to several zones (a British mobile, a Russian one) may be called only while all of them are open.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import PhoneNumberType, timezone

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_PLACED = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
"""Kinds of numbers that live somewhere; a toll-free one is at home in every zone of its country."""


def zones_of(phone: str, otherwise: str) -> tuple[str, ...]:
    """The names of the time zones that an E.164 number may be in; `otherwise` (the shop's) when that is unknown."""
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return (otherwise,)
    if phonenumbers.number_type(number) not in _PLACED:
        return (otherwise,)
    names = [name for name in timezone.time_zones_for_number(number) if name != timezone.UNKNOWN_TIMEZONE]
    return tuple(names) or (otherwise,)


def known_zone(name: str) -> bool:
    """True for a name of the time zone database."""
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def is_open(moment: datetime, zones: Sequence[str], opens: time, closes: time) -> bool:
    """True while every zone's clock shows a time in [opens, closes)."""
    return all(opens <= moment.astimezone(_zone(name)).time() < closes for name in zones)


def next_open(moment: datetime, zones: Sequence[str], opens: time, closes: time, until: datetime) -> datetime | None:
    """The first instant from `moment` on, and not after `until`, at which the window is open; None if there is none.
    UTC. In the night of a change of clocks it may be up to the change later than the very first."""
    at = moment.astimezone(UTC)
    while at <= until:
        closed = [name for name in zones if not is_open(at, (name,), opens, closes)]
        if not closed:
            return at
        at = max(_opening(at, _zone(name), opens, closes) for name in closed)
    return None


def last_open(moment: datetime, zones: Sequence[str], opens: time, closes: time, grace: timedelta) -> datetime:
    """How long after `moment` (which is open) the window stays open, to the minute, `grace` at most."""
    end = moment
    while end - moment < grace:
        step = min(end + _MINUTE, moment + grace)
        if not is_open(step, zones, opens, closes):
            break
        end = step
    return end


def _opening(after: datetime, zone: ZoneInfo, opens: time, closes: time) -> datetime:
    """The next opening of one zone, whose window is closed at `after`."""
    today = after.astimezone(zone).date()
    found: list[datetime] = []
    for day in (today - _DAY, today, today + _DAY, today + 2 * _DAY):
        found += [at for at in _instants(day, opens, zone) if at > after and is_open(at, (zone.key,), opens, closes)]
    # A window that the clock jumped over does not open that day; then the search goes on a day later.
    return min(found, default=after + _DAY)


def _instants(day: date, clock: time, zone: ZoneInfo) -> list[datetime]:
    """The instants at which the clock of `zone` is set to this: two when the hour comes twice."""
    local = datetime.combine(day, clock, zone)
    return sorted({local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)})


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
