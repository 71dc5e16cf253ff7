"""The one shape of an error: `{"error": {"code", "message", "fix"}}`."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_CODES = {
    400: ("bad_request", "Look at the message and at /openapi.json."),
    401: ("unauthorized", "Log in with POST /auth/login and send the token as Authorization: Bearer."),
    403: ("forbidden", "Ask for a greater role."),
    404: ("not_found", "See /openapi.json for what there is."),
    405: ("method_not_allowed", "See /openapi.json for what there is."),
    408: ("too_slow", "Send the whole request at once."),
    409: ("conflict", "Read again and repeat."),
    413: ("too_large", "Send less."),
    422: ("invalid", "Look at the message and at /openapi.json."),
    429: ("too_many_requests", "Wait and repeat."),
    503: ("unavailable", "Repeat in a few seconds."),
}


class ApiError(Exception):
    """A refusal for the client. `code` and `fix` follow from the status unless given."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        fix: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        usual_code, usual_fix = _CODES.get(status, ("error", "See /openapi.json."))
        self.status, self.message = status, message
        self.code, self.fix = code or usual_code, fix or usual_fix
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The answer that carries it."""
        body = {"error": {"code": self.code, "message": self.message, "fix": self.fix}}
        return JSONResponse(body, self.status, headers=self.headers)


async def on_api_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for ApiError."""
    assert isinstance(error, ApiError)
    return error.response()


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """Starlette's own refusals (404, 405, 413) in our shape."""
    assert isinstance(error, HTTPException)
    return ApiError(error.status_code, str(error.detail), headers=error.headers).response()


async def on_unavailable(_request: Request, _error: Exception) -> Response:
    """The store could not be reached in time."""
    return ApiError(503, "The store is not reachable.", headers={"Retry-After": "2"}).response()


async def on_poisoned(_request: Request, _error: Exception) -> Response:
    """The document of a call cannot be read: this call is out of reach until it is mended, the others are not."""
    fix = "Look for head_quarantined in the log: the document it names is to be mended or deleted."
    return ApiError(409, "The record of this call cannot be read.", code="unreadable", fix=fix).response()


async def on_failure(_request: Request, _error: Exception) -> Response:
    """Something we did not foresee; it is in the log, never in the answer."""
    return ApiError(
        500, "Something went wrong here.", code="internal", fix="Repeat; if it stays, see the log."
    ).response()
