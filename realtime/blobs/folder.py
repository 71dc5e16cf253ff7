"""Files in a folder of this machine, for this user alone."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from realtime.blobs.port import BlobsUnavailable, check_name, check_stem


class FolderBlobs:
    """Satisfies `Blobs`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes, *, content_type: str) -> None:
        """Written beside and then renamed: nobody reads half a file. The content type is in the name."""
        path = self._folder / check_name(name)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise BlobsUnavailable(f"{path} cannot be written ({error.strerror})") from error

    def get(self, name: str) -> bytes:
        """See `Blobs`."""
        try:
            return (self._folder / check_name(name)).read_bytes()
        except FileNotFoundError:
            raise LookupError(f"{name} is not there any more") from None
        except OSError as error:
            raise BlobsUnavailable(f"{name} cannot be read ({error.strerror})") from error

    def delete(self, name: str) -> None:
        """See `Blobs`."""
        try:
            (self._folder / check_name(name)).unlink(missing_ok=True)
        except OSError as error:
            raise BlobsUnavailable(f"{name} cannot be deleted ({error.strerror})") from error

    def names(self, stem: str) -> list[str]:
        """See `Blobs`."""
        kind, _, start = check_stem(stem).partition("/")
        try:
            return sorted(f"{kind}/{path.name}" for path in (self._folder / kind).glob(f"{start}*") if path.is_file())
        except OSError as error:
            raise BlobsUnavailable(f"{kind} cannot be listed ({error.strerror})") from error

    def purge(self, before: datetime) -> int:
        """See `Blobs`."""
        gone = 0
        try:
            for path in self._folder.glob("*/*"):
                if path.is_file() and path.stat().st_mtime < before.timestamp():
                    path.unlink(missing_ok=True)
                    gone += 1
        except OSError as error:
            raise BlobsUnavailable(f"{self._folder} cannot be swept ({error.strerror})") from error
        return gone

    def close(self) -> None:
        """Nothing is open."""
