"""The facts of a period: read, and made where they are missing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from realtime.call import Call
from realtime.events import Event
from realtime.journal import Journal
from realtime.numbers.facts import VERSION, Facts, facts_of, path
from realtime.stores.port import DocumentStore, Put

log = logging.getLogger(__name__)

PAGE = 200
MOST_CALLS = 10_000
"""Of a period; beyond it the newest count, and the answer says so."""
MADE_AT_ONCE = 300
"""Facts that one request makes; the next one goes on."""
TOGETHER = 8
EVENTS = 500


@dataclass(frozen=True, slots=True)
class Counted:
    """`facts`, newest first; `missing` calls of the period are not in them yet: ask again. `more` is True when the
    period has more calls than are counted."""

    facts: tuple[Facts, ...]
    missing: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """`zone` is the shop's."""

    journal: Journal
    store: DocumentStore
    zone: ZoneInfo

    async def period(
        self, org: str, *, from_: str | None = None, to: str | None = None, flow: str | None = None
    ) -> Counted:
        """The facts of the calls that began from `from_` to `to` (ISO 8601) and are over. Raises ValueError for a time
        that is none, StoreUnavailable."""
        calls, more = await self._calls(org, from_, to, flow)
        facts, missing = await self.of(calls)
        return Counted(tuple(facts), missing, more)

    async def of(self, calls: Sequence[Call]) -> tuple[list[Facts], int]:
        """The facts of these calls, and how many of them have still to be made."""
        known: dict[str, Facts] = {}
        for at in range(0, len(calls), PAGE):
            part = calls[at : at + PAGE]
            docs = await self.store.get(*(path(call.call_id) for call in part))
            for call, doc in zip(part, docs, strict=True):
                if doc and doc.data.get("version") == VERSION and doc.data.get("seq") == call.seq:
                    known[call.call_id] = Facts.from_dict(doc.data)
        wanted = [call for call in calls if call.call_id not in known]
        limit = asyncio.Semaphore(TOGETHER)

        async def make(call: Call) -> None:
            async with limit:
                made = await self.make(call)
            if made:
                known[call.call_id] = made

        await asyncio.gather(*(make(call) for call in wanted[:MADE_AT_ONCE]))
        return [known[call.call_id] for call in calls if call.call_id in known], max(0, len(wanted) - MADE_AT_ONCE)

    async def make(self, call: Call) -> Facts | None:
        """Make and keep the facts of a call that is over; None if its journal cannot be read. Whoever makes them makes
        the same, so the last one wins."""
        try:
            facts = facts_of(call, await self._events(call.call_id), self.zone)
        except (KeyError, ValueError, TypeError) as problem:
            log.warning("facts_poisoned", extra={"call_id": call.call_id, "why": type(problem).__name__})
            return None
        await self.store.commit([Put(path(call.call_id), facts.to_dict())])
        return facts

    async def _events(self, call_id: str) -> list[Event]:
        events: list[Event] = []
        while page := await self.journal.events(call_id, after=events[-1].seq if events else 0, limit=EVENTS):
            events += page
        return events

    async def _calls(self, org: str, from_: str | None, to: str | None, flow: str | None) -> tuple[list[Call], bool]:
        calls: list[Call] = []
        cursor: str | None = None
        while len(calls) < MOST_CALLS:
            page, cursor = await self.journal.calls(org=org, from_=from_, to=to, flow=flow, cursor=cursor, limit=PAGE)
            calls += (call for call in page if call.status.terminal)
            if cursor is None:
                return calls, False
        return calls[:MOST_CALLS], True
