"""Around every request: the Host check at the door, and the security headers on the way out. Plain ASGI."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_gateway.auth.doors import Doors
from media_gateway.http_errors import ApiError

SEND = "callboard.send"
"""Where a socket's scope has the server's own `send`, without what is wrapped around it on the way to the endpoint."""
PROBES = ("/livez", "/readyz")
"""Asked by the platform under whatever name it likes."""
_PRIVATE = ("/api/", "/auth/", "/ws-ticket")
BODY_S = 10.0
"""Seconds for a request's body to come in whole. Twilio's and a dashboard's come with their first packet."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=()",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
}


class HostCheck:
    """Refuses a request, or the upgrade of a socket, that names a host we are not."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app, self._doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        refusal = self._doors.refusal(Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before accept: HTTP 403
        else:
            code, message, fix = refusal
            await ApiError(403, message, code=code, fix=fix).response()(scope, receive, send)


class SecurityHeaders:
    """On every HTTP answer; a header that the answer has already is left alone. No cache keeps what the API says."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                scope[SEND] = send  # we are the outermost layer
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(_PRIVATE):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyDeadline:
    """A body that trickles in is given up: whoever waits for it gets an ApiError (408) instead."""

    def __init__(self, app: ASGIApp, *, seconds: float = BODY_S) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._seconds
        whole = False

        async def receive_in_time() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                close = {"Connection": "close"}
                raise ApiError(408, f"The body did not come within {self._seconds:g} s.", headers=close) from error
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)


class TooLarge:
    """Starlette refuses a large body in plain text, below its own error handlers; here it gets the one shape."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        replaced = False

        async def send_in_shape(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 413:
                plain = Headers(raw=message["headers"]).get("content-type", "").startswith("text/plain")
                replaced = plain
                if plain:
                    await ApiError(413, "The body is too large.").response()(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, send_in_shape)
