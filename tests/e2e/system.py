"""The whole system for end-to-end tests: real processes, embedded parts or the real emulators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from infra.cli.simulating import target_of
from infra.local.simulate import Target
from infra.local.system import LocalSystem, free_port
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import Doc, DocumentStore, Query
from tests.realtime.buses import wire_pubsub

T = TypeVar("T")
AT_ONCE = 2
"""Calls on this machine's engines. Sets of them that begin together keep each other waiting: a record is not found in
time, a line is bridged, and a caller hears so."""


async def in_turns(*calls: Awaitable[T], at_once: int = AT_ONCE) -> list[T]:
    """What the calls gave, in their order; a few at a time."""
    turns = asyncio.Semaphore(at_once)

    async def one(call: Awaitable[T]) -> T:
        async with turns:
            return await call

    return list(await asyncio.gather(*map(one, calls)))


@dataclass(frozen=True, slots=True)
class Emulators:
    """Where Firestore and Pub/Sub answer (host:port)."""

    firestore: str
    pubsub: str


@dataclass(frozen=True, slots=True)
class Running:
    """A system that is ready, and its store as another process sees it."""

    system: LocalSystem
    target: Target
    store: DocumentStore

    async def appointments(self) -> list[Doc]:
        """What is booked."""
        return await self.store.query(Query("orgs/default/appointments"))


@asynccontextmanager
async def running(
    folder: Path, emulators: Emulators | None = None, more: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """Start everything on free ports, with `more` in the environment; stop it on the way out."""
    project = f"demo-{uuid4().hex[:8]}"
    environment = {"LOG_LEVEL": "WARNING", "CALLBOARD_MAX_LAG_MS": "0", **(more or {})}
    close = None
    if emulators:
        environment |= {
            "CALLBOARD_STORE": "firestore",
            "CALLBOARD_BUS": "pubsub",
            "GOOGLE_CLOUD_PROJECT": project,
            "FIRESTORE_EMULATOR_HOST": emulators.firestore,
            "PUBSUB_EMULATOR_HOST": emulators.pubsub,
        }
    system = LocalSystem(
        port=free_port(), functions_port=free_port(), data_dir=folder / "data", environment=environment
    )
    if emulators:
        push_url = f"{system.push_url}?token={system.push_token}"  # a push of Pub/Sub has no header of ours
        close = await asyncio.to_thread(wire_pubsub, emulators.pubsub, project, push_url)
    try:
        async with system:
            store = FirestoreStore(project, emulator_host=emulators.firestore) if emulators else None
            opened: DocumentStore = store or EmbeddedStore(system.database)
            try:
                yield Running(system, target_of(system, folder), opened)
            finally:
                await opened.aclose()
    finally:
        if close:
            await asyncio.to_thread(close)
