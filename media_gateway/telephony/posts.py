"""Tells the calls of this instance that a supervisor wants something of them, however many they are, with one look."""

from __future__ import annotations

import asyncio

import structlog

from media_gateway.telephony.sessions import Sessions
from realtime import commands
from realtime.stores.port import Conflict, DocumentStore, StoreUnavailable

EVERY_S = 1.0
_log = structlog.get_logger()


async def watch(store: DocumentStore, sessions: Sessions, instance: str, *, every: float = EVERY_S) -> None:
    """Until cancelled. A call whose commands come in at its own instance was told already; this is for the others."""
    while True:
        await asyncio.sleep(every)
        if not len(sessions):
            continue
        try:
            told = await commands.posted(store, instance)
        except (StoreUnavailable, Conflict) as problem:
            _log.warning("posts_wait", problem=type(problem).__name__)
            continue
        for call_id in told:
            session = sessions.get(call_id)
            if session is None:
                continue
            try:
                session.on_commands()
            except Exception:  # one call's trouble must not keep the others from their commands
                _log.exception("post_failed", call_id=call_id)
