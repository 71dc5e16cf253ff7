"""The machine of one `callboard.v1` connection: who it is, what it watches, what it is answered and when it must go.

Pure: `step(state, news) -> (state, commands)`; the shell brings the time (seconds of a clock that does not go back) and
the calls it found. A subscription begins as `Attach`; when the store has been asked, `Found` decides where it starts:
after the client's `since` if the journal can answer from there, else at the head, and then a snapshot precedes any
event. The reply waits until the first event is there, so that `recovered: true` is never said too early.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from media_gateway.auth.model import Principal
from media_gateway.dashboard.v1 import frames
from media_gateway.dashboard.v1.frames import ALL, Ack, Connect, Pong, Refresh, Since, Subscribe, Unsubscribe
from media_gateway.dashboard.v1.model import (
    Attach,
    Begin,
    Close,
    Detach,
    Do,
    Flows,
    Found,
    FoundAll,
    News,
    NotRedeemed,
    Over,
    Phase,
    Ping,
    Received,
    Redeem,
    Redeemed,
    Revoked,
    Send,
    State,
    StoreIs,
    Sub,
    Tick,
    Wrong,
)
from realtime.call import Call
from realtime.paths import is_id
from realtime.subscription import Cursor, Ended

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
    # With `*` its events are wanted all the same: what waits to be sent is not sent again by that.
    purge = sub.name == ALL or _named(state, ALL) is None
    commands: list[Do] = [Detach(sub.id, purge)]
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
