"""The page at `/` and its files under `/static`, with the headers that keep a page from doing what it should not."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from media_gateway.http_errors import ApiError

STATIC = Path(__file__).resolve().parent / "static"
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


class Page:
    """Reads the page once. The import map is the one inline script there is; the policy names it by its hash."""

    def __init__(self, static: Path = STATIC, *, base_url: str = "") -> None:
        self._static = static
        index = static / "index.html"
        self._html = index.read_text(encoding="utf-8") if index.is_file() else None
        hashes = " ".join(f"'sha256-{_digest(text)}'" for text in _INLINE.findall(self._html or ""))
        self._script_src = f"'self' {hashes}".strip()
        self._public = urlsplit(base_url).netloc

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        routes: list[BaseRoute] = [Route("/", self.index, methods=["GET"])]
        if self._static.is_dir():
            routes.append(Mount("/static", Files(directory=self._static)))
        return routes

    async def index(self, request: Request) -> Response:
        """The dashboard."""
        if self._html is None:
            raise ApiError(404, "This installation has no dashboard page.")
        headers = {"Content-Security-Policy": self.policy(request.headers.get("host", "")), "Cache-Control": "no-cache"}
        return Response(self._html, media_type="text/html", headers=headers)

    def policy(self, host: str) -> str:
        """Nothing but our own files and sockets. `host` was checked at the door."""
        hosts = [name for name in dict.fromkeys((host, self._public)) if name]
        sockets = " ".join(f"ws://{name} wss://{name}" for name in hosts)
        return "; ".join(
            (
                "default-src 'self'",
                f"script-src {self._script_src}",
                f"connect-src 'self' {sockets}",
                "img-src 'self' data:",
                "media-src 'self' blob:",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            )
        )


class Files(StaticFiles):
    """Asked for anew each time (304 while nothing changed): after an upgrade no browser may mix two versions."""

    def file_response(self, *args: Any, **more: Any) -> Response:
        response = super().file_response(*args, **more)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
