"""Numbers that are never to be called: `orgs/{org}/do_not_call/{digest of the E.164 number}`."""

from __future__ import annotations

from datetime import datetime

from realtime.clock import iso
from realtime.paths import digest
from realtime.records.customers import e164, phone_key
from realtime.stores.port import DocumentStore, Put, Write


async def listed(store: DocumentStore, org: str, phone: str) -> bool:
    """True for a number on the list. What cannot be read as a number is not on it (and cannot be called either).
    Raises StoreUnavailable."""
    key = phone_key(phone)
    if key is None:
        return False
    (found,) = await store.get(_path(org, key))
    # Taken off is a line of its own, so that the day someone was on the list is still known.
    return found is not None and found.data.get("listed", True) is True


async def add(store: DocumentStore, org: str, phone: str, *, now: datetime, reason: str = "asked") -> None:
    """Put a number on the list. Raises NotANumber, StoreUnavailable."""
    await store.commit(writes(org, phone, now=now, reason=reason))


async def remove(store: DocumentStore, org: str, phone: str, *, now: datetime) -> None:
    """Take a number off the list; no error if it is not there. Raises NotANumber, StoreUnavailable."""
    if await listed(store, org, e164(phone)):
        await store.commit([Put(_path(org, digest(e164(phone))), {"listed": False, "removed_at": iso(now)})])


def writes(org: str, phone: str, *, now: datetime, reason: str = "asked") -> tuple[Write, ...]:
    """What puts a number on the list, for a commit with something else. Raises NotANumber."""
    number = e164(phone)
    record = {"phone": number, "listed": True, "reason": reason, "added_at": iso(now)}
    return (Put(_path(org, digest(number)), record),)


def _path(org: str, key: str) -> str:
    return f"orgs/{org}/do_not_call/{key}"
