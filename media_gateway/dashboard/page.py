"""The page at `/` and its files under `/static`, with the headers that keep a page from doing what it should not."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from media_gateway.dashboard.shelf import Shelf, pack
from media_gateway.http_errors import ApiError

STATIC = Path(__file__).resolve().parent / "static"
SHEET = "styles.css"
"""All stylesheets of the page in one: a browser fetches six files at a time, and draws nothing before it has these."""
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_SHEETS = re.compile(r'(?:\s*<link rel="stylesheet" href="/static/([^"]+)">)+')
_SHEET = re.compile(r'<link rel="stylesheet" href="/static/([^"]+)">')


class Page:
    """The import map is the one inline script there is; the policy names it by its hash."""

    def __init__(self, static: Path = STATIC, *, base_url: str = "") -> None:
        self._static = static
        self._shelf = Shelf(static)
        self._html: str | None = None
        self._script_src = "'self'"
        self._public = urlsplit(base_url).netloc
        self._read()

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        routes: list[BaseRoute] = [Route("/", self.index, methods=["GET"])]
        if self._static.is_dir():
            routes.append(Route("/static/{path:path}", self._shelf.get, methods=["GET"], include_in_schema=False))
        return routes

    async def index(self, request: Request) -> Response:
        """The dashboard."""
        self._read()
        if self._html is None:
            raise ApiError(404, "This installation has no dashboard page.")
        headers = {"Content-Security-Policy": self.policy(request.headers.get("host", "")), "Cache-Control": "no-cache"}
        return Response(self._html, media_type="text/html", headers=headers)

    def _read(self) -> None:
        """The page with its files under their version; put together anew when one of them has changed."""
        index = self._static / "index.html"
        version = self._shelf.version() if index.is_file() else ""
        if not version or version == self._shelf.current:
            return
        html = index.read_text(encoding="utf-8")
        sheets = [self._shelf.item(name) for name in _SHEET.findall(html)]
        text = b"\n".join(sheet.body for sheet in sheets if sheet)
        self._shelf.made[SHEET] = pack(text, SHEET)
        html = _SHEETS.sub(f'\n    <link rel="stylesheet" href="/static/{SHEET}">', html)
        html = html.replace('"/static/', f'"/static/v{version}/')
        hashes = " ".join(f"'sha256-{_digest(inline)}'" for inline in _INLINE.findall(html))
        self._html, self._script_src, self._shelf.current = html, f"'self' {hashes}".strip(), version

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


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
