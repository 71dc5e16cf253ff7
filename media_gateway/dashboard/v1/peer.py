"""One `callboard.v1` client: its machine's commands are carried out here, and its outbox is emptied into its socket."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.dashboard.heads import public, public_head
from media_gateway.dashboard.v1 import machine, model
from media_gateway.dashboard.v1.eager import begun
from media_gateway.dashboard.v1.frames import ALL, encode
from media_gateway.dashboard.v1.model import News, State, Sub
from media_gateway.dashboard.v1.outbox import Outbox
from media_gateway.dashboard.v1.wire import Frames, Wire
from realtime.call import Call
from realtime.events import Event, LiveEvent
from realtime.hub import Cursor, Ended, Hub
from realtime.subscription import START

QUANTUM = 16
"""Frames that one client is sent before others have their turn."""
REMEMBERED = 256
MOST_ANSWERS = 4
"""Answers that may wait to be sent; further commands are read when they are gone."""


class Watch:
    """One subscription of a peer, as the hub's mailbox (`realtime.mailbox.Mailbox`)."""

    def __init__(self, peer: Peer, sub: Sub) -> None:
        self.peer, self.id, self.live = peer, sub.id, sub.live
        self.since = sub.since
        self.key, self.org = sub.name, peer.org
        self.reason: Ended | None = None
        self.silent = sub.answered is False
        """Nothing has been delivered, and the reply may wait for that."""
        self.begins = START
        self.held: list[tuple[Sequence[Event], int]] | None = [] if sub.name == ALL else None
        """What comes for `*` before its reply."""

    def start(self, call: Call | None) -> Cursor:
        """As the machine decides; a subscription that comes to nothing has left the hub by then."""
        self.peer.tell(model.Found(self.id, call, public_head(call) if call else {}))
        return self.begins

    def found(self, heads: list[Mapping[str, Any]]) -> None:
        """`*`: the heads it starts from."""
        if self.key == ALL:
            self.peer.found_all(self, heads)

    def put(self, events: Sequence[Event], *, replayed_to: int) -> bool:
        """Queue them; False if this client is over."""
        if self.held is not None:
            self.held.append((events, replayed_to))
            return True
        if self.silent:
            self.silent = False
            self.peer.tell(model.Flows(self.id))
        return self.peer.events(self.id, events, replayed_to)

    def put_live(self, event: LiveEvent) -> None:
        """Queue it, if it is wanted."""
        if self.live and self.held is None:
            self.peer.moment(self.id, event)

    def jumped(self, head: Mapping[str, Any]) -> None:
        """`*`: the journal of this call goes on elsewhere."""
        self.peer.jumped(head)

    def release(self) -> None:
        """The reply is out: what was held follows."""
        held, self.held, self.silent = self.held or [], None, False
        for events, replayed_to in held:
            self.peer.events(self.id, events, replayed_to)

    def end(self, reason: Ended) -> None:
        """The hub has no more."""
        self.reason = reason
        self.peer.over(self, reason)


class Peer:
    """`wake` asks for a turn to send; `redeem` and `list_all` begin what must be waited for."""

    def __init__(
        self,
        ws: WebSocket,
        hub: Hub,
        state: State,
        outbox: Outbox,
        *,
        frames: Frames,
        wake: Callable[[Peer], None],
        redeem: Callable[[Peer, model.Redeem], None],
        list_all: Callable[[Peer, Watch, list[Mapping[str, Any]]], None],
        ping: Callable[[Peer], Mapping[str, Any]],
        recheck_at: float,
    ) -> None:
        self._ws, self._hub, self.state, self.outbox = ws, hub, state, outbox
        self._wake, self._redeem, self._list_all, self._ping = wake, redeem, list_all, ping
        self._wire = Wire(ws.scope, frames)
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
        self._alone: dict[str, int] = {}
        """Calls that are watched by a subscription of their own: what `*` brings of them is not sent as well."""
        self._told: dict[str, int] = {}
        """How far such a call was told, for when `*` takes over; the calls told of last."""

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
                watch = self._watches[sub.id] = Watch(self, sub)
                self._hub.attach(watch, knows=None if sub.forced else Cursor(sub.since.seq or 0, sub.since.epoch))
            case model.Detach(id, purge):
                self._leave(id)
                if purge:
                    self.outbox.forget(id)
            case model.Begin(id, call_id, cursor):
                self._watches[id].begins = cursor
                self._alone[call_id] = id
                self._told.pop(call_id, None)
            case model.Close(code, reason):
                self.finish(code, reason)

    def finish(self, code: int, reason: str) -> None:
        """The connection is over; whoever says so first has it closed with this code (0: the client has left)."""
        if not self.finished.done():
            self.finished.set_result((code, reason))

    def _control(self, frame: Mapping[str, Any]) -> None:
        self.outbox.control(encode(frame))
        if self.outbox.controls >= MOST_ANSWERS:
            self.answered.clear()
        self._wake(self)

    def _leave(self, id: int) -> None:
        watch = self._watches.pop(id, None)
        if watch is not None:
            for call_id in [call_id for call_id, alone in self._alone.items() if alone == id]:
                del self._alone[call_id]
            while len(self._told) > REMEMBERED + len(self._alone):
                del self._told[next(iter(self._told))]
            self._hub.leave(watch)

    # -- what the hub says -----------------------------------------------------------------------------------------

    def events(self, id: int, events: Sequence[Event], replayed_to: int) -> bool:
        """Durable events of one call: from its own subscription, if it has one."""
        call_id = events[0].call_id
        alone = self._alone.get(call_id)
        if alone == id:
            self._told[call_id] = events[-1].seq
        elif alone is not None:
            return True
        elif call_id in self._told:
            events = [event for event in events if event.seq > self._told[call_id]]
        behind = self.outbox.bytes > 0
        for event in events:
            fits = self.outbox.event(id, event, counts=event.seq > replayed_to)
            if behind and not fits:  # who had taken everything is not slow, however much comes at once
                self.tell(model.Over(id, Ended.SLOW))
                return False
        self._wake(self)
        return True

    def moment(self, id: int, event: LiveEvent) -> None:
        """A moment of the live lane."""
        if self._alone.get(event.call_id, id) != id:
            return
        self.outbox.live(id, event)
        self._wake(self)

    def jumped(self, head: Mapping[str, Any]) -> None:
        """A call goes on after this head: the client forgets what it knew of it."""
        if head["call_id"] not in self._alone:
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
        """It is this peer's turn: send what fits into a quantum, and ask for another turn if more waits; how many.

        Nothing waits here: a socket that is full goes on in a task of its own, and this peer has no turn meanwhile.
        """
        self.waiting_for_turn = False
        sent = 0
        while sent < QUANTUM and self.sending is None and not self.finished.done():
            text = self.outbox.pop()
            if text is None:
                break
            sent += 1
            if self._wire.write(text):
                continue
            try:
                rest = begun(self._ws.send({"type": "websocket.send", "text": text}))
            except (WebSocketDisconnect, OSError, RuntimeError):  # so the server says that the client has left
                self.finish(0, "")
                break
            if rest is not None:
                self.sending_since = asyncio.get_running_loop().time()
                self.sending = asyncio.create_task(self._finish_sending(rest))
        if self.outbox.controls < MOST_ANSWERS:
            self.answered.set()
        if self.outbox and self.sending is None:
            self._wake(self)
        return sent

    async def _finish_sending(self, rest: Awaitable[None]) -> None:
        try:
            await rest
        except (WebSocketDisconnect, OSError, RuntimeError):
            self.finish(0, "")
        finally:
            self.sending = self.sending_since = None
        if self.outbox:
            self._wake(self)

    def leave(self) -> None:
        """It is gone: nothing is watched for it, and nothing sent, any more."""
        if self.sending is not None:
            self.sending.cancel()
        for id in list(self._watches):
            self._leave(id)
