"""Calls by the words that were said in them, by who called, and by what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from realtime.call import Call
from realtime.numbers.facts import Facts
from realtime.numbers.ledger import Ledger

SCANNED = 1_000
"""Calls looked at for a page; a page may end early and still have a cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """`q` is looked for in ids, numbers, the flow's name and every word that was heard or said; all its words have to
    be there, in any order. `outcome` as `Facts.outcome` has it."""

    org: str
    q: str | None = None
    outcome: str | None = None
    status: str | None = None
    flow: str | None = None
    from_: str | None = None
    to: str | None = None

    def takes(self, call: Call, facts: Facts | None) -> bool:
        """True for a call that is wanted."""
        if self.outcome and (facts is None or facts.outcome != self.outcome):
            return False
        if not self.q:
            return True
        ids = (*call.aliases, call.caller_phone, call.from_number, call.to_number, call.flow)
        words = " ".join([*(text.lower() for text in ids if text), facts.text if facts else ""])
        return all(word in words for word in self.q.lower().split())


async def page(ledger: Ledger, wanted: Search, cursor: str | None, limit: int) -> tuple[list[Call], str | None]:
    """At most `limit` calls, newest first, and the cursor of the next page. Raises ValueError for a status, a time, a
    limit or a cursor that is none; StoreUnavailable."""
    found: list[Call] = []
    scanned = 0
    while True:
        calls, cursor = await ledger.journal.calls(
            org=wanted.org,
            status=wanted.status,
            flow=wanted.flow,
            from_=wanted.from_,
            to=wanted.to,
            cursor=cursor,
            limit=limit - len(found),
        )
        facts, _ = await ledger.of([call for call in calls if call.status.terminal])
        known = {one.call_id: one for one in facts}
        found += (call for call in calls if wanted.takes(call, known.get(call.call_id)))
        scanned += len(calls)
        if cursor is None or len(found) >= limit or scanned >= SCANNED:
            return found, cursor
