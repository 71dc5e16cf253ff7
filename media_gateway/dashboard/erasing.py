"""Deletion on request: `DELETE /api/v1/calls/{call_id}` and `POST /api/v1/erase`."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import MAX_JSON, Guard, read_json
from media_gateway.http_errors import ApiError
from realtime.blobs import BlobsUnavailable
from realtime.call import Call
from realtime.clock import Clock, utcnow
from realtime.erasure import Eraser, GoesOn, NotANumber
from realtime.journal import Journal


class _Phone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasing:
    """Of the principal's organisation; deletion is for its administrators."""

    journal: Journal
    guard: Guard
    eraser: Eraser
    clock: Clock = utcnow

    def routes(self) -> list[Route]:
        """For the application."""
        return [
            Route("/api/v1/calls/{call_id}", self.guard(self.erase_call, "admin"), methods=["DELETE"]),
            Route("/api/v1/erase", self.guard(self.erase_phone, "admin"), methods=["POST"], max_body_size=MAX_JSON),
        ]

    async def erase_call(self, request: Request, principal: Principal) -> Response:
        """Everything of one call that is over: journal, record, sound, news, messages. Not to be undone."""
        call = await self._find(request, principal)
        try:
            gone = await self.eraser.call(call, actor=principal.user, now=self.clock())
        except GoesOn as error:
            raise ApiError(409, str(error) + ".", fix="End it first: POST /api/v1/calls/{call_id}/hangup.") from error
        except BlobsUnavailable as error:
            raise _again() from error
        return JSONResponse(gone.to_dict())

    async def erase_phone(self, request: Request, principal: Principal) -> Response:
        """`{phone}`: everything of all calls of a number. Calls that go on are named and left alone."""
        given = await read_json(request, _Phone)
        try:
            gone = await self.eraser.phone(principal.org, given.phone, actor=principal.user, now=self.clock())
        except NotANumber as error:
            raise ApiError(422, str(error)) from error
        except BlobsUnavailable as error:
            raise _again() from error
        return JSONResponse(gone.to_dict())

    async def _find(self, request: Request, principal: Principal) -> Call:
        call = await self.journal.find(request.path_params["call_id"])
        if call is None or call.org != principal.org:
            raise ApiError(404, "There is no such call.", fix="See GET /api/v1/calls.")
        return call


def _again() -> ApiError:
    return ApiError(503, "Not everything could be deleted: the files are not reachable.", fix="Ask for it once more.")
