"""The demo routes of `dev`: a simulated call to this gateway, and typed words as what its caller says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import read_json
from media_gateway.dashboard.ports import DemoCall, LiveSessions
from media_gateway.http_errors import ApiError
from realtime.call import Call

MAX_TYPED = 1_000


class _Wanted(msgspec.Struct, frozen=True):
    scenario: str | None = None
    text: str | None = None


class _Typed(msgspec.Struct, frozen=True):
    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Demo:
    """`find` gives the principal's call by any of its ids, or raises ApiError."""

    place: DemoCall
    find: Callable[[str, Principal], Awaitable[Call]]
    sessions: LiveSessions

    async def start(self, request: Request, _principal: Principal) -> Response:
        """Places a simulated call to this gateway: `{scenario?, text?}`."""
        wanted = await read_json(request, _Wanted) if await request.body() else _Wanted()
        if len(wanted.text or "") > MAX_TYPED:
            raise ApiError(422, f"text must have at most {MAX_TYPED} characters.")
        try:
            call_id = await self.place(wanted.scenario, wanted.text)
        except ValueError as error:
            raise ApiError(422, str(error)) from error
        return JSONResponse({"call_id": call_id, "status": "initiated"}, 202)

    async def say(self, request: Request, principal: Principal) -> Response:
        """Typed text as what the caller of a running demo call says."""
        typed = await read_json(request, _Typed)
        text = typed.text.strip()
        if not 0 < len(text) <= MAX_TYPED:
            raise ApiError(422, f"text must have 1 to {MAX_TYPED} characters.")
        call = await self.find(typed.call_id, principal)
        session = self.sessions.get(call.call_id)
        if session is None:
            raise ApiError(409, "This call is not running here.", fix="Start a demo call first.")
        session.on_text(text)
        return JSONResponse({"call_id": call.call_id}, 202)
