"""`GET /api/v1/audit`: who did what."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import Guard
from media_gateway.dashboard.query import cursor_of, number
from realtime import audit
from realtime.stores.port import DocumentStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Of the principal's organisation, for its administrators."""

    store: DocumentStore
    guard: Guard

    def routes(self) -> list[Route]:
        """For the application."""
        return [Route("/api/v1/audit", self.guard(self.newest, "admin"), methods=["GET"])]

    async def newest(self, request: Request, principal: Principal) -> Response:
        """Who did what, newest first, a page at a time."""
        limit = number(request.query_params.get("limit"), "limit", default=50, least=1, most=audit.MOST)
        cursor = cursor_of(request)
        found, further = await audit.newest(self.store, principal.org, cursor=cursor, limit=limit)
        return JSONResponse({"entries": [one.to_dict() for one in found], "next_cursor": further})
