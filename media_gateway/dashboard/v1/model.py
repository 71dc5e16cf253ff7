"""A connection of `callboard.v1` as its machine sees it: what it is, what happens to it, and what is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from media_gateway.auth.model import Principal
from media_gateway.dashboard.v1.frames import Command, Connect, Pong, Refresh, Since
from realtime.call import Call
from realtime.subscription import Cursor, Ended


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and numbers of the protocol (docs/live-events.md)."""

    connect_s: float = 5.0
    ping_s: float = 25.0
    pong_s: float = 10.0
    stuck_s: float = 10.0
    """A socket that takes nothing for so long is closed."""
    answer_s: float = 10.0
    """A subscription that the store does not answer for so long is refused."""
    recheck_s: float = 30.0
    """How often it is asked whether the user may still come in."""
    store_s: float = 60.0
    """How long the store may be away before clients are sent elsewhere."""
    age_s: float = 55 * 60.0
    jitter_s: float = 5 * 60.0
    """The planned close comes this much earlier at most: not everybody at once."""
    subscriptions: int = 128
    replay: int = 500
    rate: float = 20.0
    burst: float = 50.0
    strangers: int = 1024
    """Command ids that may come out of order."""
    per_user: int = 10
    max_bytes: int = 1024 * 1024
    max_frames: int = 2000


class Phase(Enum):
    """Of a connection."""

    WAITING = auto()
    REDEEMING = auto()
    OPEN = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Sub:
    """A subscription. `id` is that of its command; `answered` is False while its reply is owed."""

    id: int
    name: str
    since: Since
    live: bool
    asked_at: float
    call_id: str | None = None
    answered: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    forced: str | None = None
    """Why the journal cannot answer: then it starts at the head, with a snapshot."""


@dataclass(frozen=True, slots=True)
class Ids:
    """The command ids that were used: all up to `low`, and `above`. A client that counts needs no memory."""

    low: int = 0
    above: frozenset[int] = frozenset()

    def used(self, id: int) -> bool:
        return id <= self.low or id in self.above

    def with_(self, id: int) -> Ids:
        low, above = self.low, self.above | {id}
        while low + 1 in above:
            low += 1
            above -= {low}
        return Ids(low, above)


@dataclass(frozen=True, slots=True)
class State:
    """A connection. Times in seconds of the shell's clock."""

    limits: Limits
    opened_at: float
    planned_at: float
    ping_at: float
    phase: Phase = Phase.WAITING
    principal: Principal | None = None
    expires_at: float | None = None
    ids: Ids = Ids()
    left: float = 0.0
    left_at: float = 0.0
    refused: int = 0
    subs: Mapping[int, Sub] = field(default_factory=dict)
    resume: str | None = None
    """The cursor that the connect brought, for a `*` that brings none."""
    pinged_at: float | None = None
    away_at: float | None = None
    """Since when the store is away."""


# News.


@dataclass(frozen=True, slots=True)
class Received:
    """A frame that was read."""

    frame: Command | Pong
    at: float


@dataclass(frozen=True, slots=True)
class Wrong:
    """A frame that was not."""

    text: str
    id: int | None
    at: float


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The ticket is good. `hello` is what the server says of itself."""

    command: Connect | Refresh
    principal: Principal
    expires_at: float | None
    hello: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NotRedeemed:
    """The ticket is not, or the store could not be asked (`away`)."""

    command: Connect | Refresh
    why: str
    away: bool = False
    too_many: bool = False


@dataclass(frozen=True, slots=True)
class Revoked:
    """Who opened it may not come in any more."""

    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the store says of a subscription's call; `state` is the head as clients see it."""

    id: int
    call: Call | None
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FoundAll:
    """The heads that a `*` starts from."""

    id: int
    heads: list[Mapping[str, Any]]
    cursor: str
    recovered: bool


@dataclass(frozen=True, slots=True)
class Flows:
    """The first event of a subscription is here."""

    id: int


@dataclass(frozen=True, slots=True)
class Over:
    """A subscription has ended at the hub."""

    id: int
    reason: Ended


@dataclass(frozen=True, slots=True)
class StoreIs:
    """The feed of heads was lost (`away`), or is back."""

    away: bool
    since: str
    at: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. `stuck_since`: since when the socket takes nothing."""

    at: float
    stuck_since: float | None = None


News = Received | Wrong | Redeemed | NotRedeemed | Revoked | Found | FoundAll | Flows | Over | StoreIs | Tick

# Commands.


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame."""

    frame: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a ping."""


@dataclass(frozen=True, slots=True)
class Redeem:
    """Ask whose ticket it is."""

    command: Connect | Refresh


@dataclass(frozen=True, slots=True)
class Attach:
    """Watch this call at the hub (again, if it is watched)."""

    sub: Sub


@dataclass(frozen=True, slots=True)
class Detach:
    """Watch it no more. `purge`: what waits to be sent is not wanted either."""

    id: int
    purge: bool = True


@dataclass(frozen=True, slots=True)
class Begin:
    """This subscription starts here; what `*` brings of its call is not sent as well."""

    id: int
    call_id: str
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is over."""

    code: int
    reason: str


Do = Send | Ping | Redeem | Attach | Detach | Begin | Close
