"""The machine of one `callboard.v1` connection: who it is, what it watches, what it is answered and when it must go.

Pure: `step(state, news) -> (state, commands)`; the shell brings the time (seconds of a clock that does not go back) and
the calls it found. A subscription begins as `Attach`; when the store has been asked, `Found` decides where it starts:
after the client's `since` if the journal can answer from there, else at the head, and then a snapshot precedes any
event. The reply waits until the first event is there, so that `recovered: true` is never said too early.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from media_gateway.auth.model import Principal
from media_gateway.dashboard.v1 import frames
from media_gateway.dashboard.v1.frames import ALL, Ack, Command, Connect, Pong, Refresh, Since, Subscribe, Unsubscribe
from realtime.call import Call
from realtime.paths import is_id
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
Step = tuple[State, list[Do]]


def step(state: State, news: News) -> Step:
    """The connection after the news, and what is to be done."""
    if state.phase is Phase.CLOSED:
        return state, []
    handler: Callable[[State, Any], Step] = _HANDLERS[type(news)]
    return handler(state, news)


def _close(state: State, code: int, reason: str) -> Step:
    return replace(state, phase=Phase.CLOSED), [Close(code, reason)]


def _fail(state: State, id: int, code: frames.ErrorCode, message: str) -> Step:
    return state, [Send(frames.failure(id, code, message))]


# -- commands of the client ----------------------------------------------------------------------------------------


def _received(state: State, news: Received) -> Step:
    frame = news.frame
    state = replace(state, pinged_at=None)
    if isinstance(frame, Pong):
        return state, []
    if state.phase is not Phase.OPEN and not isinstance(frame, Connect):
        return _close(state, frames.UNAUTHENTICATED, "the first message must be connect, with a ticket as its token")
    if state.ids.used(frame.id):
        return _close(state, frames.DUPLICATE_ID, "this id was used before")
    state = replace(state, ids=state.ids.with_(frame.id))
    if len(state.ids.above) > state.limits.strangers:
        return _close(state, frames.TOO_MANY, "ids should grow by one")
    state = _allowed(state, news.at)
    if state.refused > state.limits.burst:
        return _close(state, frames.TOO_MANY, "too many commands")
    if state.refused:
        return _fail(state, frame.id, "too_many_requests", f"At most {state.limits.rate:g} commands a second.")
    match frame:
        case Connect():
            return _connect(state, frame)
        case Subscribe():
            return _subscribe(state, frame, news.at)
        case Unsubscribe():
            return _unsubscribe(state, frame)
        case Ack():
            return _ack(state, frame)
        case Refresh():
            return state, [Redeem(frame)]


def _allowed(state: State, at: float) -> State:
    """Take one command out of the bucket; `refused` counts those in a row that found it empty."""
    limits = state.limits
    left = min(limits.burst, state.left + (at - state.left_at) * limits.rate) if state.left_at else limits.burst
    if left < 1:
        return replace(state, left=left, left_at=at, refused=state.refused + 1)
    return replace(state, left=left - 1, left_at=at, refused=0)


def _wrong(state: State, news: Wrong) -> Step:
    if news.id is None or state.phase is not Phase.OPEN:
        return _close(state, frames.BAD_MESSAGE, "not a command of callboard.v1")
    if state.ids.used(news.id):
        return _close(state, frames.DUPLICATE_ID, "this id was used before")
    state = _allowed(replace(state, ids=state.ids.with_(news.id), pinged_at=None), news.at)
    if state.refused > state.limits.burst or len(state.ids.above) > state.limits.strangers:
        return _close(state, frames.TOO_MANY, "too many commands")
    return _fail(state, news.id, "bad_request", news.text)


def _connect(state: State, command: Connect) -> Step:
    if state.phase is not Phase.WAITING:
        return _fail(state, command.id, "bad_request", "This connection is connected already.")
    resume = command.resume.all.cursor if command.resume and command.resume.all else None
    return replace(state, phase=Phase.REDEEMING, resume=resume), [Redeem(command)]


def _redeemed(state: State, news: Redeemed) -> Step:
    limits = state.limits
    hello = {
        **news.hello,
        "ping": limits.ping_s,
        "pong_timeout": limits.pong_s,
        "max_subscriptions": limits.subscriptions,
        "window": limits.max_frames,
    }
    before = state.principal
    if before is not None and (before.user, before.org) != (news.principal.user, news.principal.org):
        return _fail(state, news.command.id, "forbidden", "This ticket is somebody else's.")
    state = replace(state, phase=Phase.OPEN, principal=news.principal, expires_at=news.expires_at)
    return state, [Send(frames.reply(news.command.id, hello))]


def _not_redeemed(state: State, news: NotRedeemed) -> Step:
    if isinstance(news.command, Refresh):
        # The connection is good for as long as it was.
        return _fail(state, news.command.id, "unavailable" if news.away else "unauthorized", news.why)
    if news.too_many:
        return _close(state, frames.TOO_MANY, news.why)
    return _close(state, frames.STORE_AWAY if news.away else frames.UNAUTHENTICATED, news.why)


def _subscribe(state: State, command: Subscribe, at: float) -> Step:
    name, since = command.name, command.since or Since()
    everything = name == ALL
    if name is None or not (everything or is_id(name)):
        return _fail(state, command.id, "bad_request", "Name one call: call_id, call_sid or conversation_id, or *.")
    if "durable" not in command.lanes:
        return _fail(state, command.id, "bad_request", "The live lane comes with the durable one only.")
    if (since.cursor is not None) != (everything and command.since is not None):
        return _fail(state, command.id, "bad_request", "since is {epoch, seq} for a call and {cursor} for *.")
    if since.seq is None and since.epoch is not None:
        return _fail(state, command.id, "bad_request", "since needs the seq that was seen last.")
    if state.principal and command.filter and command.filter.org not in (None, state.principal.org):
        return _fail(state, command.id, "forbidden", "This organisation's calls are not yours to see.")
    if _named(state, name):
        return _fail(state, command.id, "already_subscribed", "This connection watches that already.")
    if len(state.subs) >= state.limits.subscriptions:
        return _fail(state, command.id, "limit", f"At most {state.limits.subscriptions} subscriptions a connection.")
    if everything and since.cursor is None and state.resume is not None:
        since = Since(cursor=state.resume)
    sub = Sub(command.id, name, since, "live" in command.lanes, at)
    return replace(state, subs={**state.subs, sub.id: sub}), [Attach(sub)]


def _unsubscribe(state: State, command: Unsubscribe) -> Step:
    sub = _named(state, command.call_id)
    if sub is None:
        return _fail(state, command.id, "unknown_call", "This connection does not watch that.")
    commands: list[Do] = [Detach(sub.id)]
    if not sub.answered:
        commands.append(Send(frames.failure(sub.id, "bad_request", "It was unsubscribed before it was answered.")))
    commands.append(Send(frames.reply(command.id, {"call_id": sub.call_id or sub.name})))
    return _without(state, sub.id), commands


def _ack(state: State, command: Ack) -> Step:
    """Welcome, and of no consequence: what was sent is kept for nobody, the journal has it."""
    if _named(state, command.call_id) is None and _named(state, ALL) is None:
        return _fail(state, command.id, "unknown_call", "This connection does not watch that.")
    return state, [Send(frames.reply(command.id, {"call_id": command.call_id, "seq": command.seq}))]


# -- subscriptions -------------------------------------------------------------------------------------------------


def _named(state: State, name: str) -> Sub | None:
    return next((sub for sub in state.subs.values() if name in (sub.name, sub.call_id)), None)


def _without(state: State, id: int) -> State:
    return replace(state, subs={key: sub for key, sub in state.subs.items() if key != id})


def _with(state: State, sub: Sub) -> State:
    return replace(state, subs={**state.subs, sub.id: sub})


def _refuse(state: State, sub: Sub, code: frames.ErrorCode, message: str) -> Step:
    """This subscription comes to nothing."""
    commands: list[Do] = [Detach(sub.id)]
    if not sub.answered:
        commands.append(Send(frames.failure(sub.id, code, message)))
    return _without(state, sub.id), commands


def visible(principal: Principal | None, call: Call) -> bool:
    """True if this call is theirs to see."""
    return principal is not None and call.org == principal.org


def _found(state: State, news: Found) -> Step:
    sub, call = state.subs.get(news.id), news.call
    if sub is None:
        return state, [Detach(news.id)]
    if call is None or not visible(state.principal, call):
        return _refuse(state, sub, "unknown_call", "There is no such call.")
    if any(other.call_id == call.call_id for other in state.subs.values() if other.id != sub.id):
        return _refuse(state, sub, "already_subscribed", "This connection watches that call already.")
    seq, why = _start(sub, call, state.limits.replay)
    done = call.status.terminal
    result: dict[str, Any] = {"call_id": call.call_id, "epoch": call.epoch, "head": call.seq, "recovered": why is None}
    result |= {"replayed": call.seq - seq, "done": done} | ({} if why is None else {"reason": why})
    sub = replace(sub, call_id=call.call_id, result=result)
    commands: list[Do] = []
    if why is not None or seq >= call.seq:
        sub = _answer(sub, commands)
    if why is not None:
        place = {"call_id": call.call_id, "epoch": call.epoch, "seq": call.seq}
        commands.append(Send({"type": "snapshot", **place, "state": news.state}))
    return _with(state, sub), [*commands, Begin(sub.id, call.call_id, Cursor(seq, call.epoch))]


def _start(sub: Sub, call: Call, longest: int) -> tuple[int, str | None]:
    """After which event the subscription starts, and why that is not where the client asked for."""
    seq, epoch = sub.since.seq or 0, sub.since.epoch
    if sub.forced is not None:
        return call.seq, sub.forced
    if epoch not in (None, call.epoch) or seq > call.seq:
        return call.seq, "epoch_changed"
    if call.seq - seq > longest:
        return call.seq, "too_long"
    return seq, None


def _answer(sub: Sub, commands: list[Do]) -> Sub:
    if not sub.answered:
        commands.append(Send(frames.reply(sub.id, sub.result)))
    return replace(sub, answered=True)


def _found_all(state: State, news: FoundAll) -> Step:
    sub = state.subs.get(news.id)
    if sub is None or sub.answered:
        return state, []
    result = {"call_id": ALL, "heads": news.heads, "cursor": news.cursor, "recovered": news.recovered}
    return _with(state, replace(sub, answered=True)), [Send(frames.reply(sub.id, result))]


def _flows(state: State, news: Flows) -> Step:
    sub = state.subs.get(news.id)
    if sub is None:
        return state, []
    commands: list[Do] = []
    return _with(state, _answer(sub, commands)), commands


def _over(state: State, news: Over) -> Step:
    sub = state.subs.get(news.id)
    if sub is None:
        return state, []
    match news.reason:
        case Ended.COMPLETED:
            commands: list[Do] = []
            _answer(sub, commands)
            return _without(state, sub.id), [*commands, Detach(sub.id, purge=False)]
        case Ended.EPOCH_CHANGED | Ended.LOG_EXPIRED:
            again = replace(sub, forced=news.reason.value)
            return _with(state, again), [Attach(again)]
        case Ended.SLOW:
            return _close(state, frames.SLOW, "too slow")
        case Ended.FAILED:
            return _close(state, frames.INSUFFICIENT, "this subscription cannot go on")
        case Ended.CLOSED:
            return _close(state, frames.GOING_AWAY, "going away")


# -- time, and the store -------------------------------------------------------------------------------------------


def _store_is(state: State, news: StoreIs) -> Step:
    if news.away and state.away_at is None:
        told: dict[str, Any] = {"type": "degraded", "reason": "store_unreachable", "since": news.since}
        return replace(state, away_at=news.at), [Send(told)] if state.phase is Phase.OPEN else []
    if not news.away and state.away_at is not None:
        return replace(state, away_at=None), [Send({"type": "restored"})] if state.phase is Phase.OPEN else []
    return state, []


def _tick(state: State, news: Tick) -> Step:
    at, limits = news.at, state.limits
    if state.phase is not Phase.OPEN:
        late = at - state.opened_at > limits.connect_s * (1 if state.phase is Phase.WAITING else 3)
        return _close(state, frames.CONNECT_TIMEOUT, "no ticket in time") if late else (state, [])
    for gone, code, reason in (
        (state.expires_at is not None and at >= state.expires_at, frames.EXPIRED, "the ticket's login has expired"),
        (news.stuck_since is not None and at - news.stuck_since > limits.stuck_s, frames.SLOW, "too slow"),
        (state.pinged_at is not None and at - state.pinged_at > limits.pong_s, frames.NO_PONG, "no pong"),
        (state.away_at is not None and at - state.away_at > limits.store_s, frames.STORE_AWAY, "the store is away"),
        (at >= state.planned_at, frames.PLANNED, "time to reconnect"),
    ):
        if gone:
            return _close(state, code, reason)
    commands: list[Do] = []
    for sub in [sub for sub in state.subs.values() if not sub.answered and at - sub.asked_at > limits.answer_s]:
        state, more = _refuse(state, sub, "unavailable", "The store does not answer.")
        commands += more
    if at >= state.ping_at:
        commands.append(Ping())
        state = replace(state, ping_at=at + limits.ping_s, pinged_at=at if state.pinged_at is None else state.pinged_at)
    return state, commands


_HANDLERS: Mapping[type[News], Callable[[State, Any], Step]] = {
    Received: _received,
    Wrong: _wrong,
    Redeemed: _redeemed,
    NotRedeemed: _not_redeemed,
    Revoked: lambda state, news: _close(state, frames.UNAUTHENTICATED, news.why),
    Found: _found,
    FoundAll: _found_all,
    Flows: _flows,
    Over: _over,
    StoreIs: _store_is,
    Tick: _tick,
}
