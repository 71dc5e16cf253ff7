"""Values in the query string, with a bound for each."""

from __future__ import annotations

from starlette.requests import Request

from media_gateway.http_errors import ApiError

MAX_CURSOR = 8_000
_DIGITS = 16


def number(text: str | None, name: str, *, default: int, most: int, least: int = 0) -> int:
    """A whole number from `least` to `most`. Raises ApiError (422)."""
    if not text:
        return default
    plain = len(text) <= _DIGITS and text.isascii() and text.isdecimal()
    if not plain or not least <= int(text) <= most:
        raise ApiError(422, f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def cursor_of(request: Request) -> str | None:
    """`?cursor=`, None for the first page. Raises ApiError (422)."""
    cursor = request.query_params.get("cursor") or None
    if cursor is not None and len(cursor) > MAX_CURSOR:
        raise ApiError(422, "cursor is too long.", fix="Leave it out to start with the newest.")
    return cursor
