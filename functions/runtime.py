"""An event loop for functions that are called in threads: the store's clients belong to one loop for good."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from functions.settings import Settings

if TYPE_CHECKING:
    from functions.applier import Applier
    from realtime.journal import Journal
    from realtime.stores.port import DocumentStore

T = TypeVar("T")


class Runtime:
    """A loop in a thread of its own, with the applier on it."""

    def __init__(self, settings: Settings) -> None:
        """Raises Misconfigured, StoreUnavailable."""
        settings.require("CALLBOARD_STORE", settings.store, "firestore")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="applier", daemon=True)
        self._thread.start()
        try:
            self.store, self.journal, self.applier = self.run(self._build(settings), seconds=30.0)
        except BaseException:
            self._stop()
            raise

    def run(self, work: Coroutine[Any, Any, T], *, seconds: float) -> T:
        """The result of `work`, done on the loop. Raises TimeoutError, and what `work` raises."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> None:
        """Let go of the store and end the thread."""
        self.run(self.store.aclose(), seconds=30.0)
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @staticmethod
    async def _build(settings: Settings) -> tuple[DocumentStore, Journal, Applier]:
        from functions.applier import Applier
        from functions.files import files
        from realtime.journal import Journal

        store = await asyncio.to_thread(_store, settings)
        journal = Journal(store, retention_days=settings.retention_days)
        return store, journal, Applier(journal, store, retention_days=settings.retention_days, blobs=files(settings))


def _store(settings: Settings) -> DocumentStore:
    if settings.store == "embedded":
        from realtime.stores.embedded import EmbeddedStore

        return EmbeddedStore(settings.database)
    from realtime.stores.firestore import FirestoreStore

    return FirestoreStore(
        settings.project, emulator_host=settings.firestore_emulator, database=settings.firestore_database
    )


_lock = threading.Lock()
_runtimes: dict[Settings, Runtime] = {}


def runtime(settings: Settings) -> Runtime:
    """One per process and configuration, made when it is first needed. Raises Misconfigured, StoreUnavailable."""
    with _lock:
        if settings not in _runtimes:
            _runtimes[settings] = Runtime(settings)
        return _runtimes[settings]


def close_all() -> None:
    """End every runtime of this process."""
    with _lock:
        while _runtimes:
            _, open_runtime = _runtimes.popitem()
            open_runtime.close()
