"""An organisation's newest calls, for numbers over them."""

from __future__ import annotations

from realtime.call import Call
from realtime.journal import Journal

MOST = 1_000
_PAGE = 200


async def newest(journal: Journal, org: str, *, began: str | None = None) -> tuple[list[Call], bool]:
    """At most `MOST` calls, newest first, and whether these are all there are; with `began` (ISO 8601), only those
    that began then or later."""
    calls: list[Call] = []
    cursor: str | None = None
    while len(calls) < MOST:
        page, cursor = await journal.calls(org=org, from_=began, cursor=cursor, limit=_PAGE)
        calls += page
        if cursor is None:
            return calls, True
    return calls, False
