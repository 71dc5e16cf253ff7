"""The raw body of a request, and no more of it than is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flask

CHUNK = 1 << 20


class BodyTooLarge(Exception):
    """There is more than `most` bytes."""


def read_body(request: flask.Request, most: int) -> bytes:
    """The body, whether its length is announced or it comes in chunks. Raises BodyTooLarge.

    Flask's own limit does not serve here: functions-framework reads what is left of a body after the function has
    answered, runs into that limit again, and turns the 413 into a crash.
    """
    if (request.content_length or 0) > most:
        raise BodyTooLarge
    parts: list[bytes] = []
    size = 0
    while part := request.stream.read(CHUNK):
        size += len(part)
        if size > most:
            raise BodyTooLarge
        parts.append(part)
    return b"".join(parts)
