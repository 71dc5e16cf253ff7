"""Calls by the words that were said in them, by who called, and by what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from realtime.call import Call
from realtime.numbers.facts import Facts
from realtime.numbers.ledger import Ledger

SCANNED = 1_000
"""Calls looked at for a page; a page may end early and still have a cursor."""
BEFORE, AFTER = 40, 100
"""Characters of an excerpt around the word that was looked for."""
_NUMBER = re.compile(r"\+?[\d().-]*\d[\d().-]*")


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
        return all(word in words or _digits(word) in words for word in self.q.lower().split())

    def excerpt(self, facts: Facts) -> str | None:
        """What was said around the first of the words that was said at all; None when none was."""
        for word in (self.q or "").lower().split():
            at = facts.text.find(word)
            if at >= 0:
                return _cut(facts.text, at, at + len(word))
        return None


@dataclass(frozen=True, slots=True)
class Hit:
    """A call that was looked for. `outcome` as `Facts.outcome`, None while the call goes on."""

    call: Call
    outcome: str | None = None
    excerpt: str | None = None


async def page(ledger: Ledger, wanted: Search, cursor: str | None, limit: int) -> tuple[list[Hit], str | None]:
    """At most `limit` calls, newest first, and the cursor of the next page. Raises ValueError for a status, a time, a
    limit or a cursor that is none; StoreUnavailable."""
    found: list[Hit] = []
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
        found += (
            _hit(wanted, call, known.get(call.call_id)) for call in calls if wanted.takes(call, known.get(call.call_id))
        )
        scanned += len(calls)
        if cursor is None or len(found) >= limit or scanned >= SCANNED:
            return found, cursor


def _hit(wanted: Search, call: Call, facts: Facts | None) -> Hit:
    return Hit(call, facts.outcome, wanted.excerpt(facts)) if facts else Hit(call)


def _digits(word: str) -> str:
    """A telephone number as it is kept, however it was written."""
    return re.sub(r"[^\d+]", "", word) if _NUMBER.fullmatch(word) else word


def _cut(text: str, start: int, end: int) -> str:
    """At whole words."""
    first = 0 if start <= BEFORE else text.find(" ", start - BEFORE, start) + 1 or start
    last = len(text) if len(text) - end <= AFTER else max(end, text.rfind(" ", end, end + AFTER))
    return f"{'… ' if first else ''}{text[first:last]}{' …' if last < len(text) else ''}"
