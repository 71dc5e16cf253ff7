"""What the reminders' machine is told and what it decides. Times are aware datetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, Self


class Outcome(StrEnum):
    """How an attempt went. `pending`: planned, queued or on the line."""

    PENDING = "pending"
    UNREACHED = "unreached"
    """Nobody answered, busy, failed; or the call was never seen, though it may have been placed."""
    UNDECIDED = "undecided"
    """Somebody answered, and nothing came of it."""
    VOICEMAIL = "voicemail"
    CONFIRMED = "confirmed"
    MOVED = "moved"
    CANCELLED = "cancelled"
    HANDED_OVER = "handed_over"
    """A person of the shop has it, or has been asked to."""
    WRONG_PERSON = "wrong_person"
    """The number is somebody else's."""
    WITHDRAWN = "withdrawn"
    """Taken back before its time: certainly not placed."""


SETTLED = frozenset(
    {
        Outcome.VOICEMAIL,
        Outcome.CONFIRMED,
        Outcome.MOVED,
        Outcome.CANCELLED,
        Outcome.HANDED_OVER,
        Outcome.WRONG_PERSON,
    }
)
"""After one of these nobody is called about it again."""


class Why(StrEnum):
    """Why an appointment gets no call now."""

    STOPPED = "stopped"
    NOT_BOOKED = "not_booked"
    CONFIRMED = "confirmed"
    SETTLED = "settled"
    NO_NUMBER = "no_number"
    DO_NOT_CALL = "do_not_call"
    IN_PROGRESS = "in_progress"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    TOO_LATE = "too_late"
    """No time is left that is in the window, spaced, and early enough before the appointment."""
    LATER = "later"
    """Its time comes after this run's look-ahead."""
    NO_LINE = "no_line"
    """All lines are spoken for within this run's look-ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`orgs/{org}/records/reminders`: the switch and the limits. `opens` and `closes` are on the callee's clock."""

    stopped: bool = False
    opens: time = time(9)
    closes: time = time(20)
    most_attempts: int = 3
    spacing: timedelta = timedelta(hours=2)
    """Between two calls to one number, whatever they are about."""
    lead: timedelta = timedelta(hours=1)
    """No reminder later than this before the appointment."""
    lines: int = 4
    """How many calls there can be at once, those of others included: reminders take what is free."""
    per_minute: int = 2
    hold: timedelta = timedelta(minutes=3)
    """For how long a call is taken to hold its line."""
    ahead: timedelta = timedelta(minutes=15)
    """How far a run plans: at least as long as the schedule's interval. What changes later is seen by a later run."""
    grace: timedelta = timedelta(minutes=10)
    """How late a call may start after its time (never after the window)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: times `HH:MM`, durations in minutes."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored, missing ones have their defaults. Raises ValueError that names the wrong key."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name in data:
                values[field.name] = _read(field.name, getattr(cls(), field.name), data[field.name])
        rules = cls(**values)
        if rules.opens >= rules.closes:
            raise ValueError("reminders: `opens` must be before `closes`")
        for name in ("grace", "ahead"):
            if getattr(rules, name) < timedelta(minutes=1):
                raise ValueError(f"reminders: `{name}` must be 1 minute or more")
        return rules


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds() / 60
    return value.strftime("%H:%M") if isinstance(value, time) else value


def _read(name: str, default: object, value: Any) -> object:
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise ValueError(f"reminders: `{name}` must be true or false")
    if isinstance(default, time):
        try:
            return time.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValueError(f"reminders: `{name}` must be a time such as 09:00") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10_000:
        raise ValueError(f"reminders: `{name}` must be a number, 0 to 10000")
    if isinstance(default, timedelta):
        return timedelta(minutes=value)
    if value != int(value) or value < 1:
        raise ValueError(f"reminders: `{name}` must be a whole number, 1 or more")
    return int(value)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call about an appointment, the `n`-th, not before `at` and not after `until`."""

    n: int
    at: datetime
    until: datetime
    outcome: Outcome = Outcome.PENDING

    @property
    def counts(self) -> bool:
        """True unless it certainly was not placed."""
        return self.outcome is not Outcome.WITHDRAWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An appointment of the day to come, and all that speaks for or against a call. `phone_key` is the digest of the
    number, None when there is none to call; `status` the appointment's own."""

    reminder_id: str
    appointment_id: str
    starts: datetime
    status: str
    phone_key: str | None
    zones: tuple[str, ...]
    listed: bool = False
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A call of the last hours or the next minutes, about whatever: it holds a line, and its number is spared for a
    while."""

    phone_key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Planned:
    """Call about `reminder_id` for the `n`-th time, from `at` on, not after `until`."""

    reminder_id: str
    n: int
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What a run does: calls, and why the others get none (by reminder id)."""

    calls: tuple[Planned, ...]
    skipped: Mapping[str, Why]
