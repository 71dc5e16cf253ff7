"""Files too large for a document: the sound of calls, and news that no bus takes. Documents hold a pointer to them."""

from __future__ import annotations

from pathlib import Path

from realtime.blobs.port import Blobs, BlobsUnavailable, blob_name

__all__ = ["Blobs", "BlobsUnavailable", "blob_name", "open_blobs"]


def open_blobs(bucket: str, folder: Path | None) -> Blobs | None:
    """In the bucket of Cloud Storage if one is named (its library is imported only then), else in `folder`; None
    without either."""
    if bucket:
        from realtime.blobs.cloud_storage import CloudStorageBlobs

        return CloudStorageBlobs(bucket)
    if folder is not None:
        from realtime.blobs.folder import FolderBlobs

        return FolderBlobs(folder)
    return None
