"""`/ws/v1`: who comes in, who has a turn to send, and what time it is, for all connections of this instance."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.auth.gate import Gate
from media_gateway.auth.model import AuthError
from media_gateway.dashboard.connection import Connections, close
from media_gateway.dashboard.heads import public, public_head
from media_gateway.dashboard.v1 import frames, model
from media_gateway.dashboard.v1.cursor import MARGIN, BadCursor, Cursors
from media_gateway.dashboard.v1.encoder import Encoder
from media_gateway.dashboard.v1.missed import Missed
from media_gateway.dashboard.v1.model import Limits, Phase, State
from media_gateway.dashboard.v1.outbox import Outbox
from media_gateway.dashboard.v1.peer import Peer
from media_gateway.dashboard.v1.watch import Watch
from media_gateway.dashboard.v1.wire import FULL
from realtime.clock import Clock, iso, utcnow
from realtime.hub import Hub
from realtime.journal import Journal
from realtime.stores.port import FeedState, StoreUnavailable

SLICE_S = 0.001
"""How long lines are sent before the event loop looks after others, and"""
SLICE_BYTES = 512 * 1024
"""how much at most; the turn that has begun then is finished."""
TICK_S = 1.0
_log = structlog.get_logger()


class Turns:
    """Who may send now. Many who have something to send are let on in slices, so that no broadcast holds the loop."""

    def __init__(self, slice_s: float = SLICE_S, clock: Callable[[], float] = time.perf_counter) -> None:
        self._slice_s, self._clock = slice_s, clock
        self._waiting: deque[Peer] = deque()
        self._scheduled = False

    def ask(self, peer: Peer) -> None:
        """A turn for this peer, once however often it is asked for."""
        if not peer.waiting_for_turn:
            peer.waiting_for_turn = True
            self._waiting.append(peer)
            if not self._scheduled:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._let_on)

    def _let_on(self) -> None:
        until, sent = self._clock() + self._slice_s, 0
        while self._waiting:
            sent += self._waiting.popleft().flush()
            if sent >= SLICE_BYTES or self._clock() >= until:
                break
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._let_on)
        else:
            self._scheduled = False


class V1Socket:
    """The endpoint."""

    def __init__(
        self,
        connections: Connections,
        hub: Hub,
        journal: Journal,
        gate: Gate,
        cursors: Cursors,
        *,
        limits: Limits | None = None,
        tick_s: float | None = None,
        clock: Clock = utcnow,
    ) -> None:
        self._connections, self._hub, self._journal = connections, hub, journal
        self._gate, self._cursors = gate, cursors
        self._limits, self._tick_s, self._clock = limits or Limits(), tick_s or TICK_S, clock
        self._encoder = Encoder()
        self._turns = Turns()
        self._peers: set[Peer] = set()
        self._users: Counter[tuple[str, str]] = Counter()
        self._counted: dict[Peer, tuple[str, str]] = {}
        self._jobs: dict[Peer, set[asyncio.Task[None]]] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._away_since: str | None = None
        self._server = os.environ.get("K_REVISION", "local")
        self._missed = Missed(journal)
        hub.on_state.append(self._store_state)

    async def serve(self, ws: WebSocket) -> None:
        """One connection."""
        if not await self._may_come_in(ws):
            return
        with self._connections.present(ws):
            peer = self._peer(ws)
            self._peers.add(peer)
            if self._ticking is None:
                self._ticking = asyncio.create_task(self._tick(), name="v1-ticks")
            try:
                code, reason = await self._run(peer, ws)
            finally:
                self._gone(peer)
        if code:
            await close(ws, code, reason, patience_s=self._limits.stuck_s if code == frames.SLOW else 1.0)

    async def _may_come_in(self, ws: WebSocket) -> bool:
        """Before anything is believed: the page's origin, room for one more, the subprotocol, no secret in the URL."""
        if not await self._connections.door(ws):
            return False
        spoken = frames.SUBPROTOCOL in ws.scope["subprotocols"]
        await ws.accept(subprotocol=frames.SUBPROTOCOL if spoken else None)
        if not spoken:
            await close(ws, frames.SUBPROTOCOL_NEEDED, "ask for the subprotocol callboard.v1")
        elif {"token", "ticket"} & set(ws.query_params):
            await close(ws, frames.BAD_MESSAGE, "the ticket belongs into the first message, never into the address")
            return False
        return spoken

    def _peer(self, ws: WebSocket) -> Peer:
        limits, now = self._limits, asyncio.get_running_loop().time()
        lag = random.random()  # noqa: S311 - spreads pings and closes, guards nothing
        state = State(
            limits=limits,
            opened_at=now,
            planned_at=now + limits.age_s - lag * limits.jitter_s,
            ping_at=now + limits.ping_s * (0.5 + lag / 2),
        )
        room = limits.max_bytes - min(FULL, limits.max_bytes // 2)  # the transport holds the rest
        outbox = Outbox(self._encoder, max_bytes=room, max_frames=limits.max_frames)
        return Peer(
            ws,
            self._hub,
            state,
            outbox,
            wake=self._turns.ask,
            redeem=lambda peer, wanted: self._job(peer, self._redeem(peer, wanted)),
            list_all=lambda peer, watch, heads: self._job(peer, self._list_all(peer, watch, heads)),
            ping=self._ping,
            recheck_at=now + limits.recheck_s,
        )

    async def _run(self, peer: Peer, ws: WebSocket) -> tuple[int, str]:
        """Until it is over; with which code to close, 0 if the client has left."""
        reading = asyncio.create_task(self._read(peer, ws))
        reading.add_done_callback(lambda ended: peer.finish(*_verdict(ended)))
        try:
            return await peer.finished
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, peer: Peer, ws: WebSocket) -> None:
        """Commands, one after the other; a client that does not read its answers is not asked for more."""
        clock = asyncio.get_running_loop().time
        while True:
            message = await ws.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            most = frames.MAX_FIRST if peer.state.phase is Phase.WAITING else frames.MAX_FRAME
            if isinstance(text, str) and len(text.encode()) > most:
                peer.finish(frames.TOO_BIG, "frame too big")
                return
            try:
                frame = frames.parse(text if isinstance(text, str) else "")
            except frames.Malformed as wrong:
                peer.tell(model.Wrong(str(wrong), wrong.id, clock()))
            else:
                peer.tell(model.Received(frame, clock()))
            await self._settled(peer)
            await peer.answered.wait()

    async def _settled(self, peer: Peer) -> None:
        """While a ticket is looked at, nothing else is read."""
        jobs = self._jobs.get(peer)
        while jobs and any(task.get_name() == "redeem" for task in jobs):
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)

    # -- what must be waited for -----------------------------------------------------------------------------------

    def _job(self, peer: Peer, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=work.__name__.strip("_"))
        jobs = self._jobs.setdefault(peer, set())
        jobs.add(task)
        task.add_done_callback(lambda done: self._job_done(peer, done))

    def _job_done(self, peer: Peer, done: asyncio.Task[None]) -> None:
        self._jobs.get(peer, set()).discard(done)
        if not done.cancelled() and done.exception() is not None:
            peer.finish(*_verdict(done))

    async def _redeem(self, peer: Peer, wanted: model.Redeem) -> None:
        command, now = wanted.command, asyncio.get_running_loop().time()
        try:
            principal = await self._gate.ticket(command.token, self._journal)
        except AuthError as error:
            peer.tell(model.NotRedeemed(command, str(error)))
            return
        except StoreUnavailable:
            peer.tell(model.NotRedeemed(command, "the store is not reachable", away=True))
            return
        user = (principal.org, principal.user)
        if peer not in self._counted:
            if self._users[user] >= self._limits.per_user:
                problem = f"at most {self._limits.per_user} connections a user"
                peer.tell(model.NotRedeemed(command, problem, too_many=True))
                return
            self._users[user] += 1
            self._counted[peer] = user
        left = (principal.expires - self._clock()).total_seconds() if principal.expires else None
        hello = {
            "conn": peer.conn,
            "server": self._server,
            "user": principal.user,
            "expires_at": iso(principal.expires) if principal.expires else None,
        }
        peer.tell(model.Redeemed(command, principal, None if left is None else now + left, hello))
        if self._away_since is not None and peer.state.phase is Phase.OPEN:
            peer.tell(model.StoreIs(away=True, since=self._away_since, at=now))

    async def _recheck(self, peer: Peer) -> None:
        """A connection is good for as long as the one who opened it may come in, and sees the same."""
        principal = peer.state.principal
        try:
            if principal is not None and (await self._gate.check(principal)).org != principal.org:
                peer.tell(model.Revoked("another organisation"))
        except AuthError as error:
            peer.tell(model.Revoked(str(error)))
        except StoreUnavailable:  # who came in stays in until we know better
            _log.debug("socket_not_rechecked")

    async def _list_all(self, peer: Peer, watch: Watch, heads: list[Mapping[str, Any]]) -> None:
        """The heads of all calls that go on; for a cursor, of those too that have begun since."""
        cursor, recovered = watch.since.cursor, True
        found = {str(head["call_id"]): public(head) for head in heads}
        if cursor is not None:
            try:
                moment = self._cursors.moment(cursor, peer.org) - MARGIN
                calls, recovered = await self._missed.since(peer.org, moment)
                found = {call.call_id: public_head(call) for call in calls} | found
            except (BadCursor, StoreUnavailable):
                recovered = False
        peer.listed(watch, list(found.values()), self._cursors.make(peer.org, self._clock()), recovered=recovered)

    def _ping(self, peer: Peer) -> Mapping[str, Any]:
        """With a newer cursor for who watches all, while the store is there."""
        if peer.watches_all and self._away_since is None:
            return {"type": "ping", "cursor": self._cursors.make(peer.org, self._clock())}
        return {"type": "ping"}

    # -- for all -----------------------------------------------------------------------------------------------------

    def _store_state(self, state: FeedState) -> None:
        """The hub's feed of heads was lost, or is back: everybody is told."""
        if (state is FeedState.DEGRADED) == (self._away_since is not None):
            return
        if state is FeedState.DEGRADED:
            self._away_since = iso(self._clock())
        news = model.StoreIs(state is FeedState.DEGRADED, self._away_since or "", asyncio.get_running_loop().time())
        if state is not FeedState.DEGRADED:
            self._away_since = None
        for peer in list(self._peers):
            peer.tell(news)

    async def _tick(self) -> None:
        """The time for everybody, in slices; ends when nobody is there."""
        loop = asyncio.get_running_loop()
        while self._peers:
            await asyncio.sleep(self._tick_s)
            for index, peer in enumerate(list(self._peers)):
                if index % 256 == 255:
                    await asyncio.sleep(0)
                peer.tell(model.Tick(loop.time(), peer.sending_since))
                if loop.time() >= peer.recheck_at:
                    peer.recheck_at = loop.time() + self._limits.recheck_s
                    self._job(peer, self._recheck(peer))
        self._ticking = None

    def _gone(self, peer: Peer) -> None:
        self._peers.discard(peer)
        peer.leave()
        for task in self._jobs.pop(peer, set()):
            task.cancel()
        user = self._counted.pop(peer, None)
        if user is not None:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]


def _verdict(ended: asyncio.Task[None]) -> tuple[int, str]:
    """How a connection closes when this task of it has ended."""
    error = None if ended.cancelled() else ended.exception()
    if error is None or isinstance(error, WebSocketDisconnect | OSError | RuntimeError):
        return 0, ""  # the client has left
    _log.error("v1_failed", task=ended.get_name(), exc_info=error)
    return frames.INTERNAL, "internal error"
