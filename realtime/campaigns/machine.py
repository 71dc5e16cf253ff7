"""What a campaign does next. Pure: rows and the time in, one decision out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from realtime.campaigns.model import Campaign, Row
from realtime.clock import parse_iso
from realtime.reminders import windows


@dataclass(frozen=True, slots=True)
class Begin:
    """Place this row's call now (or look it up, if that was begun before)."""

    row: Row


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing can be begun before `seconds` are over; `why` is pace, calls (as many run as may), or window."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is open any more."""


Decision = Begin | Rest | Finished
LOOK_S = 5.0
"""How long a campaign that waits for an end or for a window rests at most."""


def decide(
    campaign: Campaign, rows: Sequence[Row], now: datetime, zones_of: Callable[[str], Sequence[str]]
) -> Decision:
    """`zones_of` names the time zones of a number."""
    open_rows = [row for row in rows if row.state in ("waiting", "placing", "placed")]
    if not open_rows:
        return Finished()
    broken_off = next((row for row in open_rows if row.state == "placing"), None)
    if broken_off is not None:
        return Begin(broken_off)
    waiting = [row for row in open_rows if row.state == "waiting"]
    if not waiting or sum(row.state == "placed" for row in open_rows) >= campaign.at_once:
        return Rest(LOOK_S, "calls")
    pause = _pause(campaign, rows, now)
    if pause > 0:
        return Rest(min(pause, LOOK_S), "pace")
    opens, closes = time.fromisoformat(campaign.opens), time.fromisoformat(campaign.closes)
    for row in waiting:
        if windows.is_open(now, tuple(zones_of(row.to)), opens, closes):
            return Begin(row)
    return Rest(LOOK_S, "window")


def _pause(campaign: Campaign, rows: Sequence[Row], now: datetime) -> float:
    begun = max((row.begun_at for row in rows if row.begun_at), default=None)
    if begun is None:
        return 0.0
    return (parse_iso(begun) + timedelta(seconds=60 / campaign.per_minute) - now).total_seconds()


def seconds_for(rows: int, per_minute: int, at_once: int, call_seconds: float = 120.0) -> float:
    """About how long a campaign takes, while every window is open."""
    by_pace = rows * 60 / per_minute
    by_calls = rows * call_seconds / at_once
    return max(by_pace, by_calls)
