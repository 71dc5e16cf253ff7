"""The page's files, served from memory: whole, compressed where that helps, and under a name that says their version.

Under `/static/v{digest}/...` a browser may keep a file for ever: the digest is that of all files together, and the page
names the current one. Under any other version, and under none, it asks each time (304 while nothing changed): after an
upgrade an open page gets the new file rather than none.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

SMALLEST = 1_000
"""Bytes under which compression saves nothing."""
_TEXT = ("text/", "application/json", "image/svg+xml")
_VERSION = re.compile(r"v([0-9a-f]{12})/")
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Item:
    """One file as it is sent. `small` is its gzip form, None where that is no gain."""

    stamp: tuple[int, int]
    body: bytes
    small: bytes | None
    etag: str
    media_type: str


class Shelf:
    """Reads a file when it has changed on the disk (somebody works on the page), else not again."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._items: dict[str, Item] = {}
        self.made: dict[str, Item] = {}
        """Files that are no files: put together of others."""
        self.current = ""
        """The version that the page names."""

    def names(self) -> list[str]:
        """All there are, hidden ones not."""
        files = (path.relative_to(self._root) for path in self._root.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts))

    def version(self) -> str:
        """Another one whenever the content of any file is."""
        known = hashlib.sha256()
        for name in self.names():
            item = self.item(name)
            known.update(f"{name} {item.etag if item else ''}\n".encode())
        return known.hexdigest()[:12]

    def item(self, name: str) -> Item | None:
        """None for what is not here. Nothing leads out of the folder."""
        if name in self.made:
            return self.made[name]
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root) or any(part.startswith(".") for part in Path(name).parts):
            return None
        try:
            if not path.is_file():
                return None
            found = path.stat()
        except (OSError, ValueError):
            return None
        kept, stamp = self._items.get(name), (found.st_mtime_ns, found.st_size)
        if kept is None or kept.stamp != stamp:
            kept = self._items[name] = pack(path.read_bytes(), name, stamp)
        return kept

    async def get(self, request: Request) -> Response:
        """`GET /static/{path}`."""
        path = request.path_params["path"]
        version = _VERSION.match(path)
        item = self.item(path[version.end() :] if version else path)
        if item is None:
            return Response("There is no such file.", 404, media_type="text/plain")
        current = version is not None and version[1] == self.current
        headers = {"ETag": item.etag, "Cache-Control": _FOR_EVER if current else "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == item.etag:
            return Response(status_code=304, headers=headers)
        if item.small is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(item.small, media_type=item.media_type, headers={**headers, "Content-Encoding": "gzip"})
        return Response(item.body, media_type=item.media_type, headers=headers)


def pack(body: bytes, name: str, stamp: tuple[int, int] = (0, 0)) -> Item:
    """A file's content, ready to be sent."""
    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "application/octet-stream"
    small = gzip.compress(body, 6, mtime=0) if len(body) >= SMALLEST and kind.startswith(_TEXT) else None
    return Item(stamp, body, small, f'"{hashlib.sha256(body).hexdigest()[:20]}"', kind)
