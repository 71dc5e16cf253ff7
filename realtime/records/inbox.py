"""The owner's inbox: `orgs/{org}/messages/{id}`, what callers left for the people of the shop.

`alert` tells whether the owner was told of it: pending -> sending -> sent | unknown | failed, by compare-and-set, so
that nobody is told twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from realtime.stores.port import Create, DocumentStore, Put, Query, Write

Alert = Literal["pending", "sending", "sent", "unknown", "failed"]
MOST = 200


class NoMessage(LookupError):
    """There is no message of this id (yet)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`callback` is E.164, or as it was said; None for a caller who gave none and withheld theirs. Times are ISO 8601
    UTC."""

    message_id: str
    call_id: str
    text: str
    at: str
    callback: str | None = None
    customer_id: str | None = None
    name: str | None = None
    alert: Alert = "pending"
    expire_at: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values. `order` sorts by time, and tells two of the same moment apart."""
        return {**asdict(self), "order": f"{self.at} {self.message_id}"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored. Raises TypeError on a poison document."""
        return cls(**{name: value for name, value in data.items() if name in cls.__slots__})


def path(org: str, message_id: str) -> str:
    """Where a message is kept."""
    return f"orgs/{org}/messages/{message_id}"


def writes(org: str, message: Message) -> tuple[Write, ...]:
    """What puts a new message into the inbox."""
    return (Create(path(org, message.message_id), message.to_dict()),)


async def newest(
    store: DocumentStore, org: str, *, before: str | None = None, limit: int = 50
) -> tuple[list[Message], str | None]:
    """A page, newest first, and where the next one begins (None after the last). Raises StoreUnavailable."""
    query = Query(f"orgs/{org}/messages", order_by="order", descending=True, limit=min(limit, MOST) + 1, after=before)
    found = [Message.from_dict(doc.data) for doc in await store.query(query)]
    page = found[: min(limit, MOST)]
    return page, page[-1].to_dict()["order"] if len(found) > len(page) else None


async def pending(store: DocumentStore, org: str) -> list[Message]:
    """Messages that nobody has been told of yet, at most 200. Raises StoreUnavailable."""
    docs = await store.query(Query(f"orgs/{org}/messages", where=[("alert", "==", "pending")], limit=MOST))
    return [Message.from_dict(doc.data) for doc in docs]


async def mark(store: DocumentStore, org: str, message_id: str, was: Alert, now: Alert) -> Message | None:
    """From one stage of the alert to the next; the message, or None if it is not at that stage. Raises NoMessage;
    Conflict when somebody else was faster, StoreUnavailable."""
    (doc,) = await store.get(path(org, message_id))
    if doc is None:
        raise NoMessage(f"there is no message {message_id}")
    if doc.data["alert"] != was:
        return None
    message = replace(Message.from_dict(doc.data), alert=now)
    await store.commit([Put(doc.path, message.to_dict(), doc.version)])
    return message
