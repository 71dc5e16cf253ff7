"""Times and lists as they are said aloud."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as Date
from datetime import time as Time


def spoken_time(at: Time) -> str:
    """ "2 PM", "10:30 AM"."""
    minutes = f":{at.minute:02d}" if at.minute else ""
    return f"{at.hour % 12 or 12}{minutes} {'AM' if at.hour < 12 else 'PM'}"


def spoken_day(day: Date) -> str:
    """ "November 23"."""
    return f"{day:%B} {day.day}"


def listed(items: Sequence[str], last: str) -> str:
    """ "1 PM, 1:30 PM or 2:30 PM"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def spoken_when(day: Date, at: Time) -> str:
    """ "2 PM on Monday, November 23"."""
    return f"{spoken_time(at)} on {day:%A}, {spoken_day(day)}"
