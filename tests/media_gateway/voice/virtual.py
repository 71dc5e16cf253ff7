"""A call in virtual time: an event loop whose clock jumps to the next timer, a store in memory, and a caller who knows
when they heard what. Whole calls at the real constants take no time, and the same run is the same run."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from realtime.stores.port import Conflict, Create, Delete, Doc, HeadFeed, Query, Write

T = TypeVar("T")
BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Stuck(AssertionError):
    """Nothing is left that could ever happen."""


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck("every task waits for another")
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only where everybody waits."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """At once: a thread knows nothing of this time."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as problem:
            done.set_exception(problem)
        return done


def run(work: Coroutine[Any, Any, T], *, limit: float = 20_000.0) -> T:
    """Run it in virtual time, at most `limit` seconds of that."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(work, limit))
    finally:
        loop.close()


def utc() -> datetime:
    """The wall clock of virtual time."""
    return BEGIN + timedelta(seconds=asyncio.get_running_loop().time() - 1_000.0)


def monotonic() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class MemoryStore:
    """`DocumentStore` without a thread. Answers after `delay` seconds."""

    docs: dict[str, tuple[Mapping[str, Any], int]] = field(default_factory=dict)
    version: int = 0
    delay: float = 0.002

    async def get(self, *paths: str) -> list[Doc | None]:
        await asyncio.sleep(self.delay)
        return [self._doc(path) for path in paths]

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        await asyncio.sleep(self.delay)
        for write in writes:
            held = self.docs.get(write.path)
            wanted = None if isinstance(write, Create) else write.version
            if (isinstance(write, Create) and held) or (wanted is not None and (not held or str(held[1]) != wanted)):
                raise Conflict(write.path)
        versions = []
        for write in writes:
            self.version += 1
            if isinstance(write, Delete):
                self.docs.pop(write.path, None)
            else:
                self.docs[write.path] = (dict(write.data), self.version)
            versions.append("" if isinstance(write, Delete) else str(self.version))
        return versions

    async def query(self, query: Query) -> list[Doc]:
        await asyncio.sleep(self.delay)
        inside = [doc for path in sorted(self.docs) if (doc := self._doc(path)) and self._holds(doc, query)]
        if query.order_by:
            inside.sort(key=lambda doc: doc.data[query.order_by or ""], reverse=query.descending)
        return inside[: query.limit]

    def feed(self) -> HeadFeed:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.docs.clear()

    def _doc(self, path: str) -> Doc | None:
        held = self.docs.get(path)
        return Doc(path, held[0], str(held[1])) if held else None

    @staticmethod
    def _holds(doc: Doc, query: Query) -> bool:
        if doc.path.rpartition("/")[0] != query.collection:
            return False
        if query.after is not None and query.order_by and not doc.data[query.order_by] > query.after:
            return False
        return all(operator == "==" and doc.data.get(name) == value for name, operator, value in query.where)
