"""The two older dashboard sockets: `/ws/calls/transcriptions` (a call, from its beginning) and `/ws/events` (all calls
of the organisation, from now on). Both are encoders over the hub's subscriptions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import structlog
from starlette.websockets import WebSocket

from media_gateway.auth.model import Principal
from media_gateway.dashboard import metrics
from media_gateway.dashboard.connection import TOO_SLOW, Connection, Connections
from media_gateway.dashboard.encoders import Ids, global_message, transcription_message
from realtime.call import PoisonedHead
from realtime.events import Event, EventType, LiveEvent
from realtime.hub import Ended, Hub, Subscription
from realtime.journal import Journal
from realtime.paths import is_id
from realtime.stores.port import StoreUnavailable

MAX_SUBSCRIPTIONS = 64
START_S = 3.0
_REMEMBERED_CALLS = 512
_log = structlog.get_logger()


class Calls:
    """What a connection remembers of the calls it hears about: who is talking, how far it has been told, the numbers
    of its turns. Bounded; the calls heard of longest ago are forgotten."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ids: OrderedDict[str, Ids] = OrderedDict()
        self._told: dict[str, int] = {}
        self._metrics: dict[str, metrics.CallMetrics] = {}

    def is_news(self, event: Event | LiveEvent) -> bool:
        """True the first time for each durable event of a call, which come in order; live ones are always news."""
        if isinstance(event, LiveEvent):
            return True
        if event.seq <= self._told.get(event.call_id, 0):
            return False
        self._told[event.call_id] = event.seq
        return True

    async def ids(self, event: Event | LiveEvent) -> Ids:
        """Looked up once, and again at the end: a conversation id may come late."""
        known = self._ids.get(event.call_id)
        if known is None or (event.type is EventType.CALL_STATUS and known.conversation_id is None):
            try:
                call = await self._journal.find(event.call_id)
            except PoisonedHead:  # what is told of it goes on
                call = None
            known = Ids.of(call) if call else Ids(event.call_id, None)
            self._ids[event.call_id] = known
        self._ids.move_to_end(event.call_id)
        while len(self._ids) > _REMEMBERED_CALLS:
            forgotten, _ = self._ids.popitem(last=False)
            self._told.pop(forgotten, None)
            self._metrics.pop(forgotten, None)
        return known

    async def metrics(self, event: Event) -> metrics.CallMetrics:
        """The call's numbers with this event; read from the journal for a call that began before we listened."""
        known = self._metrics.get(event.call_id)
        if known is None:
            earlier = await self._journal.events(event.call_id, after=0, limit=event.seq)
            known = metrics.of_events(earlier)
        self._metrics[event.call_id] = known.after(event)
        return self._metrics[event.call_id]


class GlobalEncoder:
    """From events to the messages of the global stream, each durable one once."""

    def __init__(self, connections: Connections, journal: Journal, org: str, *, browser_voice: bool = True) -> None:
        self._connections, self._journal, self._org = connections, journal, org
        self._browser_voice = browser_voice
        self._calls = Calls(journal)

    async def message(self, event: Event | LiveEvent) -> dict[str, Any] | None:
        """None for an event that was told before, or is of a browser's call where those are kept off the stream."""
        if not self._calls.is_news(event):
            return None
        ids = await self._calls.ids(event)
        if ids.browser and not self._browser_voice:
            return None
        extra: Mapping[str, Any] | None = None
        if isinstance(event, Event) and event.type is EventType.TURN_METRICS:
            numbers = await self._calls.metrics(event)
            extra = numbers.to_dict(await self._connections.conversations(self._org))
        elif event.type is EventType.CALL_COMPLETED:
            extra = {"call_data": await _whole(self._journal, event)}
        return global_message(event, ids, extra)


class TranscriptionsSocket:
    """`{"type": "subscribe", "call_sid" | "conversation_id": id}`, as often as wanted; the call may come later."""

    def __init__(self, connections: Connections, hub: Hub, journal: Journal) -> None:
        self._connections, self._hub, self._journal = connections, hub, journal

    async def serve(self, ws: WebSocket) -> None:
        """One connection."""
        async with self._connections.open(ws) as peer:
            if peer is None:
                return
            calls = Calls(self._journal)
            turn = asyncio.Lock()
            watched: dict[str, asyncio.Task[None]] = {}
            async with asyncio.TaskGroup() as group:
                async for command in peer.commands():
                    key = command.get("call_sid") or command.get("conversation_id")
                    error = _wrong(command, key, watched)
                    if error is not None:
                        await peer.send({"type": "error", **error})
                    elif command["type"] == "subscribe":
                        await peer.send(_reply("subscribed", command))
                        watched[str(key)] = group.create_task(self._watch(peer, str(key), calls, turn))
                    else:
                        task = watched.pop(str(key), None)
                        if task is not None:
                            task.cancel()
                        await peer.send(_reply("unsubscribed", command))
                for task in watched.values():
                    task.cancel()

    async def _watch(self, peer: Connection, key: str, calls: Calls, turn: asyncio.Lock) -> None:
        """One subscription. `turn` keeps two subscriptions to the same call in its order."""
        async with peer.guard(), aclosing(self._hub.subscribe(key, org=peer.principal.org)) as events:
            async for event in events:
                async with turn:
                    if not calls.is_news(event):
                        continue
                    whole = await _whole(self._journal, event)
                    message = transcription_message(event, await calls.ids(event), whole)
                    if message is not None:
                        await peer.send(message)
            await _ended(peer, events.reason)


class EventsSocket:
    """Everything that happens in the organisation, from now on; nothing needs to be asked for. Without
    `browser_voice`, the calls of browsers are left out."""

    def __init__(self, connections: Connections, hub: Hub, journal: Journal, *, browser_voice: bool = True) -> None:
        self._connections, self._hub, self._journal = connections, hub, journal
        self._browser_voice = browser_voice

    async def serve(self, ws: WebSocket) -> None:
        """One connection."""
        subscriptions: list[Subscription] = []

        @asynccontextmanager
        async def subscribed(principal: Principal) -> AsyncIterator[None]:
            """ "From now on" begins before the client hears that it is connected."""
            async with aclosing(self._hub.subscribe("*", org=principal.org, replay=False)) as events:
                subscriptions.append(events)
                with suppress(TimeoutError):  # the store is away: what is missed is in the REST journal
                    async with asyncio.timeout(START_S):
                        await events.heads()
                yield

        async with self._connections.open(ws, subscribed) as peer:
            if peer is None:
                return
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(peer, subscriptions[0]))
                async for command in peer.commands():
                    if command["type"] not in ("auth", "connect", "subscribe"):
                        await peer.send({"type": "error", **_error("bad_request", "This socket takes no commands.")})
                watch.cancel()

    async def _watch(self, peer: Connection, events: Subscription) -> None:
        encoder = GlobalEncoder(self._connections, self._journal, peer.principal.org, browser_voice=self._browser_voice)
        async with peer.guard():
            async for event in events:
                message = await encoder.message(event)
                if message is not None:
                    await peer.send(message)
            await _ended(peer, events.reason)


async def _ended(peer: Connection, reason: Ended | None) -> None:
    """A subscription that ended for want of reading closes the socket; one whose call is over does not."""
    if reason is Ended.SLOW:
        await peer.close(TOO_SLOW, "too slow")


async def _whole(journal: Journal, event: Event | LiveEvent) -> Mapping[str, Any] | None:
    """The whole record of a completed call; the pointer in the event is followed. None once it has expired."""
    if not isinstance(event, Event) or event.type is not EventType.CALL_COMPLETED:
        return None
    try:
        return await journal.call_data(event)
    except (LookupError, StoreUnavailable):
        _log.exception("broadcast_failed", call_id=event.call_id, event_type=event.type.value)
        return None


def _wrong(command: Mapping[str, Any], key: object, watched: Mapping[str, object]) -> dict[str, str] | None:
    """Why this command cannot be done, None if it can."""
    if command["type"] not in ("subscribe", "unsubscribe"):
        return _error("bad_request", "type must be subscribe or unsubscribe.")
    if not isinstance(key, str) or len(key) > 128 or not is_id(key):
        return _error("bad_request", "Name the call with call_sid or conversation_id.")
    if command["type"] == "subscribe":
        running = [other for other, task in watched.items() if isinstance(task, asyncio.Task) and not task.done()]
        if key in running:
            return _error("already_subscribed", "This connection watches that call already.")
        if len(running) >= MAX_SUBSCRIPTIONS:
            return _error("limit", f"At most {MAX_SUBSCRIPTIONS} calls a connection.")
    return None


def _reply(kind: str, command: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "call_sid": command.get("call_sid"), "conversation_id": command.get("conversation_id")}


def _error(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}
