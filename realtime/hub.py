"""From the journal to everyone who watches a call on this instance.

One feed of heads per instance, running only while somebody subscribes; one room per watched call, which reads what
the heads do not carry once and shares it. What a room does is decided in `realtime.subscription`; this is its shell.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from secrets import token_hex
from typing import Any, Protocol, TypeVar

from realtime.backoff import Random, delay
from realtime.call import Call
from realtime.events import Event, LiveEvent, LiveType
from realtime.mailbox import Mailbox, Subscription
from realtime.stores.port import FeedState, HeadFeed
from realtime.subscription import (
    START,
    Command,
    Cursor,
    Deliver,
    End,
    Ended,
    Head,
    HeadSeen,
    Input,
    Joined,
    Left,
    PageRead,
    Read,
    Room,
    step,
    whole,
)

__all__ = ["Cursor", "Ended", "Hub", "Subscription"]

log = logging.getLogger(__name__)

ALL = "*"
PAGE = 500
REMEMBERED = 1000
"""Calls that are over and that a watcher of all remembers having seen: news of them comes late, if at all."""
T = TypeVar("T")


class Log(Protocol):
    """What the hub needs of `realtime.journal.Journal`."""

    async def find(self, any_id: str) -> Call | None: ...

    async def active(self, *, org: str) -> list[Call]: ...

    async def events(self, call_id: str, after: int = 0, limit: int = 500) -> list[Event]: ...

    async def call_data(self, event: Event) -> Mapping[str, Any]: ...


@dataclass(slots=True)
class _Watcher:
    """A subscription with what the hub keeps for it."""

    mailbox: Mailbox
    cursor: Cursor | None = START
    """Where it starts in a call; None = not known before the store has been asked."""
    rooms: dict[str, int] = field(default_factory=dict)
    """Calls it is in, with the seq up to which events count as replayed."""
    cursors: dict[str, int] = field(default_factory=dict)
    """For `*`: where it starts in calls that are not new to it."""


@dataclass(slots=True)
class _Known:
    """A call that heads have told of."""

    head: Head
    touched: float
    moments: int = 0
    live_epoch: str = field(default_factory=lambda: token_hex(4))


class Hub:
    """See the module. All methods belong to the event loop that runs `run`."""

    def __init__(
        self,
        journal: Log,
        feed: HeadFeed,
        *,
        max_queue: int = 2000,
        linger: float = 5.0,
        sweep: float = 30.0,
        forget: float = 120.0,
        backoff: tuple[float, float] = (0.1, 5.0),
        rand: Random = random.random,
    ) -> None:
        """All times in seconds. `max_queue`: events a reader may lag behind. `linger`: how long the feed outlives the
        last subscriber. `sweep`: how often heads are read again, in case the feed has lost one. `forget`: how long a
        completed call is remembered."""
        self._journal = journal
        self._feed = feed
        self._max_queue = max_queue
        self._linger = linger
        self._sweep_seconds = sweep
        self._forget_seconds = forget
        self._backoff = backoff
        self._rand = rand
        self.state = FeedState.CONNECTING
        self.on_state: list[Callable[[FeedState], None]] = []
        """Told when the state changes."""
        self.poisoned = 0
        """Heads that could not be read and were stepped over."""
        self._ids = 0
        self._watchers: dict[int, _Watcher] = {}
        self._by_mailbox: dict[Mailbox, int] = {}
        self._waiting: dict[str, set[int]] = {}
        self._all: set[int] = set()
        self._calls: dict[str, _Known] = {}
        self._aliases: dict[str, str] = {}
        self._rooms: dict[str, Room] = {}
        self._group: asyncio.TaskGroup | None = None
        self._jobs: list[Callable[[], Awaitable[None]]] = []
        self._watched = asyncio.Event()
        self._unwatched = asyncio.Event()

    # -- for those who watch -------------------------------------------------------------------------------------

    def subscribe(self, key: str, *, org: str, since: Cursor | int | None = None, replay: bool = True) -> Subscription:
        """Watch the call that `key` names (call id, CallSid or conversation id, known or not yet), or every call of
        the organisation with `*`.

        From `since` on (the last event seen), else from the first event, or with `replay=False` only what happens
        from now on. A call of another organisation is never found. Ends after `call_completed` (`*` does not).
        """
        if isinstance(since, int):
            since = Cursor(since)
        mailbox = Subscription(key, org, limit=self._max_queue, on_close=self.leave)
        self.attach(mailbox, since or (START if replay else None))
        return mailbox

    def attach(self, mailbox: Mailbox, cursor: Cursor | None = None) -> None:
        """The same for a mailbox of the caller's own. Without a cursor, `mailbox.start` says where it begins (`*`:
        from now on)."""
        self._ids += 1
        key, org = mailbox.key, mailbox.org
        watcher = self._watchers[self._ids] = _Watcher(mailbox, cursor)
        self._by_mailbox[mailbox] = me = self._ids
        self._watched.set()
        self._unwatched.clear()
        if key == ALL:
            # Calls that are known here and turn out not to be active any more are old, not new.
            watcher.cursors = {id: known.head.seq for id, known in self._calls.items() if known.head.org == org}
            self._later(lambda: self._begin_all(me))
        else:
            # Registered before the store is asked: what happens in between is not lost.
            if cursor is not None:
                self._waiting.setdefault(key, set()).add(me)
            self._later(lambda: self._begin(me))

    @property
    def subscriptions(self) -> Mapping[str, int]:
        """How many subscriptions there are by the key they were made with."""
        return Counter(watcher.mailbox.key for watcher in self._watchers.values())

    # -- for those who tell --------------------------------------------------------------------------------------

    def notice(self, head: Mapping[str, Any]) -> None:
        """A head as the store has it (`Call.to_dict()`), from the feed or right after a local append. Repeated, stale
        and merged heads are fine; one that cannot be read is counted and stepped over."""
        if not self._watchers:
            return
        try:
            seen = Head.parse(head)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.poisoned += 1
            log.warning("head_poisoned", extra={"why": type(error).__name__})
            return
        known = self._calls.get(seen.call_id)
        if known is not None and known.head.epoch == seen.epoch and seen.seq < known.head.seq:
            return
        if known is None:
            known = self._calls[seen.call_id] = _Known(seen, self._now())
        elif seen.seq > known.head.seq:
            known.touched = self._now()
        known.head = seen
        for alias in seen.aliases:
            self._aliases[alias] = seen.call_id
        if seen.call_id in self._rooms:
            self._step(seen.call_id, HeadSeen(seen))
        for alias in seen.aliases:
            for id in list(self._waiting.get(alias, ())):
                self._join(id, seen)
        for id in list(self._all):
            self._join(id, seen)

    def live(self, call_id: str, type_: LiveType, data: Mapping[str, Any], ts: str) -> None:
        """A moment of a call that this instance owns: shown to whoever watches, kept nowhere."""
        known = self._calls.get(call_id)
        room = self._rooms.get(call_id)
        if known is None or room is None:
            return
        known.moments += 1
        moment = LiveEvent(call_id, known.moments, type_, ts, data, known.live_epoch)
        for id in room.receivers:
            self._watchers[id].mailbox.put_live(moment)

    # -- running -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled; then every subscription is over."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                jobs, self._jobs = self._jobs, []
                for job in jobs:
                    self._later(job)
                while True:
                    await self._watched.wait()
                    feeding = group.create_task(self._feeding())
                    sweeping = group.create_task(self._sweeping())
                    await self._nobody()
                    for task in (feeding, sweeping):
                        task.cancel()
                    await asyncio.wait((feeding, sweeping))
                    self.state = FeedState.CONNECTING
        finally:
            self._group = None
            for mailbox in list(self._by_mailbox):
                mailbox.end(Ended.CLOSED)
                self.leave(mailbox)

    async def _nobody(self) -> None:
        """Until nobody has watched for `linger` seconds."""
        while self._watchers:
            await self._unwatched.wait()
            await asyncio.sleep(self._linger)

    async def _feeding(self) -> None:
        attempt = 0
        while True:
            try:
                await self._feed.run(self.notice, self._feed_state)
            except Exception as error:  # a feed promises not to end; if it does, start it again and say so
                log.exception("feed_failed", extra={"why": type(error).__name__})
            self._feed_state(FeedState.DEGRADED)
            attempt += 1
            await self._pause(attempt)

    def _feed_state(self, state: FeedState) -> None:
        changed = state is not self.state
        self.state = state
        if changed:
            for told in self.on_state:
                told(state)

    async def _sweeping(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds * (0.75 + self._rand() / 2))
            await self._sweep()

    async def _sweep(self) -> None:
        """Read again what is watched, and forget calls that were completed long ago."""
        for org in {self._watchers[id].mailbox.org for id in self._all}:
            for call in await self._asked(partial(self._journal.active, org=org)):
                self.notice(call.to_dict())
        alone = [id for id, room in self._rooms.items() if not self._all.intersection(room.receivers)]
        for key in [*self._waiting, *alone]:
            found = await self._asked(partial(self._journal.find, key))
            if found is not None:
                self.notice(found.to_dict())
        before = self._now() - self._forget_seconds
        for call_id in [id for id, known in self._calls.items() if known.touched < before]:
            self._forget(call_id)

    # -- coming and going ----------------------------------------------------------------------------------------

    async def _begin(self, me: int) -> None:
        """Find the call that a new watcher wants."""
        key = self._watchers[me].mailbox.key if me in self._watchers else ""
        call = await self._asked(partial(self._journal.find, key))
        watcher = self._watchers.get(me)
        if watcher is None:
            return
        if call is not None and call.org != watcher.mailbox.org:
            call = None
        if watcher.cursor is None:
            watcher.cursor = watcher.mailbox.start(call)
            if me not in self._watchers:
                return
        if not watcher.rooms:
            self._waiting.setdefault(key, set()).add(me)
        if call is not None:
            self.notice(call.to_dict())
        watcher.mailbox.found([call.to_dict()] if call else [])
        known = self._calls.get(self._aliases.get(key, ""))
        if known is not None and me in self._watchers and not watcher.rooms:
            self._join(me, known.head)

    async def _begin_all(self, me: int) -> None:
        """Find the active calls for a new watcher of all."""
        org = self._watchers[me].mailbox.org if me in self._watchers else ""
        calls = await self._asked(partial(self._journal.active, org=org))
        watcher = self._watchers.get(me)
        if watcher is None:
            return
        watcher.cursors.update({call.call_id: 0 if watcher.cursor else call.seq for call in calls})
        watcher.mailbox.found([call.to_dict() for call in calls])
        self._all.add(me)
        for call in calls:
            self.notice(call.to_dict())
        for known in list(self._calls.values()):
            self._join(me, known.head)

    def _join(self, me: int, head: Head) -> None:
        """Put a watcher into the room of a call that it wants and may see."""
        watcher = self._watchers.get(me)
        if watcher is None or head.call_id in watcher.rooms or head.org != watcher.mailbox.org:
            return
        once = watcher.mailbox.key != ALL
        if once:
            self._stop_waiting(me, watcher.mailbox.key)
        if head.call_id not in self._rooms:
            self._rooms[head.call_id] = Room(head.call_id, head.epoch)
            self._step(head.call_id, HeadSeen(head))
        watcher.rooms[head.call_id] = self._rooms[head.call_id].head
        cursor = watcher.cursor if once else Cursor(watcher.cursors.get(head.call_id, 0))
        self._step(head.call_id, Joined(me, cursor, once))

    def leave(self, mailbox: Mailbox) -> None:
        """A subscription is over: it has no place here any more. Safe to call twice."""
        me = self._by_mailbox.pop(mailbox, None)
        if me is None:
            return
        watcher = self._watchers.pop(me)
        self._all.discard(me)
        self._stop_waiting(me, mailbox.key)
        for call_id in watcher.rooms:
            if call_id in self._rooms:
                self._step(call_id, Left(me))
        if not self._watchers:
            self._calls.clear()
            self._aliases.clear()
            self._watched.clear()
            self._unwatched.set()

    def _stop_waiting(self, me: int, key: str) -> None:
        waiting = self._waiting.get(key, set())
        waiting.discard(me)
        if not waiting:
            self._waiting.pop(key, None)

    def _forget(self, call_id: str) -> None:
        """Let go of a call, unless it goes on; a watcher of all remembers how far it has come."""
        room = self._rooms.get(call_id)
        if room is not None:
            if not room.done or any(who.seen < room.head for who in room.receivers.values()):
                return
            for me, who in room.receivers.items():
                watcher = self._watchers[me]
                del watcher.rooms[call_id]
                watcher.cursors.pop(call_id, None)  # to the end: the oldest go first
                watcher.cursors[call_id] = who.seen
                while len(watcher.cursors) > REMEMBERED + len(watcher.rooms):
                    del watcher.cursors[next(iter(watcher.cursors))]
            del self._rooms[call_id]
        for alias in self._calls.pop(call_id).head.aliases:
            self._aliases.pop(alias, None)

    # -- rooms ---------------------------------------------------------------------------------------------------

    def _step(self, call_id: str, news: Input) -> None:
        room, commands = step(self._rooms[call_id], news)
        self._rooms[call_id] = room
        for command in commands:
            self._do(call_id, command)
        if not isinstance(news, Joined):
            _log_broadcast(call_id, commands)
        if call_id in self._rooms and not self._rooms[call_id].receivers and not isinstance(news, HeadSeen):
            del self._rooms[call_id]

    def _do(self, call_id: str, command: Command) -> None:
        match command:
            case Deliver(id, events):
                self._deliver(id, call_id, events)
            case End(id, reason):
                watcher = self._watchers.get(id)
                if watcher:
                    watcher.mailbox.end(reason)
                    self.leave(watcher.mailbox)
            case Read(epoch, after, misses):
                self._later(lambda: self._read(call_id, epoch, after, misses))

    def _deliver(self, me: int, call_id: str, events: Sequence[Event]) -> None:
        watcher = self._watchers.get(me)
        if watcher is None:
            return
        try:
            kept_up = watcher.mailbox.put(events, replayed_to=watcher.rooms[call_id])
        except Exception as error:  # one watcher's trouble is not the others'
            log.exception("broadcast_failed", extra={"call_id": call_id, "why": type(error).__name__})
            watcher.mailbox.end(Ended.FAILED)
            kept_up = False
        if not kept_up:
            log.warning("subscriber_closed", extra={"call_id": call_id, "why": watcher.mailbox.reason})
            self.leave(watcher.mailbox)

    async def _read(self, call_id: str, epoch: str, after: int, misses: int) -> None:
        """Read a page for a room; tries until it succeeds or nobody is there any more."""
        if misses:
            await self._pause(misses)
        attempt = 0
        while call_id in self._rooms:
            try:
                events = await self._page(call_id, after)
            except Exception as error:  # the store is away, or a document is poisoned: the others go on
                attempt += 1
                log.warning("room_read_failed", extra={"call_id": call_id, "why": type(error).__name__})
                await self._pause(attempt)
                continue
            if call_id in self._rooms:
                self._step(call_id, PageRead(epoch, after, tuple(events)))
            return

    async def _page(self, call_id: str, after: int) -> Sequence[Event]:
        events = await self._journal.events(call_id, after=after, limit=PAGE)
        return [
            event if whole(event) else replace(event, data={"call_data": await self._journal.call_data(event)})
            for event in events
        ]

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _later(self, job: Callable[[], Awaitable[None]]) -> None:
        """Run it as a task of `run`, now or as soon as that runs."""
        if self._group is None:
            self._jobs.append(job)
        else:
            self._group.create_task(_run(job))

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The store's answer, however often it has to be asked."""
        attempt = 0
        while True:
            try:
                return await ask()
            except Exception as error:  # one watcher's or one call's trouble must not end the hub
                attempt += 1
                log.warning("hub_store_unavailable", extra={"why": type(error).__name__, "attempt": attempt})
                await self._pause(attempt)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _pause(self, attempt: int) -> None:
        base, cap = self._backoff
        await asyncio.sleep(delay(attempt, base=base, cap=cap, rand=self._rand))


async def _run(job: Callable[[], Awaitable[None]]) -> None:
    await job()


def _log_broadcast(call_id: str, commands: Sequence[Command]) -> None:
    """One line for each event that was passed on as it happened; a replay is nobody's news."""
    told = Counter((line.seq, line.type) for each in commands if isinstance(each, Deliver) for line in each.events)
    for (seq, type_), clients in sorted(told.items()):
        log.info("broadcast", extra={"call_id": call_id, "seq": seq, "event_type": type_.value, "clients": clients})
