"""One append to a call: compare-and-set on the head, and what to do when it loses."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from realtime.backoff import delay
from realtime.call import Call
from realtime.clock import Clock, iso
from realtime.events import Event, EventType
from realtime.paths import digest, is_id
from realtime.plan import Plan, Settled, settle
from realtime.stores.port import Conflict, Create, DocumentStore, Put, StoreUnavailable

ATTEMPTS = 60
"""Compare-and-sets before an append gives up; each lost one means that another append won."""
OUTAGES = 3
"""Times an append meets an unreachable store before it gives up."""
PAUSE = 0.25
"""Longest pause before another attempt, seconds; jittered."""

Decide = Callable[[Call], Plan | None]


class UnknownCall(LookupError):
    """There is no call of this id."""


class Fenced(Exception):
    """Another owner has taken the call over, or it is over: this one may not write for the media any more."""


class Appended(msgspec.Struct, frozen=True):
    """The head after the commit, and the events that this append added (none for a duplicate)."""

    call: Call
    events: tuple[Event, ...] = ()


ENDED = 64
"""Heads of calls that are over: little is written to them, and each keeps some tens of KB of its last events alive."""


class Heads:
    """The newest heads this process has seen, with their versions: at most `size`, the least used forgotten; of calls
    that are over, the last few."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._heads: OrderedDict[str, tuple[Call, str]] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def get(self, call_id: str) -> tuple[Call, str] | None:
        return self._heads.get(call_id)

    def put(self, call: Call, version: str) -> None:
        self._heads[call.call_id] = (call, version)
        self._heads.move_to_end(call.call_id)
        if len(self._heads) > self._size:
            self.drop(next(iter(self._heads)))
        if call.status.terminal:
            self._ended[call.call_id] = None
            self._ended.move_to_end(call.call_id)
            if len(self._ended) > ENDED:
                self.drop(next(iter(self._ended)))

    def drop(self, call_id: str) -> None:
        self._heads.pop(call_id, None)
        self._ended.pop(call_id, None)

    def __len__(self) -> int:
        return len(self._heads)


def log_writes(settled: Settled, by: str) -> list[Create]:
    """The new events and their idempotency keys; `by` tells later whose commit it was."""
    root, expiry = f"calls/{settled.call.call_id}", {"expire_at": settled.call.expire_at}
    writes = [Create(f"{root}/events/{event.seq:08d}", event.to_dict() | expiry) for event in settled.events]
    for event, key in zip(settled.events, settled.keys, strict=True):
        writes.append(Create(_idem_path(settled.call.call_id, key), {"seq": event.seq, "by": by} | expiry))
    return writes


def alias_writes(call: Call, aliases: Sequence[str]) -> list[Create]:
    """The documents that let `aliases` find the call. Raises ValueError for what cannot be an id."""
    for alias in aliases:
        if not is_id(alias):
            raise ValueError(f"{alias!r} cannot be the id of a call")
    return [Create(f"aliases/{a}", {"call_id": call.call_id, "expire_at": call.expire_at}) for a in aliases]


def _completes(plan: Plan) -> bool:
    return any(draft.type is EventType.CALL_COMPLETED for draft in plan.drafts)


def _idem_path(call_id: str, key: str) -> str:
    return f"calls/{call_id}/idem/{digest(key)}"


@dataclass(frozen=True, slots=True)
class _Tried:
    """A commit that did not succeed: it lost, or nobody knows."""

    plan: Plan
    aliases: tuple[str, ...]
    version: str
    lost: bool


class Append:
    """An append under way: its attempts, and what it learnt from those that did not succeed."""

    def __init__(
        self, store: DocumentStore, heads: Heads, clock: Clock, call_id: str, decide: Decide, term: int | None
    ) -> None:
        self._store = store
        self._heads = heads
        self._clock = clock
        self._call_id = call_id
        self._decide = decide
        self._term = term
        self._by = secrets.token_hex(8)
        self._spent: set[str] = set()
        self._named: set[str] = set()
        self._tried: _Tried | None = None

    async def run(self) -> Appended:
        """See `Journal.update`."""
        outages = 0
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(delay(attempt, base=0.004, cap=PAUSE))
            try:
                outcome = await self._learn() or await self._attempt()
            except StoreUnavailable:
                outages += 1
                if outages == OUTAGES:
                    self._heads.drop(self._call_id)
                    raise
                continue
            if outcome:
                return outcome
        raise StoreUnavailable(f"call {self._call_id}: {ATTEMPTS} appends in a row lost against others")

    async def _attempt(self) -> Appended | None:
        """One compare-and-set; None when it lost."""
        call, version = await self._head()
        plan = self._decide(call)
        if plan and self._term is not None and call.status.terminal and not _completes(plan):
            raise Fenced(f"call {self._call_id} is over ({call.status.value}); its owner has nothing more to write")
        settled = settle(call, plan, spent=self._spent, now=iso(self._clock())) if plan else None
        if plan is None or settled is None:
            return Appended(call)
        aliases = tuple(sorted(settled.call.aliases - call.aliases - self._named))
        head = Put(f"calls/{self._call_id}", settled.call.to_dict(), version)
        writes = [head, *log_writes(settled, self._by), *alias_writes(settled.call, aliases), *plan.writes]
        # Until the outcome is in, nobody knows; a cancelled append leaves its head to the next compare-and-set.
        self._tried = _Tried(plan, aliases, version, lost=False)
        try:
            versions = await self._store.commit(writes)
        except Conflict:
            self._tried = _Tried(plan, aliases, version, lost=True)
            return None
        self._heads.put(settled.call, versions[0])
        return Appended(settled.call, settled.events)

    async def _head(self) -> tuple[Call, str]:
        """The head as last seen, or read; read again when the term does not match, for memory may be behind."""
        known = self._heads.get(self._call_id)
        if known and self._term in (None, known[0].owner_term):
            return known
        (doc,) = await self._store.get(f"calls/{self._call_id}") if is_id(self._call_id) else (None,)
        if doc is None:
            self._heads.drop(self._call_id)
            raise UnknownCall(f"there is no call {self._call_id}")
        call = Call.from_dict(doc.data)
        if self._term not in (None, call.owner_term):
            raise Fenced(f"call {self._call_id} is owned in term {call.owner_term}, not {self._term}")
        self._heads.put(call, doc.version)
        return call, doc.version

    async def _learn(self) -> Appended | None:
        """Read what the last commit ran into: who has its keys and its aliases, and where the head is now.

        The outcome, if it was this very append that has the keys: its commit had happened after all. Raises Conflict
        when it lost, and not because of the head, a key or an alias: then one of the plan's own writes lost.
        """
        tried, self._tried = self._tried, None
        if tried is None:
            return None
        keys = [draft.idem for draft in tried.plan.drafts]
        try:
            head, *rest = await self._store.get(
                f"calls/{self._call_id}",
                *(_idem_path(self._call_id, key) for key in keys),
                *(f"aliases/{alias}" for alias in tried.aliases),
            )
        except StoreUnavailable:
            self._tried = tried
            raise
        if head is None:
            self._heads.drop(self._call_id)
            raise UnknownCall(f"there is no call {self._call_id}")
        call = Call.from_dict(head.data)
        self._heads.put(call, head.version)
        idems, names = rest[: len(keys)], rest[len(keys) :]
        ours = sorted(doc.data["seq"] for doc in idems if doc and doc.data["by"] == self._by)
        if ours:
            return Appended(call, await self._events(ours))
        spent = {key for key, doc in zip(keys, idems, strict=True) if doc} - self._spent
        named = {alias for alias, doc in zip(tried.aliases, names, strict=True) if doc}
        for doc in names:
            if doc and doc.data["call_id"] != self._call_id:
                raise Conflict(f"{doc.path} names call {doc.data['call_id']} already")
        self._spent |= spent
        self._named |= named
        if tried.lost and head.version == tried.version and not spent and not named:
            raise Conflict(f"call {self._call_id}: a document that should change with it was changed by another")
        return None

    async def _events(self, seqs: Sequence[int]) -> tuple[Event, ...]:
        docs = await self._store.get(*(f"calls/{self._call_id}/events/{seq:08d}" for seq in seqs))
        return tuple(Event.from_dict(doc.data) for doc in docs if doc)
