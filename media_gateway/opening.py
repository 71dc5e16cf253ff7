"""Store, bus and files as the settings name them; the library of each is imported only then."""

from __future__ import annotations

from pathlib import Path

from media_gateway.settings import Settings, SettingsError
from realtime.blobs import Blobs, open_blobs
from realtime.bus.port import Bus
from realtime.stores.port import DocumentStore


def open_store(settings: Settings) -> DocumentStore:
    """The store that the settings name; its library is imported only then."""
    if settings.callboard_store == "firestore":
        from realtime.stores.firestore import FirestoreStore

        project = settings.google_cloud_project or ""
        return FirestoreStore(
            project, emulator_host=settings.firestore_emulator_host, database=settings.callboard_database
        )
    from realtime.stores.embedded import EmbeddedStore

    return EmbeddedStore(database(settings))


def open_bus(settings: Settings) -> Bus:
    """The bus that the settings name; its library is imported only then."""
    if settings.callboard_bus == "pubsub":
        from realtime.bus.pubsub import PubSubBus

        return PubSubBus(
            settings.google_cloud_project or "",
            settings.callboard_topic,
            emulator_host=settings.pubsub_emulator_host,
        )
    from realtime.bus.embedded import EmbeddedBus

    return EmbeddedBus(database(settings))


def blobs_of(settings: Settings) -> Blobs | None:
    """Where files are kept: the bucket, or a folder where the store is on this machine too (embedded, or Firestore's
    emulator); None: what is large stays with the vendor."""
    here = settings.callboard_store == "embedded" or settings.firestore_emulator_host
    folder = settings.callboard_data_dir / "files" if here and not settings.on_cloud_run else None
    return open_blobs(settings.callboard_audio_bucket, folder)


def database(settings: Settings) -> Path:
    """The one file of the embedded store and bus; its folder is made if need be. Raises SettingsError."""
    try:
        settings.callboard_data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{settings.callboard_data_dir} cannot be written ({error.strerror})"
        raise SettingsError({"CALLBOARD_DATA_DIR": problem}) from error
    return settings.callboard_data_dir / "callboard.db"
