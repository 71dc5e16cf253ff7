"""Where this function keeps files: the bucket, or on a laptop (an emulator beside it or not) a folder beside the
store's file."""

from __future__ import annotations

import threading

from functions.settings import Settings
from realtime.blobs import Blobs, open_blobs

_lock = threading.Lock()
_places: dict[tuple[str, str], Blobs | None] = {}


def files(settings: Settings) -> Blobs | None:
    """One per process and configuration; None on Cloud without `CALLBOARD_AUDIO_BUCKET`: what is large then stays
    where it comes from."""
    here = settings.store == "embedded" or settings.firestore_emulator
    folder = settings.database.parent / "files" if here and not settings.on_cloud_run else None
    key = (settings.audio_bucket, str(folder))
    with _lock:
        if key not in _places:
            _places[key] = open_blobs(settings.audio_bucket, folder)
        return _places[key]


def close_all() -> None:
    """Let go of every client of this process."""
    with _lock:
        while _places:
            _, place = _places.popitem()
            if place is not None:
                place.close()
