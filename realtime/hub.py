"""From the journal to everyone who watches a call on this instance.

One feed of heads per instance, running only while somebody subscribes; one room per watched call, which reads what
the heads do not carry once and shares it. What a room does is decided in `realtime.subscription`; this is its shell.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from realtime.backoff import Random
from realtime.call import Call
from realtime.crowd import ALL, Crowd
from realtime.events import Event, EventType, LiveEvent, LiveType
from realtime.feeding import Feeding
from realtime.jobs import Jobs
from realtime.mailbox import Mailbox, Subscription, merged
from realtime.slices import Slices
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
)
from realtime.watching import Known, Log, Watcher, counted, find, log_broadcast, page, said

__all__ = ["Cursor", "Ended", "Hub", "Subscription"]

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""Calls that are over and that a watcher of all remembers having seen."""
JUMPS = (Ended.EPOCH_CHANGED, Ended.LOG_EXPIRED)


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
        grace: float = 2.0,
        forget: float = 120.0,
        backoff: tuple[float, float] = (0.1, 5.0),
        rand: Random = random.random,
    ) -> None:
        """All times in seconds. `max_queue`: events a reader may lag behind. `linger`: how long the feed outlives the
        last subscriber. `sweep`: how often heads are read again, in case the feed has lost one (then it still has
        `grace` to tell). `forget`: how long a completed call is remembered."""
        self._journal = journal
        self._max_queue = max_queue
        self._linger = linger
        self._forget_seconds = forget
        self._slices = Slices()
        self.feeding = Feeding(
            feed,
            self.notice,
            self._feed_state,
            look=self._look,
            told=self._told,
            sweep=sweep,
            grace=grace,
            backoff=backoff,
            rand=rand,
        )
        self.state = FeedState.CONNECTING
        self.on_state: list[Callable[[FeedState], None]] = []
        """Told when the state changes."""
        self.on_live: list[Callable[[str, LiveType, Mapping[str, Any], str], None]] = []
        """Told of every moment that happens here."""
        self.degraded_at: float | None = None
        """Since when (loop time) the feed is lost; None while it is not."""
        self.poisoned = 0
        """Heads that could not be read and were stepped over."""
        self._ids = 0
        self._watchers: dict[int, Watcher] = {}
        self._by_mailbox: dict[Mailbox, int] = {}
        self._waiting: dict[str, set[int]] = {}
        self._all: set[int] = set()
        self._crowds: dict[str, int] = {}
        """By organisation: who watches all of its calls from now on, together (`realtime.crowd`)."""
        self._calls: dict[str, Known] = {}
        self._aliases: dict[str, str] = {}
        self._rooms: dict[str, Room] = {}
        self._jobs = Jobs(backoff, rand)
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

    def attach(self, mailbox: Mailbox, cursor: Cursor | None = None, *, knows: Cursor | None = None) -> None:
        """The same for a mailbox of the caller's own. Without a cursor, `mailbox.start` says where it begins (`*`:
        from now on); the store need not be asked if what is known here is as new as what the client `knows`."""
        key, org = mailbox.key, mailbox.org
        if key == ALL and cursor is None:
            self._enter(mailbox)
            return
        self._ids += 1
        watcher = self._watchers[self._ids] = Watcher(mailbox, cursor)
        self._by_mailbox[mailbox] = me = self._ids
        self._watched.set()
        self._unwatched.clear()
        if key == ALL:
            # Calls that are known here and turn out not to be active any more are old, not new.
            watcher.cursors = {id: known.head.seq for id, known in self._calls.items() if known.head.org == org}
            self._jobs.later(lambda: self._begin_all(me))
        else:
            # Registered before the store is asked: what happens in between is not lost.
            if cursor is not None:
                self._waiting.setdefault(key, set()).add(me)
            known = self._known(key, org, knows) if cursor is None and knows is not None else None
            if known is not None:
                self._start(me, Call.from_dict(known.data))
            else:
                self._jobs.later(lambda: self._begin(me))

    @property
    def subscriptions(self) -> Mapping[str, int]:
        """How many subscriptions there are by the key they were made with."""
        return counted(self._watchers.values())

    def watched(self) -> list[str]:
        """The calls that go on and are watched here."""
        return [call_id for call_id, room in self._rooms.items() if room.receivers and not room.done]

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
            known = self._calls[seen.call_id] = Known(seen, head, asyncio.get_running_loop().time())
        elif seen.seq > known.head.seq:
            known.touched = asyncio.get_running_loop().time()
        known.head, known.data = seen, head
        for alias in seen.aliases:
            self._aliases[alias] = seen.call_id
        for event in seen.tail:
            said(known.now, event)
        if seen.call_id in self._rooms:
            self._step(seen.call_id, HeadSeen(seen))
        for alias in seen.aliases:
            for id in list(self._waiting.get(alias, ())):
                self._join(id, seen)
        for id in list(self._all):
            self._join(id, seen)

    def live(self, call_id: str, type_: LiveType, data: Mapping[str, Any], ts: str) -> None:
        """A moment of a call that this instance owns: shown to whoever watches, kept nowhere."""
        for told in self.on_live:
            told(call_id, type_, data, ts)
        self.show(call_id, type_, data, ts)

    def show(self, call_id: str, type_: LiveType, data: Mapping[str, Any], ts: str) -> None:
        """The same for one that happens on another instance (`realtime.live_lane`)."""
        known = self._calls.get(call_id)
        room = self._rooms.get(call_id)
        if known is None or room is None:
            return
        known.moments += 1
        moment = LiveEvent(call_id, known.moments, type_, ts, data, known.live_epoch)
        before = known.now.get(type_)
        known.now[type_] = merged(before, moment, keep=None) if before else moment
        self._slices.run(tuple(room.receivers), lambda id: self._show(id, moment))

    # -- running -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled; then every subscription is over."""
        try:
            async with asyncio.TaskGroup() as group:
                self._jobs.begin(group)
                while True:
                    await self._watched.wait()
                    tasks = [group.create_task(self.feeding.run()), group.create_task(self._forgetting())]
                    await self._nobody()
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
        finally:
            self._jobs.end()
            for mailbox in list(self._by_mailbox):
                mailbox.end(Ended.CLOSED)
                self.leave(mailbox)

    async def _nobody(self) -> None:
        """Until nobody has watched for `linger` seconds."""
        while self._watchers:
            await self._unwatched.wait()
            await asyncio.sleep(self._linger)

    def _feed_state(self, state: FeedState) -> None:
        changed = state is not self.state
        self.state = state
        if state is not FeedState.DEGRADED:
            self.degraded_at = None
        elif changed:
            self.degraded_at = asyncio.get_running_loop().time()
        if changed:
            for told in self.on_state:
                told(state)

    async def _look(self) -> list[Mapping[str, Any]]:
        """What is watched, as the store has it."""
        heads: list[Mapping[str, Any]] = []
        for org in {self._watchers[id].mailbox.org for id in self._all}:
            heads += [call.to_dict() for call in await self._journal.active(org=org)]
        alone = [id for id, room in self._rooms.items() if not self._all.intersection(room.receivers)]
        for key in [*self._waiting, *alone]:
            found = await find(self._journal, key)
            if found is not None:
                heads.append(found.to_dict())
        return heads

    def _told(self, head: Mapping[str, Any]) -> bool:
        known = self._calls.get(head["call_id"])
        return known is not None and known.head.epoch == head["epoch"] and known.head.seq >= head["seq"]

    async def _forgetting(self) -> None:
        """Calls that were completed long ago."""
        while True:
            await asyncio.sleep(max(self._forget_seconds / 4, 0.001))
            before = asyncio.get_running_loop().time() - self._forget_seconds
            for call_id in [id for id, known in self._calls.items() if known.touched < before]:
                self._forget(call_id)

    # -- coming and going ----------------------------------------------------------------------------------------

    async def _begin(self, me: int) -> None:
        """Find the call that a new watcher wants."""
        key = self._watchers[me].mailbox.key if me in self._watchers else ""
        call = await self._jobs.asked(partial(find, self._journal, key))
        if me in self._watchers:
            self._start(me, call)

    def _start(self, me: int, call: Call | None) -> None:
        """The call is found, or there is none yet."""
        watcher = self._watchers[me]
        key = watcher.mailbox.key
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

    def _known(self, key: str, org: str, knows: Cursor) -> Known | None:
        """A call whose head is told here and is at least as new as what somebody knows."""
        known = self._calls.get(self._aliases.get(key, ""))
        if known is None or known.head.call_id not in self._rooms or self.state is not FeedState.LIVE:
            return None
        head = known.head
        fresh = head.org == org and knows.seq <= head.seq and knows.epoch in (None, head.epoch)
        return known if fresh else None

    def _enter(self, mailbox: Mailbox) -> None:
        """One more who watches all from now on: they start where the crowd stands."""
        me = self._crowds.get(mailbox.org)
        if me is None:
            self._ids += 1
            me = self._crowds[mailbox.org] = self._ids
            watcher = self._watchers[me] = Watcher(Crowd(mailbox.org, self._slices, self.leave), None)
            self._by_mailbox[watcher.mailbox] = me
            watcher.cursors = {id: one.head.seq for id, one in self._calls.items() if one.head.org == mailbox.org}
            self._watched.set()
            self._unwatched.clear()
            self._jobs.later(lambda: self._begin_all(me))
        crowd = self._watchers[me].mailbox
        assert isinstance(crowd, Crowd)
        crowd.members[mailbox] = {}
        if crowd.ready:
            self._welcome(me, crowd, mailbox)

    def _welcome(self, me: int, crowd: Crowd, member: Mailbox, *, began: Mapping[str, int] | None = None) -> None:
        """Tell a member where the crowd stands; or where it `began`, if the member has had all since."""
        heads: list[Mapping[str, Any]] = []
        for call_id in self._watchers[me].rooms:
            room, known = self._rooms[call_id], self._calls[call_id]
            seen = room.receivers[me].seen if began is None else began.get(call_id, 0)
            heads.append({**known.data, "seq": seen})
            crowd.members[member][call_id] = seen
        member.found(heads)
        for call_id in self._watchers[me].rooms:
            for moment in self._calls[call_id].now.values():
                member.put_live(replace(moment, n=self._calls[call_id].moments))

    async def _begin_all(self, me: int) -> None:
        """Find the active calls for a new watcher of all."""
        org = self._watchers[me].mailbox.org if me in self._watchers else ""
        calls = await self._jobs.asked(partial(self._journal.active, org=org))
        watcher = self._watchers.get(me)
        if watcher is None:
            return
        watcher.cursors.update({call.call_id: 0 if watcher.cursor else call.seq for call in calls})
        self._all.add(me)
        crowd = watcher.mailbox
        if not isinstance(crowd, Crowd):
            crowd.found([call.to_dict() for call in calls])
        for call in calls:
            self.notice(call.to_dict())
        for known in list(self._calls.values()):
            self._join(me, known.head)
        if isinstance(crowd, Crowd):
            crowd.found([])
            for member in list(crowd.members):
                self._welcome(me, crowd, member, began=watcher.cursors)

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
        known = self._calls.get(head.call_id)
        for moment in list(known.now.values()) if known else ():
            self._slices.run((me,), partial(self._show, moment=replace(moment, n=known.moments if known else 0)))

    def leave(self, mailbox: Mailbox) -> None:
        """A subscription is over: it has no place here any more. Safe to call twice."""
        me = self._by_mailbox.pop(mailbox, None)
        if me is None:
            self._leave_crowd(mailbox)
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

    def _leave_crowd(self, mailbox: Mailbox) -> None:
        me = self._crowds.get(mailbox.org)
        crowd = self._watchers[me].mailbox if me is not None else None
        if isinstance(crowd, Crowd) and crowd.members.pop(mailbox, None) is not None and not crowd.members:
            del self._crowds[mailbox.org]
            self.leave(crowd)

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
            log_broadcast(call_id, commands)
        if call_id in self._rooms and not self._rooms[call_id].receivers and not isinstance(news, HeadSeen):
            del self._rooms[call_id]

    def _do(self, call_id: str, command: Command) -> None:
        match command:
            case Deliver(ids, events):
                self._slices.run(ids, lambda id: self._deliver(id, call_id, events))
            case End(id, reason):
                self._slices.run((id,), lambda id: self._end(id, call_id, reason))
            case Read(epoch, after, misses):
                self._jobs.later(lambda: self._read(call_id, epoch, after, misses))

    def _end(self, me: int, call_id: str, reason: Ended) -> None:
        """This watcher is through with this call; one of all calls goes on after what cannot be told."""
        watcher = self._watchers.get(me)
        if watcher is None:
            return
        known = self._calls.get(call_id)
        if watcher.mailbox.key == ALL and reason in JUMPS and known is not None:
            watcher.rooms.pop(call_id, None)
            watcher.cursors[call_id] = known.head.seq
            self._join(me, known.head)
            watcher.mailbox.jumped(known.data)
            return
        watcher.mailbox.end(reason)
        self.leave(watcher.mailbox)

    def _show(self, me: int, moment: LiveEvent) -> None:
        watcher = self._watchers.get(me)
        if watcher is not None:
            watcher.mailbox.put_live(moment)

    def _deliver(self, me: int, call_id: str, events: Sequence[Event]) -> None:
        watcher = self._watchers.get(me)
        if watcher is None:
            return
        try:
            kept_up = watcher.mailbox.put(events, replayed_to=watcher.rooms.get(call_id, 0))
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
            await self._jobs.pause(misses)
        attempt = 0
        while call_id in self._rooms:
            try:
                events = await page(self._journal, call_id, epoch, after)
            except Exception as error:  # the store is away, or a document is poisoned: the others go on
                attempt += 1
                log.warning("room_read_failed", extra={"call_id": call_id, "why": type(error).__name__})
                await self._jobs.pause(attempt)
                continue
            self.poisoned += sum(event.type is EventType.INVALID for event in events)
            if call_id in self._rooms:
                self._step(call_id, PageRead(epoch, after, events))
            return
