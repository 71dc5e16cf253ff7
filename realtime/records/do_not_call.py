"""Numbers that are never to be called: `orgs/{org}/do_not_call/{digest of the E.164 number}`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from realtime import audit
from realtime.clock import iso
from realtime.paths import digest
from realtime.records.customers import e164, phone_key
from realtime.stores.port import DocumentStore, Put, Query, Write

MOST = 200
"""Numbers on a page."""


async def listed(store: DocumentStore, org: str, phone: str) -> bool:
    """True for a number on the list. What cannot be read as a number is not on it (and cannot be called either).
    Raises StoreUnavailable."""
    key = phone_key(phone)
    if key is None:
        return False
    (found,) = await store.get(_path(org, key))
    # Taken off is a line of its own, so that the day someone was on the list is still known.
    return found is not None and found.data.get("listed", True) is True


async def add(
    store: DocumentStore, org: str, phone: str, *, now: datetime, reason: str = "asked", actor: str | None = None
) -> None:
    """Put a number on the list. With `actor`, the audit log says who did. Raises NotANumber, StoreUnavailable."""
    told = _audited(org, actor, "do_not_call.add", phone, now)
    await store.commit([*writes(org, phone, now=now, reason=reason), *told])


async def remove(store: DocumentStore, org: str, phone: str, *, now: datetime, actor: str | None = None) -> None:
    """Take a number off the list; no error if it is not there. Raises NotANumber, StoreUnavailable."""
    if await listed(store, org, e164(phone)):
        gone = Put(_path(org, digest(e164(phone))), {"listed": False, "removed_at": iso(now)})
        await store.commit([gone, *_audited(org, actor, "do_not_call.remove", phone, now)])


async def page(
    store: DocumentStore, org: str, *, after: str | None = None, limit: int = 50
) -> tuple[list[dict[str, Any]], str | None]:
    """Numbers on the list, `{phone, reason, added_at}`, in no order that means anything, and where the next page begins
    (None after the last). Raises StoreUnavailable."""
    # By digest: what begins where a page ended is found whatever was added meanwhile.
    start = _path(org, after) if after else None
    size = min(limit, MOST)
    docs = await store.query(Query(f"orgs/{org}/do_not_call", [("listed", "==", True)], limit=size + 1, after=start))
    found = [{name: doc.data.get(name) for name in ("phone", "reason", "added_at")} for doc in docs[:size]]
    return found, docs[size - 1].path.rpartition("/")[2] if len(docs) > size else None


def _audited(org: str, actor: str | None, action: str, phone: str, now: datetime) -> list[Write]:
    return [audit.entry(org, actor, action, digest(e164(phone))[:16], now)] if actor else []


def writes(org: str, phone: str, *, now: datetime, reason: str = "asked") -> tuple[Write, ...]:
    """What puts a number on the list, for a commit with something else. Raises NotANumber."""
    number = e164(phone)
    record = {"phone": number, "listed": True, "reason": reason, "added_at": iso(now)}
    return (Put(_path(org, digest(number)), record),)


def _path(org: str, key: str) -> str:
    return f"orgs/{org}/do_not_call/{key}"
