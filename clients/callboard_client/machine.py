"""What a client is told, and how far: the part that needs no network."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

BASE_S, CAP_S = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Since:
    """The event that was seen last; without an epoch, of whatever journal there is."""

    seq: int
    epoch: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A durable event."""

    call_id: str
    epoch: str
    seq: int
    event: str
    ts: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a call stands, in the place of events that cannot be told any more."""

    call_id: str
    epoch: str
    seq: int
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """Of the live lane: at most once."""

    call_id: str
    live_epoch: str
    n: int
    event: str
    ts: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gap:
    """Moments that were dropped."""

    call_id: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Heads:
    """The calls that go on."""

    calls: tuple[Mapping[str, Any], ...]
    resumed: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A subscription that the server refused."""

    call_id: str
    code: str
    retry: bool


@dataclass(frozen=True, slots=True)
class State:
    """Of the line. `degraded`: the server has lost its store, what is shown may be old."""

    phase: Literal["connecting", "live", "waiting", "polling", "stopped"]
    code: int = 0
    degraded: bool = False


Item = Event | Snapshot | Moment | Gap | Heads | Refused | State


def delay(attempt: int, rand: Callable[[], float] = random.random) -> float:
    """Seconds before attempt 0, 1, 2 ...: full jitter."""
    return rand() * min(CAP_S, BASE_S * float(2 ** min(attempt, 10)))


def verdict(code: int) -> Literal["stop", "ticket", "later", "spread", "again"]:
    """What a close code asks for."""
    if code == 4401:
        return "ticket"
    if code == 4429:
        return "later"
    if code == 1009 or (4400 <= code < 4500 and code != 4405):
        return "stop"
    return "spread" if code in (1001, 1012, 4501) else "again"


@dataclass(slots=True)
class Known:
    """How far a call was told."""

    epoch: str
    seq: int
    done: bool = False


class Progress:
    """How far each call was told: what makes an event new, old, or proof of a hole."""

    def __init__(self) -> None:
        self.calls: dict[str, Known] = {}

    def since(self, call_id: str) -> dict[str, Any] | None:
        known = self.calls.get(call_id)
        return {"epoch": known.epoch, "seq": known.seq} if known else None

    def take(self, call_id: str, epoch: str, seq: int, event: str) -> Literal["new", "old", "hole"]:
        known = self.calls.get(call_id) or Known(epoch, 0)
        if epoch != known.epoch:
            return "hole"
        if seq <= known.seq:
            return "old"
        if seq > known.seq + 1:
            return "hole"
        self.calls[call_id] = Known(epoch, seq, known.done or event == "call_completed")
        return "new"
