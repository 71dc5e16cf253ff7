"""The two document stores under one name, for suites that both must pass."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realtime.clock import Clock, utcnow
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import DocumentStore

Opener = Callable[[], DocumentStore]
"""Opens the same documents once more, as another process would."""

BOTH = ["embedded", pytest.param("firestore", marks=pytest.mark.emulator)]


def opener(kind: str, request: pytest.FixtureRequest, *, clock: Clock = utcnow) -> Opener:
    """A fresh, empty place for documents: a file of its own, or a project of its own in the emulator. By `clock` the
    file forgets what has expired: a test whose dates are fixed says which day it is."""
    if kind == "embedded":
        folder: Path = request.getfixturevalue("tmp_path")
        return lambda: EmbeddedStore(folder / "callboard.db", clock=clock)
    address: str = request.getfixturevalue("firestore_emulator")
    project = f"demo-{secrets.token_hex(6)}"
    return lambda: FirestoreStore(project, emulator_host=address)


@asynccontextmanager
async def opened(open_store: Opener) -> AsyncIterator[DocumentStore]:
    """A store that is closed at the end."""
    store = open_store()
    try:
        yield store
    finally:
        await store.aclose()
