"""The list of calls, newest first, page by page.

The store narrows by organisation and start (one composite index serves every list); the other filters are applied
here, over a bounded number of documents a page. The cursor is where reading goes on: a start time, and the ids
already read of calls that started in that very millisecond.
"""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass
from typing import Any, Literal

from realtime.call import Call, PoisonedHead, Status
from realtime.clock import iso, parse_iso
from realtime.stores.port import Doc, DocumentStore, Query

log = logging.getLogger(__name__)

MOST = 200
"""Calls on a page."""
BATCH = 100
"""Documents read at once."""
SCANNED = 1000
"""Documents read for a page; a page may end early and still have a cursor."""

Where = tuple[str, Literal["==", "<", "<=", ">", ">="], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to list; see `Journal.calls`. Raises ValueError for a status or a time that is none."""

    org: str
    status: str | None = None
    flow: str | None = None
    q: str | None = None
    from_: str | None = None
    to: str | None = None

    def __post_init__(self) -> None:
        if self.status is not None:
            Status(self.status)
        for moment in (self.from_, self.to):
            if moment is not None:
                parse_iso(moment)

    def takes(self, call: Call) -> bool:
        """True if the call is wanted, as far as the store has not seen to it."""
        if self.status is not None and call.status != self.status:
            return False
        if self.flow is not None and call.flow != self.flow:
            return False
        if not self.q:
            return True
        texts = (*call.aliases, call.caller_phone, call.from_number, call.to_number, call.flow)
        return any(self.q.lower() in text.lower() for text in texts if text)


@dataclass(frozen=True, slots=True)
class _Position:
    """Where reading goes on: at `at` (inclusive; "" = the newest), without the calls in `seen`."""

    at: str = ""
    seen: tuple[str, ...] = ()

    def past(self, call: Call) -> _Position:
        seen = (*self.seen, call.call_id) if call.started_at == self.at else (call.call_id,)
        return _Position(call.started_at, seen)


async def page(store: DocumentStore, wanted: Filter, cursor: str | None, limit: int) -> tuple[list[Call], str | None]:
    """A page and the cursor of the next one. Raises ValueError for a limit or a cursor that is none."""
    if not 1 <= limit <= MOST:
        raise ValueError(f"limit must be 1 to {MOST}, not {limit}")
    position = _decode(cursor) if cursor else _Position()
    found: list[Call] = []
    scanned = 0
    while scanned < SCANNED:
        size = BATCH + len(position.seen)
        docs = await store.query(_query(wanted, position, size))
        scanned += len(docs)
        for doc in docs:
            call = readable(doc)
            if call is None:
                continue
            if call.started_at == position.at and call.call_id in position.seen:
                continue
            if len(found) == limit:
                return found, _encode(position)
            position = position.past(call)
            if wanted.takes(call):
                found.append(call)
        if len(docs) < size:
            return found, None
    return found, _encode(position)


def readable(doc: Doc) -> Call | None:
    """The call of this head; None, and a line in the log, for one that cannot be read: it hides no other call."""
    try:
        return Call.from_dict(doc.data)
    except PoisonedHead as error:
        log.error("head_quarantined", extra={"path": doc.path, "why": str(error)})
        return None


def _query(wanted: Filter, position: _Position, size: int) -> Query:
    where: list[Where] = [("org", "==", wanted.org)]
    newest = min((bound for bound in (wanted.to and _normal(wanted.to), position.at) if bound), default=None)
    if wanted.from_:
        where.append(("started_at", ">=", _normal(wanted.from_)))
    if newest:
        where.append(("started_at", "<=", newest))
    return Query("calls", where, order_by="started_at", descending=True, limit=size)


def _normal(moment: str) -> str:
    return iso(parse_iso(moment))


def _encode(position: _Position) -> str:
    return base64.urlsafe_b64encode(json.dumps([position.at, *position.seen]).encode()).decode()


def _decode(cursor: str) -> _Position:
    try:
        at, *seen = json.loads(base64.urlsafe_b64decode(cursor))
        if not all(isinstance(text, str) for text in (at, *seen)):
            raise TypeError(cursor)
    except (ValueError, TypeError):
        raise ValueError(f"{cursor!r} is not a cursor; leave it out to start with the newest calls") from None
    return _Position(iso(parse_iso(at)), tuple(seen))
