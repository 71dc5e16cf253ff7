"""Who may call a route, and the routes that let people in: login, socket tickets, the demo link."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.doors import Doors
from media_gateway.auth.gate import Gate, OneTime, TooManyKeys
from media_gateway.auth.login import DemoLogin, Login, TooManyAttempts
from media_gateway.auth.model import AuthError, Principal, Role
from media_gateway.auth.tokens import ACCESS_TTL, TICKET_TTL
from media_gateway.http_errors import ApiError
from realtime.accounts.model import KEY_PREFIX

MAX_JSON = 64 * 1024
Handler = Callable[[Request], Awaitable[Response]]
Guarded = Callable[[Request, Principal], Awaitable[Response]]
T = TypeVar("T")


class _Credentials(msgspec.Struct, frozen=True):
    username: str
    password: str


class _Code(msgspec.Struct, frozen=True):
    code: str


async def read_json(request: Request, shape: type[T]) -> T:
    """The body as `shape`. Raises ApiError (400 no JSON, 422 another shape)."""
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except msgspec.ValidationError as error:
        raise ApiError(422, str(error)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ApiError(400, "The body is not JSON.") from error


@dataclass(frozen=True, slots=True)
class Guard:
    """Wraps handlers that need a principal; the principal comes from the bearer token or the API key and from nothing
    else."""

    gate: Gate

    def __call__(self, handler: Guarded, role: Role = "viewer", *, one_time: bool = False) -> Handler:
        """401 without a valid token or key, 403 below `role`, and unless `one_time` with a one-time password."""

        @wraps(handler)
        async def guarded(request: Request) -> Response:
            try:
                principal = await self.gate.bearer(_credential(request), one_time=one_time)
            except OneTime as error:
                fix = "POST /auth/password {current, new} answers with a token that opens the rest."
                raise ApiError(403, f"{str(error).capitalize()}.", code="one_time_password", fix=fix) from error
            except TooManyKeys as error:
                raise ApiError(429, str(error), headers={"Retry-After": "1"}) from error
            except AuthError as error:
                raise ApiError(401, str(error), headers={"WWW-Authenticate": "Bearer"}) from error
            if not principal.may(role):
                raise ApiError(403, f"This needs the role {role}.")
            return await handler(request, principal)

        return guarded


def _credential(request: Request) -> str:
    """The token or key of a request. Raises AuthError."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    key = request.headers.get("x-api-key", "").strip()
    if not key.startswith(KEY_PREFIX):
        raise AuthError("no bearer token and no API key")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRoutes:
    """`demo` is the one-time link of `dev`, None elsewhere."""

    gate: Gate
    login: Login
    doors: Doors
    guard: Guard
    demo: DemoLogin | None = None

    def routes(self) -> list[Route]:
        """For the application."""
        routes = [
            Route("/auth/login", self.log_in, methods=["POST"], max_body_size=MAX_JSON),
            Route("/ws-ticket", self.guard(self.ticket), methods=["POST"], max_body_size=MAX_JSON),
        ]
        if self.demo is not None:
            routes.append(Route("/auth/demo", self.log_in_demo, methods=["POST"], max_body_size=MAX_JSON))
        return routes

    async def log_in(self, request: Request) -> Response:
        """`{username, password}` -> an access token."""
        self._own_page(request)
        given = await read_json(request, _Credentials)
        try:
            peer = request.client.host if request.client else ""
            principal = await self.login(given.username, given.password, peer=peer)
        except TooManyAttempts as error:
            raise ApiError(429, str(error), headers={"Retry-After": str(error.retry_after)}) from error
        except AuthError as error:
            fix = "Use your user name and password, or ADMIN_USERNAME and ADMIN_PASSWORD."
            raise ApiError(401, str(error), fix=fix) from error
        except TimeoutError as error:
            raise ApiError(503, "Too many people log in at once.") from error
        return self.token(principal)

    async def log_in_demo(self, request: Request) -> Response:
        """`{code}` of the link that `dev` printed -> an access token; once, and from this machine only."""
        self._own_page(request)
        if self.demo is None or not self.doors.local(request.headers):
            raise ApiError(404, "There is no demo login here.", fix="Log in with user name and password.")
        given = await read_json(request, _Code)
        try:
            return self.token(replace(self.demo.exchange(given.code), proof=self.gate.bootstrap_proof()))
        except AuthError as error:
            raise ApiError(401, str(error)) from error

    async def ticket(self, _request: Request, principal: Principal) -> Response:
        """A single-use ticket for a socket's first message."""
        ticket = self.gate.tokens.ticket(principal)
        return _private({"ticket": ticket, "expires_in": int(TICKET_TTL.total_seconds())})

    def _own_page(self, request: Request) -> None:
        if not self.doors.same_origin(request.headers):
            raise ApiError(403, "This page may not log in here.", code="bad_origin", fix="Open the dashboard itself.")

    def token(self, principal: Principal) -> Response:
        """The answer that brings an access token; `one_time` in it: for a password of one's own, and nothing more."""
        token = self.gate.tokens.access(principal)
        expires_in = int(ACCESS_TTL.total_seconds())
        body: dict[str, object] = {"access_token": token, "token_type": "bearer", "expires_in": expires_in}
        return _private({**body, "one_time": True} if principal.one_time else body)


def _private(body: dict[str, object]) -> Response:
    return JSONResponse(body, headers={"Cache-Control": "no-store"})
