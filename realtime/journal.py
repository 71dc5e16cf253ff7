"""The journal of calls over any document store: create-only events under a head, every append a compare-and-set.

    calls/{call_id}                      the head (`realtime.call.Call`)
    calls/{call_id}/events/{seq:08d}     the log, create-only
    calls/{call_id}/idem/{sha256(key)}   {seq, by}: which event a key became; create-only
    calls/{call_id}/call_data/{...}      the whole record in parts, when it is large
    aliases/{any id}                     {call_id}
    parked/{sha256(id)}/news/{...}       news about a call that nobody knows yet
    claims/{...}                         single-use tokens, create-only

Every document carries `expire_at`. The head that was last seen is kept in memory, so that whoever writes to a call
alone pays one commit and no read; whoever loses the compare-and-set reads again and rebases.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from realtime import call_data as records
from realtime import listing, parking
from realtime.append import OUTAGES, Append, Appended, Decide, Fenced, Heads, UnknownCall, alias_writes, log_writes
from realtime.bus.port import BusMessage
from realtime.call import Call, PoisonedHead, Status
from realtime.clock import Clock, iso, utcnow
from realtime.events import Draft, Event, EventType
from realtime.paths import digest, is_id
from realtime.plan import Plan, Settled, settle
from realtime.stores.port import Conflict, Create, Doc, DocumentStore, Query, StoreUnavailable, Write

log = logging.getLogger(__name__)

__all__ = ["Appended", "Fenced", "Journal", "Plan", "UnknownCall"]

ACTIVE_PAGE = 500
"""Active calls that are read at once."""
COMPLETED_KEY = "call_completed"
"""The idempotency key of the completion: a call completes once, whoever brings the news."""


class Journal:
    """One per process and store. Usable from one event loop at a time."""

    def __init__(self, store: DocumentStore, *, clock: Clock = utcnow, retention_days: int = 30) -> None:
        self._store = store
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._heads = Heads()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # -- writing -------------------------------------------------------------------------------------------------

    async def open(self, call: Call, drafts: Sequence[Draft] = ()) -> Call:
        """Create the call with its first events and its aliases. If one of its ids names a call already, that call
        is returned and nothing is written. Raises ValueError for an id that cannot be one; StoreUnavailable."""
        now = iso(self._clock())
        head = replace(
            call,
            epoch=call.epoch or secrets.token_hex(8),
            started_at=call.started_at or now,
            last_updated=now,
            expire_at=call.expire_at or self._expiry(),
        )
        settled = settle(head, Plan(drafts), spent=(), now=now) or Settled(head, (), ())
        aliases = alias_writes(settled.call, sorted(settled.call.aliases))
        create = Create(f"calls/{head.call_id}", settled.call.to_dict())
        writes = [create, *log_writes(settled, secrets.token_hex(8)), *aliases]
        for _ in range(OUTAGES):
            try:
                version = (await self._store.commit(writes))[0]
            except Conflict:
                existing = await self._named_by(call)
                if existing:
                    return existing
            else:
                self._heads.put(settled.call, version)
                return settled.call
        raise StoreUnavailable(f"call {call.call_id} could neither be opened nor found")

    async def append(
        self,
        call_id: str,
        drafts: Sequence[Draft],
        *,
        change: Mapping[str, Any] | None = None,
        writes: Sequence[Write] = (),
        term: int | None = None,
    ) -> Appended:
        """Append `drafts`, set the head fields in `change` and make `writes`, in one commit. See `update`."""
        plan = Plan(drafts, change, writes)
        return await self.update(call_id, lambda _: plan, term=term)

    async def update(self, call_id: str, decide: Decide, *, term: int | None = None) -> Appended:
        """Do what `decide` plans for the head, in one commit; `decide` is pure and is asked again after every lost
        compare-and-set. A plan of None does nothing.

        Raises UnknownCall; Fenced when `term` is not the owner's term any more or the call is over; Conflict when one
        of the plan's own writes lost, or an id in its change names another call; StoreUnavailable after bounded
        retries.
        """
        lock = self._locks.setdefault(call_id, asyncio.Lock())
        async with lock:
            return await Append(self._store, self._heads, self._clock, call_id, decide, term).run()

    async def complete(
        self,
        call_id: str,
        status: Status,
        *,
        call_data: Mapping[str, Any],
        change: Mapping[str, Any] | None = None,
        key: str,
        ts: str,
        term: int | None = None,
        only_if: Callable[[Call], bool] = lambda _: True,
    ) -> Appended:
        """End the call: `call_status` then `call_completed`, consecutive, in one commit. Once a call: whoever comes
        later changes nothing, nor does this when `only_if` does not take the head at that moment. With `term`, only by
        the owner of that term (else Fenced). The head stays `active` until `retire`, so that every watcher sees the
        end."""
        ended_at = call_data.get("call_end_time") or ts
        data = await records.save(self._store, call_id, call_data, self._expiry())
        news = {"status": status.value, "call_end_time": ended_at, "reason": None}
        ended = Draft(EventType.CALL_STATUS, news, f"{key}:{EventType.CALL_STATUS}", ts)
        completed = Draft(EventType.CALL_COMPLETED, data, COMPLETED_KEY, ts)

        def decide(call: Call) -> Plan | None:
            if not only_if(call) or any(event["type"] == EventType.CALL_COMPLETED for event in call.tail):
                return None
            # Ended, and maybe completed too long ago for the tail: then the key of the completion is taken.
            return Plan((completed,) if call.status.terminal else (ended, completed), change)

        return await self.update(call_id, decide, term=term)

    async def own(self, call_id: str, owner: str) -> Call:
        """Make `owner` the one who may write for the media; `owner_term` of the result fences everyone before."""
        grown = await self.update(
            call_id, lambda call: Plan(change={"owner": owner, "owner_term": call.owner_term + 1})
        )
        return grown.call

    async def retire(
        self, *, linger: timedelta = timedelta(seconds=60), stays: Callable[[Call], bool] = lambda _: False
    ) -> int:
        """Take calls that ended more than `linger` ago out of the active ones, but for those of which something is
        still to come (`stays`); how many. Run it now and then."""
        before = iso(self._clock() - linger)
        over = [c for c in await self.active() if c.ended_at and max(c.ended_at, c.last_updated) < before]
        ended = [call for call in over if not stays(call)]
        for call in ended:
            await self.append(call.call_id, (), change={"active": False})
        return len(ended)

    def look_again(self, call_id: str) -> None:
        """Somebody else may have written to this call: the next `update` reads the head before it decides. (One that
        writes would find out; one that decides to do nothing would not.)"""
        self._heads.drop(call_id)

    # -- reading -------------------------------------------------------------------------------------------------

    async def find(self, any_id: str) -> Call | None:
        """The call that `any_id` (call id, CallSid or conversation id) names. Raises PoisonedHead, after it is in the
        log, for one whose document cannot be read."""
        return next(iter(await self.named(any_id)), None)

    async def named(self, *any_ids: str) -> list[Call]:
        """The calls that these ids name, each once; with two questions to the store at most, however many ids. Raises
        PoisonedHead."""
        keys = [key for key in any_ids if is_id(key)]
        paths = [path for key in keys for path in (f"calls/{key}", f"aliases/{key}")]
        docs = await self._store.get(*paths) if paths else []
        heads = {key: docs[2 * n] for n, key in enumerate(keys)}
        meant = [key if heads[key] else docs[2 * n + 1] for n, key in enumerate(keys)]
        ids = list(dict.fromkeys(one if isinstance(one, str) else one.data["call_id"] for one in meant if one))
        unread = [call_id for call_id in ids if call_id not in heads]
        if unread:
            heads |= zip(unread, await self._store.get(*(f"calls/{id}" for id in unread)), strict=True)
        return [self._known(head) for id in ids if (head := heads[id]) is not None]

    def _known(self, head: Doc) -> Call:
        try:
            call = Call.from_dict(head.data)
        except PoisonedHead as error:
            log.error("head_quarantined", extra={"path": head.path, "why": str(error)})
            raise
        if self._heads.get(call.call_id) is None:
            self._heads.put(call, head.version)
        return call

    async def events(self, call_id: str, after: int = 0, limit: int = 500) -> list[Event]:
        """The events with `seq` > `after`, in order. Empty for an unknown call. In the place of a line that cannot be
        read stands an event of the type `invalid`."""
        if not is_id(call_id):
            return []
        docs = await self._store.query(Query(f"calls/{call_id}/events", order_by="seq", after=after, limit=limit))
        return [_event(call_id, doc) for doc in docs]

    async def call_data(self, event: Event) -> Mapping[str, Any]:
        """The whole record that a `call_completed` event carries or points to. Raises LookupError once it expired."""
        return await records.load(self._store, event)

    async def active(self, *, org: str | None = None) -> list[Call]:
        """The calls that go on, or ended so lately that they are not retired yet: of `org`, or of all."""
        where: list[listing.Where] = [("active", "==", True)]
        if org is not None:
            where.append(("org", "==", org))
        calls, after = list[Call](), None
        while True:
            docs = await self._store.query(Query("calls", where, limit=ACTIVE_PAGE, after=after))
            calls += filter(None, map(listing.readable, docs))
            if len(docs) < ACTIVE_PAGE:
                return calls
            after = docs[-1].path

    async def calls(
        self,
        *,
        org: str,
        status: str | None = None,
        flow: str | None = None,
        q: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[Call], str | None]:
        """Calls of `org`, newest first, and the cursor of the next page (None after the last). `q` is looked for in
        ids, numbers and the flow; `from_` and `to` bound `started_at` (ISO 8601, inclusive). A page may be short,
        even empty, and still have a cursor. Raises ValueError for a filter or a cursor that cannot be read."""
        wanted = listing.Filter(org=org, status=status, flow=flow, q=q, from_=from_, to=to)
        return await listing.page(self._store, wanted, cursor, limit)

    # -- news that came too early, and tokens that work once -------------------------------------------------------

    async def park(self, message: BusMessage) -> None:
        """Keep news about a call nobody knows yet, under each of its keys. Look for the call once more afterwards: it
        may have been opened in between. Raises ValueError for news without any key."""
        await parking.park(self._store, message, self._expiry())

    async def parked(self, call: Call) -> list[BusMessage]:
        """News that waits for this call under any of its ids, oldest first."""
        return await parking.parked(self._store, call.aliases)

    async def unpark(self, call: Call, message: BusMessage) -> None:
        """Forget parked news, once it was applied to `call`."""
        await parking.unpark(self._store, call.aliases, message)

    async def claim(self, kind: str, key: str, *, until: datetime) -> bool:
        """True for the first claim of `key`, False for every later one. Kept until `until`, when the key is stale
        for other reasons. Raises StoreUnavailable: then it is unknown whether the claim was made."""
        try:
            await self._store.commit([Create(f"claims/{kind}-{digest(key)}", {"kind": kind, "expire_at": iso(until)})])
        except Conflict:
            return False
        return True

    # -- inside --------------------------------------------------------------------------------------------------

    def _expiry(self) -> str:
        return iso(self._clock() + self._retention)

    async def _named_by(self, call: Call) -> Call | None:
        """The call that one of `call`'s ids names already; its own id first."""
        for alias in (call.call_id, *sorted(call.aliases - {call.call_id})):
            found = await self.find(alias)
            if found:
                return found
        return None


def _event(call_id: str, doc: Doc) -> Event:
    try:
        return Event.from_dict(doc.data)
    except (KeyError, TypeError, ValueError) as error:
        log.warning("event_poisoned", extra={"document": doc.path, "why": type(error).__name__})
        seq = int(doc.path.rpartition("/")[2])
        return Event(call_id, str(doc.data.get("epoch", "")), seq, EventType.INVALID, str(doc.data.get("ts", "")))
