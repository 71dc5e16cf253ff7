"""What this instance has seen of everything outside of it: when it last did its part, and what last went wrong. In
memory only: a start forgets it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from realtime.blobs import Blobs, BlobsUnavailable
from realtime.bus.port import Bus, BusMessage, PublishFailed
from realtime.clock import Clock, iso, utcnow


@dataclass(frozen=True, slots=True)
class Seen:
    """Moments are ISO 8601 UTC. `problem` is what went wrong after `at`; "" when nothing did."""

    at: str | None = None
    problem: str = ""
    problem_at: str | None = None


@dataclass(slots=True)
class LastSeen:
    """By the connection's name; an entry a connection, however much comes."""

    clock: Clock = utcnow
    _seen: dict[str, Seen] = field(default_factory=dict)

    def ok(self, name: str) -> None:
        """It did its part just now: what was wrong before is over."""
        self._seen[name] = Seen(at=iso(self.clock()))

    def wrong(self, name: str, problem: str) -> None:
        """It did not. `problem` names no caller and no secret."""
        self._seen[name] = replace(self[name], problem=problem, problem_at=iso(self.clock()))

    def __getitem__(self, name: str) -> Seen:
        return self._seen.get(name, Seen())


class SeenBus:
    """A bus, and whether it took what it was given."""

    def __init__(self, bus: Bus, seen: LastSeen) -> None:
        self._bus, self._seen = bus, seen

    async def publish(self, message: BusMessage) -> None:
        """As the bus does. Raises PublishFailed."""
        try:
            await self._bus.publish(message)
        except PublishFailed:
            self._seen.wrong("bus", "The bus did not take a message.")
            raise
        self._seen.ok("bus")

    async def aclose(self) -> None:
        """Safe to call twice."""
        await self._bus.aclose()


class SeenBlobs:
    """A place for files, and whether it took what it was given."""

    def __init__(self, blobs: Blobs, seen: LastSeen) -> None:
        self._blobs, self._seen = blobs, seen

    def get(self, name: str) -> bytes:
        """As the place does. Raises LookupError, BlobsUnavailable."""
        return self._blobs.get(name)

    def delete(self, name: str) -> None:
        """As the place does. Raises BlobsUnavailable."""
        self._blobs.delete(name)

    def names(self, stem: str) -> list[str]:
        """As the place does. Raises BlobsUnavailable."""
        return self._blobs.names(stem)

    def put(self, name: str, data: bytes, *, content_type: str) -> None:
        """As the place does. Raises BlobsUnavailable."""
        try:
            self._blobs.put(name, data, content_type=content_type)
        except BlobsUnavailable:
            self._seen.wrong("files", "A part of a recording could not be written.")
            raise
        self._seen.ok("files")

    def purge(self, before: datetime) -> int:
        """As the place does. Raises BlobsUnavailable."""
        return self._blobs.purge(before)

    def close(self) -> None:
        """Safe to call twice."""
        self._blobs.close()
