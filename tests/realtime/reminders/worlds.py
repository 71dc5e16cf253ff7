"""Random worlds for the reminders' machine: clocks, zones with all their oddities, people, earlier attempts."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from hypothesis import strategies as st

from realtime.reminders.model import Attempt, Due, Outcome, Placed, Rules

ZONES = (
    "America/New_York",
    "America/Los_Angeles",
    "America/Phoenix",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Auckland",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
)
# Around these, clocks change: New York, Europe, Lord Howe, Chatham; and Samoa left out a day.
_CHANGES = (
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 9, 26, 14, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
)


def zones() -> st.SearchStrategy[str]:
    return st.sampled_from(ZONES)


def moments() -> st.SearchStrategy[datetime]:
    """Any time, and often one in the day before or after a change of clocks."""
    any_time = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
    near = st.tuples(st.sampled_from(_CHANGES), st.integers(-86_400, 86_400))
    return any_time | near.map(lambda pair: pair[0] + timedelta(seconds=pair[1]))


def clocks() -> st.SearchStrategy[tuple[time, time]]:
    """(opens, closes)."""
    pairs = st.tuples(st.integers(0, 1438), st.integers(1, 1439))
    ordered = pairs.filter(lambda pair: pair[0] < pair[1])
    return ordered.map(lambda pair: (_clock(pair[0]), _clock(pair[1])))


def _clock(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)


@st.composite
def rules(draw: st.DrawFn, *, stopped: bool | None = None) -> Rules:
    opens, closes = draw(clocks())
    return Rules(
        stopped=draw(st.booleans()) if stopped is None else stopped,
        opens=opens,
        closes=closes,
        most_attempts=draw(st.integers(1, 4)),
        spacing=timedelta(minutes=draw(st.integers(0, 300))),
        lead=timedelta(minutes=draw(st.integers(0, 180))),
        lines=draw(st.integers(1, 4)),
        per_minute=draw(st.integers(1, 4)),
        hold=timedelta(seconds=draw(st.integers(0, 600))),
        ahead=timedelta(minutes=draw(st.sampled_from([5, 15, 60, 1440]))),
        grace=timedelta(minutes=draw(st.integers(1, 20))),
    )


@st.composite
def attempts(draw: st.DrawFn, now: datetime) -> tuple[Attempt, ...]:
    ago = sorted(draw(st.lists(st.integers(-900, 30_000), max_size=4, unique=True)), reverse=True)
    starts = [now.replace(microsecond=0) - timedelta(seconds=seconds) for seconds in ago]
    outcomes = draw(st.lists(st.sampled_from(Outcome), min_size=len(ago), max_size=len(ago)))
    grace = timedelta(minutes=5)
    return tuple(Attempt(n, at, at + grace, out) for n, (at, out) in enumerate(zip(starts, outcomes, strict=True), 1))


@st.composite
def dues(draw: st.DrawFn, now: datetime, n: int) -> Due:
    return Due(
        reminder_id=f"R{n}",
        appointment_id=f"A{n}",
        starts=now + timedelta(minutes=draw(st.integers(-60, 2880))),
        status=draw(st.sampled_from(["booked", "booked", "booked", "confirmed", "canceled"])),
        phone_key=draw(st.sampled_from([None, "p1", "p2", "p3", "p4", "p5", "p6"])),
        zones=tuple(draw(st.lists(zones(), min_size=1, max_size=2))),
        listed=draw(st.sampled_from([False, False, False, True])),
        attempts=draw(attempts(now)),
    )


@st.composite
def worlds(draw: st.DrawFn, *, stopped: bool | None = None) -> tuple[datetime, Rules, list[Due], list[Placed], int]:
    now = draw(moments())
    people = [draw(dues(now, n)) for n in range(draw(st.integers(0, 7)))]
    others = st.tuples(st.sampled_from(["p1", "p2", "x"]), st.integers(-900, 9000))
    placed = [
        Placed(key, now.replace(microsecond=0) - timedelta(seconds=ago))
        for key, ago in draw(st.lists(others, max_size=4))
    ]
    return now, draw(rules(stopped=stopped)), people, placed, draw(st.integers(0, 5))
