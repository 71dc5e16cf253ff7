"""The REST API under `/api/v1`: calls, their journals, numbers, and the demo call. Everything is of the principal's
organisation; a call of another one does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import MAX_JSON, Guard
from media_gateway.dashboard.demo import Demo
from media_gateway.dashboard.export import record_in
from media_gateway.dashboard.heads import public_head
from media_gateway.dashboard.ports import DemoCall, LiveSessions
from media_gateway.dashboard.query import MAX_CURSOR, number
from media_gateway.http_errors import ApiError
from realtime.call import Call
from realtime.journal import Journal
from realtime.numbers.ledger import Ledger
from realtime.numbers.search import Search, page
from realtime.post_call import post_call

PAGE = 500
LAST = 30
"""Lines at the end of a journal among which the completion is looked for first."""
MAX_FILTER = 200
"""Characters of a filter in the query string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """`demo_call` is there in `dev` only; without it there are no demo routes."""

    journal: Journal
    ledger: Ledger
    guard: Guard
    sessions: LiveSessions
    about: Mapping[str, Any] = field(default_factory=dict)
    demo_call: DemoCall | None = None

    def routes(self) -> list[Route]:
        """For the application."""
        guard = self.guard
        routes = [
            Route("/api/v1/calls", guard(self.calls), methods=["GET"]),
            Route("/api/v1/calls/{call_id}", guard(self.call), methods=["GET"]),
            Route("/api/v1/calls/{call_id}/events", guard(self.events), methods=["GET"]),
            Route("/api/v1/about", guard(self.show_about), methods=["GET"]),
        ]
        if self.demo_call is not None:
            demo = Demo(self.demo_call, self._known, self.sessions)
            routes += [
                Route("/api/v1/demo/call", guard(demo.start), methods=["POST"], max_body_size=MAX_JSON),
                Route("/api/v1/demo/say", guard(demo.say), methods=["POST"], max_body_size=MAX_JSON),
            ]
        return routes

    async def calls(self, request: Request, principal: Principal) -> Response:
        """Newest first, a page at a time. `outcome` is one word for what came of a call that is over; `excerpt` is
        where a word of `?q=` was said."""
        wanted = request.query_params
        for name, value in wanted.items():
            if len(value) > (MAX_CURSOR if name == "cursor" else MAX_FILTER):
                raise ApiError(422, f"{name[:MAX_FILTER]} is too long.")
        try:
            search = Search(
                org=principal.org,
                status=wanted.get("status") or None,
                flow=wanted.get("flow") or None,
                q=wanted.get("q") or None,
                outcome=wanted.get("outcome") or None,
                from_=wanted.get("from") or None,
                to=wanted.get("to") or None,
            )
            hits, cursor = await page(
                self.ledger,
                search,
                wanted.get("cursor") or None,
                limit=number(wanted.get("limit"), "limit", default=50, most=200),
            )
        except ValueError as error:
            raise ApiError(422, str(error)) from error
        except (OverflowError, RecursionError) as error:
            raise ApiError(422, "from, to or cursor is none that can be; leave them out to see the newest.") from error
        calls = [{**public_head(hit.call), "outcome": hit.outcome, "excerpt": hit.excerpt} for hit in hits]
        return JSONResponse({"calls": calls, "next_cursor": cursor})

    async def call(self, request: Request, principal: Principal) -> Response:
        """The head of one call, by any of its ids; of one that is over, what is left of it (`post_call`)."""
        call = await self._find(request, principal)
        record = await self._record(call) if call.status.terminal else None
        return JSONResponse({**public_head(call), "post_call": post_call(call, record)})

    async def events(self, request: Request, principal: Principal) -> Response:
        """The journal after `?after=`, at most 500 events a page."""
        call = await self._find(request, principal)
        after = number(request.query_params.get("after"), "after", default=0, most=2**53)
        limit = number(request.query_params.get("limit"), "limit", default=PAGE, most=PAGE)
        events = await self.journal.events(call.call_id, after=after, limit=limit)
        return JSONResponse({"events": [event.to_dict() for event in events], "seq": call.seq, "epoch": call.epoch})

    async def show_about(self, _request: Request, _principal: Principal) -> Response:
        """Which engines serve this installation."""
        return JSONResponse(dict(self.about))

    async def _record(self, call: Call) -> Mapping[str, Any] | None:
        """The whole record of a call that is over: its completion is among the last lines of the journal."""
        for after in dict.fromkeys((max(0, call.seq - LAST), 0)):
            events = await self.journal.events(call.call_id, after=after, limit=PAGE)
            record = await record_in(self.journal, events)
            if record is not None:
                return record
        return None

    async def _find(self, request: Request, principal: Principal) -> Call:
        return await self._known(request.path_params["call_id"], principal)

    async def _known(self, any_id: str, principal: Principal) -> Call:
        call = await self.journal.find(any_id)
        if call is None or call.org != principal.org:
            raise ApiError(404, "There is no such call.", fix="See GET /api/v1/calls.")
        return call
