"""The bus as a function publishes to it."""

from __future__ import annotations

import threading

from functions.settings import Settings
from realtime.bus.port import PublishFailed
from realtime.bus.rest import Publisher, RestPublisher

_lock = threading.Lock()
_publishers: dict[Settings, Publisher] = {}


def publisher(settings: Settings) -> Publisher:
    """One per process and configuration, made when it is first needed. Raises Misconfigured, PublishFailed."""
    with _lock:
        if settings not in _publishers:
            _publishers[settings] = _open(settings)
        return _publishers[settings]


def close_all() -> None:
    """Let go of every bus of this process."""
    with _lock:
        while _publishers:
            _, bus = _publishers.popitem()
            bus.close()


def _open(settings: Settings) -> Publisher:
    settings.require("CALLBOARD_BUS", settings.bus, "pubsub")
    if settings.bus == "pubsub":
        return RestPublisher(settings.project, emulator_host=settings.pubsub_emulator)
    import sqlite3

    from realtime.bus.outbox import Outbox

    try:
        return Outbox(settings.database)
    except (OSError, sqlite3.Error) as error:
        raise PublishFailed(f"the embedded bus at {settings.database} cannot be opened: {error}") from error
