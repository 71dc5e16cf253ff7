"""What is kept for how long, in one place, as data: the deployment sets Firestore's TTL policies and the bucket's
lifecycle rule by it, the sweeper of a laptop does the same, and erasure knows by it what a call leaves behind.

Every document of these collections carries `expire_at`, an ISO 8601 time that the codec keeps as a timestamp. Calls and
what belongs to them live for CALLBOARD_RETENTION_DAYS from when they were written.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from realtime.blobs import Blobs
from realtime.stores.port import DocumentStore

TTL_FIELD = "expire_at"

OF_A_CALL = ("events", "idem", "call_data", "commands", "effects", "facts", "live")
"""Collections under `calls/{call_id}`."""

TTL_COLLECTIONS = (
    "calls",
    *OF_A_CALL,
    "interest",
    "aliases",
    "call_ids",
    "news",  # parked/{...}/news
    "waiting",
    "parts",  # of parked news and of dead letters
    "posts",
    "erased",
    "dead_letters",
    "claims",
    "messages",
    "intents",
    "idempotency",
    "outbound_days",
    "campaigns",
    "rows",  # of campaigns
    "reminders",
    "audit",
)
"""Collection groups that Firestore empties by `TTL_FIELD`."""

KEPT = (
    "users",
    "api_keys",
    "do_not_call",
    "customers",
    "phones",
    "vehicles",
    "appointments",
    "slots",
    "records",
)
"""What does not expire: accounts, wishes not to be called, and the shop's own records."""

SWEEP_EVERY_S = 600.0


async def sweep(store: DocumentStore, blobs: Blobs | None, *, days: int, now: datetime) -> int:
    """What the embedded store and a folder need and Google's need not: files that are old enough go, and the store,
    which deletes what has expired whenever it writes, is made to. How many files went. Raises StoreUnavailable,
    BlobsUnavailable."""
    await store.commit([])
    if blobs is None:
        return 0
    return await asyncio.to_thread(blobs.purge, now - timedelta(days=days))
