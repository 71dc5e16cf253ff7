"""The places where this installation's dead letters lie."""

from __future__ import annotations

from media_gateway.settings import Settings
from realtime.bus.port import dead_of
from realtime.bus.undelivered import DeadTopic, Undelivered
from realtime.dead_letters import KeptAside, Place
from realtime.stores.port import DocumentStore


def places(settings: Settings, store: DocumentStore) -> list[Place]:
    """In the store, and in the bus that the settings name."""
    if settings.callboard_bus == "pubsub":
        project, dead = settings.google_cloud_project or "", dead_of(settings.callboard_topic)
        return [KeptAside(store), DeadTopic(project, dead, emulator_host=settings.pubsub_emulator_host)]
    return [KeptAside(store), Undelivered(settings.callboard_data_dir / "callboard.db")]
