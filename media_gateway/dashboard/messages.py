"""`GET /api/v1/messages`: what callers left for the people of the shop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import Guard
from media_gateway.dashboard.query import cursor_of, number
from realtime.records import inbox
from realtime.stores.port import DocumentStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Of the principal's organisation."""

    store: DocumentStore
    guard: Guard

    def routes(self) -> list[Route]:
        """For the application."""
        return [Route("/api/v1/messages", self.guard(self.newest), methods=["GET"])]

    async def newest(self, request: Request, principal: Principal) -> Response:
        """The inbox, newest first, a page at a time."""
        limit = number(request.query_params.get("limit"), "limit", default=50, least=1, most=inbox.MOST)
        before = cursor_of(request)
        found, cursor = await inbox.newest(self.store, principal.org, before=before, limit=limit)
        return JSONResponse({"messages": [_shown(one) for one in found], "next_cursor": cursor})


def _shown(message: inbox.Message) -> dict[str, Any]:
    data = message.to_dict()
    return {name: data[name] for name in data if name not in ("order", "expire_at")}
