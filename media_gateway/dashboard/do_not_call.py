"""`/api/v1/do-not-call`: the numbers that nobody calls, for operators. Every change is in the audit log, by the digest
of the number."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import MAX_JSON, Guard, read_json
from media_gateway.dashboard.query import cursor_of, number
from media_gateway.http_errors import ApiError
from realtime.clock import Clock, utcnow
from realtime.records import do_not_call
from realtime.records.customers import NotANumber
from realtime.stores.port import DocumentStore

PATH = "/api/v1/do-not-call"


class _Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoNotCall:
    """Of the principal's organisation."""

    store: DocumentStore
    guard: Guard
    clock: Clock = utcnow

    def routes(self) -> list[Route]:
        """For the application."""
        return [
            Route(PATH, self.guard(self.listed, "operator"), methods=["GET"]),
            Route(PATH, self.guard(self.add, "operator"), methods=["POST"], max_body_size=MAX_JSON),
            Route(f"{PATH}/{{phone}}", self.guard(self.remove, "operator"), methods=["DELETE"]),
        ]

    async def listed(self, request: Request, principal: Principal) -> Response:
        """The list, a page at a time."""
        limit = number(request.query_params.get("limit"), "limit", default=50, least=1, most=do_not_call.MOST)
        found, cursor = await do_not_call.page(self.store, principal.org, after=cursor_of(request), limit=limit)
        return JSONResponse({"numbers": found, "next_cursor": cursor})

    async def add(self, request: Request, principal: Principal) -> Response:
        """`{phone}` -> 201: this number is not called any more."""
        body = await read_json(request, _Number)
        try:
            await do_not_call.add(self.store, principal.org, body.phone, now=self.clock(), actor=principal.user)
        except NotANumber as error:
            raise ApiError(422, str(error), code="bad_number") from error
        return JSONResponse({"listed": True}, 201)

    async def remove(self, request: Request, principal: Principal) -> Response:
        """This number may be called again; no error if it was not on the list."""
        try:
            phone = request.path_params["phone"]
            await do_not_call.remove(self.store, principal.org, phone, now=self.clock(), actor=principal.user)
        except NotANumber as error:
            raise ApiError(422, str(error), code="bad_number") from error
        return JSONResponse({"listed": False})
