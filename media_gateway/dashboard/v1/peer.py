"""One `callboard.v1` client: its machine's commands are carried out here, and its outbox is emptied into its socket."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.dashboard.heads import public
from media_gateway.dashboard.v1 import machine, model
from media_gateway.dashboard.v1.eager import begun
from media_gateway.dashboard.v1.frames import ALL, line
from media_gateway.dashboard.v1.model import News, State
from media_gateway.dashboard.v1.outbox import Outbox
from media_gateway.dashboard.v1.watch import Watch
from media_gateway.dashboard.v1.wire import Wire
from realtime.events import Event, LiveEvent
from realtime.hub import Cursor, Ended, Hub

QUANTUM = 16
"""Lines that one client is sent before others have their turn, or"""
MUCH = 64 * 1024
"""bytes."""
REMEMBERED = 256
ALONE = float("inf")
MOST_ANSWERS = 4
"""Answers that may wait to be sent; further commands are read when they are gone."""


class Peer:
    """`wake` asks for a turn to send; `redeem` and `list_all` begin what must be waited for."""

    def __init__(
        self,
        ws: WebSocket,
        hub: Hub,
        state: State,
        outbox: Outbox,
        *,
        wake: Callable[[Peer], None],
        redeem: Callable[[Peer, model.Redeem], None],
        list_all: Callable[[Peer, Watch, list[Mapping[str, Any]]], None],
        ping: Callable[[Peer], Mapping[str, Any]],
        recheck_at: float,
    ) -> None:
        self._ws, self._hub, self.state, self.outbox = ws, hub, state, outbox
        self._wake, self._redeem, self._list_all, self._ping = wake, redeem, list_all, ping
        self._wire = Wire(ws.scope)
        self.conn = secrets.token_hex(6)
        self.finished: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        """Done with code and reason when the connection must be closed."""
        self.answered = asyncio.Event()
        self.answered.set()
        self.sending: asyncio.Task[None] | None = None
        """What a full socket keeps us from sending, since `sending_since`."""
        self.sending_since: float | None = None
        self.recheck_at = recheck_at
        self.waiting_for_turn = False
        self._watches: dict[int, Watch] = {}
        self._floors: dict[str, float] = {}
        """Calls of which `*` brings what comes after this seq only: they have, or had, a subscription of their own. For
        `ALONE`, and for the calls that had one last."""

    @property
    def org(self) -> str:
        """Whose calls it may see; "" before it is known."""
        return self.state.principal.org if self.state.principal else ""

    @property
    def watches_all(self) -> bool:
        """True if it has a `*`."""
        return any(watch.key == ALL for watch in self._watches.values())

    # -- what the machine says -------------------------------------------------------------------------------------

    def tell(self, news: News) -> None:
        """Step the machine and do what it says."""
        self.state, commands = machine.step(self.state, news)
        for command in commands:
            self._do(command)

    def _do(self, command: model.Do) -> None:
        match command:
            case model.Send(frame):
                self._control(frame)
            case model.Ping():
                self._control(self._ping(self))
            case model.Redeem():
                self._redeem(self, command)
            case model.Attach(sub):
                self._leave(sub.id)
                watch = self._watches[sub.id] = Watch(self, sub, self.outbox.encoder, self._wire, self._floors)
                self._hub.attach(watch, knows=None if sub.forced else Cursor(sub.since.seq or 0, sub.since.epoch))
            case model.Detach(id, purge):
                self._leave(id)
                if purge:
                    self.outbox.forget(id)
            case model.Begin(id, call_id, cursor):
                self._watches[id].begins, self._watches[id].call_id = cursor, call_id
                self._floors.pop(call_id, None)
                self._floors[call_id] = ALONE
            case model.Close(code, reason):
                self.finish(code, reason)

    def finish(self, code: int, reason: str) -> None:
        """The connection is over; whoever says so first has it closed with this code (0: the client has left)."""
        if not self.finished.done():
            self.finished.set_result((code, reason))
            for watch in self._watches.values():
                watch.fast = False

    def _control(self, frame: Mapping[str, Any]) -> None:
        self.outbox.control(line(frame))
        if self.outbox.controls >= MOST_ANSWERS:
            self.answered.clear()
        self._queued()

    def _leave(self, id: int) -> None:
        watch = self._watches.pop(id, None)
        if watch is not None:
            if watch.call_id:
                self._floors[watch.call_id] = watch.seen
                kept = [call_id for call_id, floor in self._floors.items() if floor != ALONE]
                for call_id in kept[:-REMEMBERED]:
                    del self._floors[call_id]
            self._hub.leave(watch)

    # -- what the hub says -----------------------------------------------------------------------------------------

    def events(self, watch: Watch, events: Sequence[Event], replayed_to: int) -> bool:
        """Durable events of one call: from its own subscription, if it has one."""
        floor = watch.floors.get(events[0].call_id)
        if floor is not None:
            events = [event for event in events if event.seq > floor]
            if not events:
                return True
        behind = self.outbox.bytes > 0
        for event in events:
            fits = self.outbox.event(watch.id, event, counts=event.seq > replayed_to)
            if behind and not fits:  # who had taken everything is not slow, however much comes at once
                self.tell(model.Over(watch.id, Ended.SLOW))
                return False
        self._queued()
        return True

    def moment(self, watch: Watch, event: LiveEvent) -> None:
        """A moment of the live lane."""
        if watch.floors.get(event.call_id) != ALONE:
            self.outbox.live(watch.id, event)
            self._queued()

    def _queued(self) -> None:
        """Something waits: what comes now must come after it."""
        for watch in self._watches.values():
            watch.fast = False
        self._wake(self)

    def _sent_all(self) -> None:
        """Nothing waits: what comes now may be written at once."""
        for watch in self._watches.values():
            watch.fast = watch.held is None and not watch.silent and not self.finished.done()

    def jumped(self, head: Mapping[str, Any]) -> None:
        """A call goes on after this head: the client forgets what it knew of it."""
        if self._floors.get(head["call_id"]) != ALONE:
            place = {"call_id": head["call_id"], "epoch": head["epoch"], "seq": head["seq"]}
            self._control({"type": "snapshot", **place, "state": public(head)})

    def over(self, watch: Watch, reason: Ended) -> None:
        """A subscription has ended, unless we ended it ourselves."""
        if self._watches.get(watch.id) is watch:
            self.tell(model.Over(watch.id, reason))

    def found_all(self, watch: Watch, heads: list[Mapping[str, Any]]) -> None:
        """The store has been asked for all calls."""
        if self._watches.get(watch.id) is watch:
            self._list_all(self, watch, heads)

    def listed(self, watch: Watch, heads: list[Mapping[str, Any]], cursor: str, *, recovered: bool) -> None:
        """Answer a `*`, and let go what was held."""
        if self._watches.get(watch.id) is watch:
            self.tell(model.FoundAll(watch.id, heads, cursor, recovered))
            watch.release()

    # -- sending ---------------------------------------------------------------------------------------------------

    def flush(self) -> int:
        """This peer's turn: send what fits into a quantum, and ask for another turn if more waits. How many bytes.

        Nothing waits here: a socket that is full goes on in a task of its own, and this peer has no turn meanwhile.
        """
        self.waiting_for_turn = False
        sent = 0
        for _ in range(QUANTUM):
            if self.sending is not None or sent > MUCH or self.finished.done():
                break
            line = self.outbox.pop()
            if line is None:
                break
            sent += len(line.frame)
            if self._wire.write(line):
                continue
            try:
                rest = begun(self._ws.send({"type": "websocket.send", "text": line.text}))
            except (WebSocketDisconnect, OSError, RuntimeError):  # so the server says that the client has left
                self.finish(0, "")
                break
            if rest is not None:
                self.sending_since = asyncio.get_running_loop().time()
                self.sending = asyncio.create_task(self._finish_sending(rest))
        if self.outbox.controls < MOST_ANSWERS:
            self.answered.set()
        if self.sending is None:
            if self.outbox.queue:
                self._wake(self)
            else:
                self._sent_all()
        return sent

    async def _finish_sending(self, rest: Awaitable[None]) -> None:
        try:
            await rest
        except (WebSocketDisconnect, OSError, RuntimeError):
            self.finish(0, "")
        finally:
            self.sending = self.sending_since = None
        self._wake(self)

    def leave(self) -> None:
        """It is gone: nothing is watched for it, and nothing sent, any more."""
        if self.sending is not None:
            self.sending.cancel()
        for id in list(self._watches):
            self._leave(id)
