"""The document store that the journal and the records stand on: the part of Firestore that Callboard uses.

A document is JSON values under a path of pairs, `calls/CA1/events/00000001`. A commit is atomic over any number of
documents, and every write may carry a precondition: that is all the concurrency control there is (compare-and-set;
no transactions with reads).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec


class Conflict(Exception):
    """A precondition of the commit did not hold; nothing was written. Read again, decide again."""


class StoreUnavailable(Exception):
    """The store could not be reached in time. Whether a commit happened is unknown: retry with the same keys."""


class Doc(msgspec.Struct, frozen=True):
    """A document as read. `version` is opaque and changes with every write."""

    path: str
    data: Mapping[str, Any]
    version: str


class Create(msgspec.Struct, frozen=True):
    """Write a document that must not exist yet."""

    path: str
    data: Mapping[str, Any]


class Put(msgspec.Struct, frozen=True):
    """Write a document whole. With `version`, only if it is still that version (so it must exist)."""

    path: str
    data: Mapping[str, Any]
    version: str | None = None


class Delete(msgspec.Struct, frozen=True):
    """Remove a document; no error if it is not there, unless `version` says which one must be."""

    path: str
    version: str | None = None


Write = Create | Put | Delete


@dataclass(frozen=True, slots=True)
class Query:
    """Documents of one collection. `where` are (top-level field, operator, value), all of which must hold; `after` is
    the value of the `order_by` field of the last document already seen (exclusive); without `order_by`, when documents
    come by their path, it is that path."""

    collection: str
    where: Sequence[tuple[str, Literal["==", "<", "<=", ">", ">="], Any]] = ()
    order_by: str | None = None
    descending: bool = False
    limit: int = 100
    after: Any = None


class FeedState(StrEnum):
    """What a feed of heads can truthfully say of itself."""

    CONNECTING = "connecting"
    LIVE = "live"
    DEGRADED = "degraded"


class HeadFeed(Protocol):
    """Tells when heads of active calls change, wherever they were written. It tells states, not events: changes may be
    merged, repeated or reordered, and the head's `seq` says how far the log goes."""

    async def run(
        self,
        on_head: Callable[[Mapping[str, Any]], None],
        on_state: Callable[[FeedState], None],
    ) -> None:
        """Run until cancelled; never returns on its own, never raises because of an outage or a poison document."""


class DocumentStore(Protocol):
    """Two adapters: embedded (SQLite, one file) and Firestore. Every call has a deadline of its own and raises
    StoreUnavailable past it."""

    async def get(self, *paths: str) -> list[Doc | None]:
        """The documents at these paths, in this order, None where there is none."""

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        """All or nothing; the new version of each written document ("" for a Delete). Raises Conflict."""

    async def query(self, query: Query) -> list[Doc]:
        """At most `limit` documents."""

    def feed(self) -> HeadFeed:
        """A feed of `calls/*` where `active == true`."""

    async def aclose(self) -> None:
        """Let go of files and sockets; safe to call twice."""
