"""A store that counts what is asked of it, and fails when told to."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.stores.port import Doc, DocumentStore, HeadFeed, Query, StoreUnavailable, Write


class Spy:
    """A store that counts, remembers and, when told to, fails."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store
        self.reads = 0
        self.writes: list[Write] = []
        self.commits = 0
        self.faults: list[str] = []

    async def get(self, *paths: str) -> list[Doc | None]:
        self.reads += 1
        return await self.store.get(*paths)

    async def query(self, query: Query) -> list[Doc]:
        self.reads += 1
        return await self.store.query(query)

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise StoreUnavailable("not sent")
        self.commits += 1
        self.writes += writes
        versions = await self.store.commit(writes)
        if fault == "after":
            raise StoreUnavailable("the answer was lost")
        return versions

    def feed(self) -> HeadFeed:
        return self.store.feed()

    async def aclose(self) -> None:
        await self.store.aclose()
