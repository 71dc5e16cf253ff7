"""Files by name. Blocking: for functions, which are threads, and for the gateway through `asyncio.to_thread`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Protocol

from realtime.paths import digest, is_id

_NAME = re.compile(r"[a-z_]{1,32}/[A-Za-z0-9_-]{1,200}\.[a-z0-9]{1,8}", re.ASCII)
MAX_BYTES = 64 * 1024 * 1024


class BlobsUnavailable(Exception):
    """The files cannot be reached in time. Whether one was written is unknown: write it again under its name."""


def blob_name(kind: str, key: str, suffix: str) -> str:
    """`{kind}/{key}.{suffix}`, where a key of strange characters is its digest."""
    plain = is_id(key) and re.fullmatch(r"[A-Za-z0-9_-]{1,128}", key, re.ASCII)
    return check_name(f"{kind}/{key if plain else digest(key)}.{suffix}")


_STEM = re.compile(r"[a-z_]{1,32}/[A-Za-z0-9_-]{1,200}", re.ASCII)


def check_stem(stem: str) -> str:
    """`stem`, with which names of one kind begin. Raises ValueError for what is none."""
    if not _STEM.fullmatch(stem):
        raise ValueError(f"{stem!r} is not the beginning of a file's name")
    return stem


def check_name(name: str) -> str:
    """`name`. Raises ValueError for what is none: nothing leads out of the folder or the bucket."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a file")
    return name


class Blobs(Protocol):
    """Two adapters: a folder, and a bucket of Cloud Storage."""

    def put(self, name: str, data: bytes, *, content_type: str) -> None:
        """Write it whole; the same name again replaces it. Raises BlobsUnavailable."""

    def get(self, name: str) -> bytes:
        """Raises LookupError when it is not there (any more), BlobsUnavailable."""

    def delete(self, name: str) -> None:
        """No error if it is not there. Raises BlobsUnavailable."""

    def names(self, stem: str) -> list[str]:
        """The names that begin with `stem` (`{kind}/...`), in order. Raises BlobsUnavailable."""

    def purge(self, before: datetime) -> int:
        """Delete what was written before; how many. A bucket does it by its own lifecycle rule: 0."""

    def close(self) -> None:
        """Safe to call twice."""
