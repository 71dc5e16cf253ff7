"""The bus as a function publishes to it."""

from __future__ import annotations

import threading

from functions.baggage import in_file
from functions.files import files
from functions.settings import Settings
from realtime.bus.port import BusMessage, Publisher, PublishFailed, TooLarge

_lock = threading.Lock()
_publishers: dict[Settings, Publisher] = {}


def publisher(settings: Settings) -> Publisher:
    """One per process and configuration, made when it is first needed. Raises Misconfigured, PublishFailed."""
    with _lock:
        if settings not in _publishers:
            _publishers[settings] = _open(settings)
        return _publishers[settings]


def publish(message: BusMessage, settings: Settings) -> None:
    """Returns when the bus has it. News that no bus takes lies in a file then. Raises PublishFailed, BlobsUnavailable,
    Misconfigured."""
    try:
        publisher(settings).publish(message)
    except TooLarge:
        blobs = files(settings)
        if blobs is None:
            raise
        publisher(settings).publish(in_file(message, blobs))


def close_all() -> None:
    """Let go of every bus of this process."""
    with _lock:
        while _publishers:
            _, bus = _publishers.popitem()
            bus.close()


def _open(settings: Settings) -> Publisher:
    settings.require("CALLBOARD_BUS", settings.bus, "pubsub")
    if settings.bus == "pubsub":
        from realtime.bus.rest import RestPublisher

        return RestPublisher(settings.project, settings.topic, emulator_host=settings.pubsub_emulator)
    import sqlite3

    from realtime.bus.outbox import Outbox

    try:
        return Outbox(settings.database)
    except (OSError, sqlite3.Error) as error:
        raise PublishFailed(f"the embedded bus at {settings.database} cannot be opened: {error}") from error
