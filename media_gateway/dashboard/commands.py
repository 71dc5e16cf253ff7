"""`POST /api/v1/calls/{id}/hangup`, `/transfer`, `/say`, `/whisper`, `/takeover`, `/release`, `/approve`, `/refuse`:
what a supervisor wants of a running call. Answered with 202 when it is written; the journal says what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import MAX_JSON, Guard, read_json
from media_gateway.dashboard.ports import Directory, LiveSessions
from media_gateway.http_errors import ApiError
from realtime import commands
from realtime.call import Call, Status
from realtime.clock import Clock, utcnow
from realtime.commands import CallOver, Claimed, Kind, TooMany
from realtime.journal import Journal, UnknownCall
from realtime.paths import digest
from realtime.stores.port import Conflict

KEY = "Idempotency-Key"
MAX_SAY, MAX_WHISPER, MAX_NAME = 500, 1_000, 100
_NO_CALL = ApiError(404, "There is no such call.", fix="See GET /api/v1/calls.")


class _Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class _Transfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to: str | None = None


class _Takeover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: Literal["phone", "browser"]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    request_id: str | None = None


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


Read = Callable[[Request, Principal, Call], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """`end` ends a call that no session of ours holds (it rings, or a person has it)."""

    journal: Journal
    guard: Guard
    sessions: LiveSessions
    directory: Directory
    end: Callable[[Request, Principal], Awaitable[Response]]
    noticed: Callable[[Call], None] = lambda call: None
    clock: Clock = utcnow

    def routes(self) -> list[Route]:
        """For the application."""
        handlers = (
            self.hangup, self.transfer, self.say, self.whisper, self.takeover, self.release, self.approve, self.refuse
        )  # fmt: skip
        return [
            Route(
                f"/api/v1/calls/{{call_id}}/{handler.__name__}",
                self.guard(handler, "operator"),
                methods=["POST"],
                max_body_size=MAX_JSON,
            )
            for handler in handlers
        ]

    async def hangup(self, request: Request, principal: Principal) -> Response:
        """End the call -> 202 `{command_id}`."""
        call = await self._known(request, principal)
        if call.owner and call.status is Status.IN_PROGRESS and call.next is None:
            return await self._issue(request, principal, call, "hangup", {})
        return await self.end(request, principal)

    async def transfer(self, request: Request, principal: Principal) -> Response:
        """`{to?}` -> 202: put the caller through to a supervisor, or to whoever takes this flow's callers."""
        body = await _body(request, _Transfer)
        call = await self._known(request, principal)
        if body.to is None:
            person = self.directory.usual(call)
            fix = "Set HANDOFF_NUMBER, or escalation.number in the flow's file."
        else:
            person = self.directory.named(call, _short(body.to, "to", MAX_NAME))
            fix = "Name a supervisor of CALLBOARD_SUPERVISORS, or leave `to` out."
        if person is None:
            raise ApiError(422, "There is nobody to put this caller through to.", code="nobody_there", fix=fix)
        args = {"to": body.to, "number": person.number, "mode": person.mode} if body.to else {}
        return await self._issue(request, principal, call, "transfer", args)

    async def say(self, request: Request, principal: Principal) -> Response:
        """`{text}` -> 202: the assistant says this line."""
        text = _short((await _body(request, _Text)).text, "text", MAX_SAY)
        return await self._issue(request, principal, await self._known(request, principal), "say", {"text": text})

    async def whisper(self, request: Request, principal: Principal) -> Response:
        """`{text}` -> 202: advice for the assistant's next turns, which the caller never hears."""
        text = _short((await _body(request, _Text)).text, "text", MAX_WHISPER)
        return await self._issue(request, principal, await self._known(request, principal), "whisper", {"text": text})

    async def takeover(self, request: Request, principal: Principal) -> Response:
        """`{by: "phone" | "browser"}` -> 202: speak with the caller yourself."""
        body = await _body(request, _Takeover)
        call = await self._known(request, principal)
        args: dict[str, Any] = {"by": body.by}
        if body.by == "phone":
            person = self.directory.own(principal.user)
            if person is None:
                fix = f"Add {principal.user}=+1... to CALLBOARD_SUPERVISORS."
                raise ApiError(422, "Your telephone number is not known.", code="no_number", fix=fix)
            args |= {"to": principal.user, "number": person.number, "mode": person.mode}
        return await self._issue(request, principal, call, "takeover", args)

    async def release(self, request: Request, principal: Principal) -> Response:
        """The assistant goes on -> 202. An administrator may release a call that another supervisor holds."""
        await _body(request, _Nothing)
        call = await self._known(request, principal)
        return await self._issue(request, principal, call, "release", {}, override=principal.may("admin"))

    async def approve(self, request: Request, principal: Principal) -> Response:
        """`{request_id?}` -> 202: the tool that waits for it may run."""
        return await self._decide(request, principal, "approve")

    async def refuse(self, request: Request, principal: Principal) -> Response:
        """`{request_id?}` -> 202: the tool that waits for approval does not run."""
        return await self._decide(request, principal, "refuse")

    async def _decide(self, request: Request, principal: Principal, kind: Kind) -> Response:
        body = await _body(request, _Request)
        args = {"request_id": _short(body.request_id, "request_id", MAX_NAME)} if body.request_id else {}
        return await self._issue(request, principal, await self._known(request, principal), kind, args)

    async def _issue(
        self,
        request: Request,
        principal: Principal,
        call: Call,
        kind: Kind,
        args: Mapping[str, Any],
        *,
        override: bool = False,
    ) -> Response:
        if call.hosted:
            raise ApiError(409, "A vendor's agent holds this call.", code="hosted", fix="Use the vendor's own console.")
        if call.next is not None and not call.status.terminal:
            raise ApiError(409, "A person has this caller now.", code="with_a_person", fix="Hang up, or wait.")
        now = self.clock()
        command = commands.new(call.call_id, kind, principal.user, args, now)
        if key := request.headers.get(KEY):
            command = replace(command, command_id=digest(f"{principal.user} {call.call_id} {kind} {key}")[:32])
        try:
            written = await commands.issue(self.journal, command, principal.org, now, override=override)
            self.noticed(written)
        except Conflict:
            pass  # the same request once more: it was written then
        except UnknownCall as error:
            raise _NO_CALL from error
        except CallOver as error:
            raise ApiError(409, "This call is over.", code="call_over", fix="Nothing is left to do.") from error
        except Claimed as error:
            fix = "Wait until they have let it go."
            raise ApiError(409, f"{error.holder} supervises this call.", code="held", fix=fix) from error
        except TooMany as error:
            raise ApiError(429, "Too many commands wait already.", headers={"Retry-After": "2"}) from error
        session = self.sessions.get(call.call_id)
        if session is not None:
            session.on_commands()
        return JSONResponse({"command_id": command.command_id}, 202)

    async def _known(self, request: Request, principal: Principal) -> Call:
        call = await self.journal.find(request.path_params["call_id"])
        if call is None or call.org != principal.org:
            raise _NO_CALL
        return call


async def _body(request: Request, shape: type[Any]) -> Any:
    """No body is an empty object. Raises ApiError."""
    return await read_json(request, shape) if await request.body() else _empty(shape)


def _empty(shape: type[Any]) -> Any:
    try:
        return msgspec.convert({}, shape)
    except msgspec.ValidationError as error:
        raise ApiError(422, str(error)) from error


def _short(text: str, name: str, most: int) -> str:
    """Printable text of a bounded length. Raises ApiError (422)."""
    plain = " ".join(text.split())
    if not plain or len(plain) > most or not plain.isprintable():
        raise ApiError(422, f"{name} must be 1 to {most} printable characters.")
    return plain
