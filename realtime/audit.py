"""Who did what: `orgs/{org}/audit/{id}`, create-only, newest first to read.

An entry is written in the commit of what was done (`entry`), or by itself when that was done elsewhere (`record`). It
names ids, never a number, a name of a caller, or what was said: it outlives what it speaks of.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from realtime.clock import iso
from realtime.stores.port import Create, DocumentStore, Query, Write

KEPT = timedelta(days=400)
"""Longer than what it tells about: a year can be looked back on."""
MOST = 200
"""Entries on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`actor` is a user name, `key:{id}` of an API key, or `system`; `action` such as `call.hangup` or `user.disable`;
    `target` the id of what it was done to. `at` is ISO 8601 UTC."""

    id: str
    at: str
    actor: str
    action: str
    target: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored. Raises TypeError on a poison document."""
        return cls(**{name: value for name, value in data.items() if name in cls.__slots__})


def entry(
    org: str, actor: str, action: str, target: str, now: datetime, detail: Mapping[str, Any] | None = None
) -> Write:
    """What puts an entry into the log, for the commit of what was done. `detail`: a few small JSON values."""
    one = Entry(id=secrets.token_hex(8), at=iso(now), actor=actor, action=action, target=target, detail=detail or {})
    # `order` sorts by time, and tells two of the same moment apart.
    more = {"order": f"{one.at} {one.id}", "expire_at": iso(now + KEPT)}
    return Create(f"{_collection(org)}/{one.id}", one.to_dict() | more)


async def record(
    store: DocumentStore,
    org: str,
    actor: str,
    action: str,
    target: str,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an entry by itself. Raises StoreUnavailable."""
    await store.commit([entry(org, actor, action, target, now, detail)])


async def newest(
    store: DocumentStore, org: str, *, cursor: str | None = None, limit: int = 50
) -> tuple[list[Entry], str | None]:
    """A page, newest first, and the cursor of the next one (None after the last). Raises StoreUnavailable."""
    size = min(limit, MOST)
    docs = await store.query(Query(_collection(org), order_by="order", descending=True, limit=size + 1, after=cursor))
    page = docs[:size]
    return [Entry.from_dict(doc.data) for doc in page], page[-1].data["order"] if len(docs) > len(page) else None


def _collection(org: str) -> str:
    return f"orgs/{org}/audit"
