"""The owner is told of a message once it is kept: at most once, off the call, and after a restart if need be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from media_gateway.tools.services import EffectFailed, EffectRefused, EffectUnknown
from realtime.records import inbox
from realtime.records.inbox import Alert, Message
from realtime.stores.port import Conflict, DocumentStore, StoreUnavailable

log = structlog.get_logger()

Hook = Callable[[str, Message], Awaitable[None]]
"""`(org, message)`: tells the owner, by SMS, e-mail, or whatever they read. Has a deadline of its own; raises what the
ports of `services` raise."""
WAITING = 256
LOOKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses between looks for a message that is about to be committed, seconds."""


class Alerter:
    """One a process. `notice` never waits; `run` until cancelled."""

    def __init__(
        self, store: DocumentStore, hook: Hook, *, orgs: Sequence[str] = ("default",), looks: Sequence[float] = LOOKS
    ) -> None:
        self._store = store
        self._hook = hook
        self._orgs = orgs
        self._looks = looks
        self._waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue(maxsize=WAITING)

    def notice(self, org: str, message_id: str) -> None:
        """See `services.Alerts`. What finds no place here is told of after the next start."""
        try:
            self._waiting.put_nowait((org, message_id))
        except asyncio.QueueFull:
            log.error("alert_waits", message_id=message_id)

    async def run(self) -> None:
        """First those that an earlier process left, then those that come."""
        for org in self._orgs:
            await self._left_over(org)
        while True:
            org, message_id = await self._waiting.get()
            try:
                await self._tell_when_kept(org, message_id)
            except Exception as problem:  # one message that is broken must not silence those after it
                log.error("alert_broken", message_id=message_id, problem=type(problem).__name__)
            finally:
                self._waiting.task_done()

    async def rest(self) -> None:
        """Wait until all that was noticed has been dealt with."""
        await self._waiting.join()

    async def _left_over(self, org: str) -> None:
        try:
            left = await inbox.pending(self._store, org)
        except (StoreUnavailable, KeyError, TypeError):
            log.exception("alerts_not_read", org=org)
            return
        for message in left:
            await self._tell(org, message.message_id)

    async def _tell_when_kept(self, org: str, message_id: str) -> None:
        for pause in self._looks:
            if await self._tell(org, message_id):
                return
            await asyncio.sleep(pause)
        # Never committed (the call's effect was refused), or the store is away; then it waits in the inbox.
        log.warning("alert_without_message", message_id=message_id)

    async def _tell(self, org: str, message_id: str) -> bool:
        """True when there is nothing more to do about it."""
        try:
            message = await inbox.mark(self._store, org, message_id, "pending", "sending")
        except (inbox.NoMessage, StoreUnavailable):
            return False
        except Conflict:
            return True  # another instance tells it
        if message is None:
            return True
        outcome: Alert = "sent"
        try:
            await self._hook(org, message)
        except (EffectRefused, EffectFailed) as problem:
            outcome = "failed"
            log.error("alert_failed", message_id=message_id, problem=type(problem).__name__)
        except EffectUnknown:
            outcome = "unknown"
            log.error("alert_unknown", message_id=message_id)
        try:
            await inbox.mark(self._store, org, message_id, "sending", outcome)
        except (inbox.NoMessage, Conflict, StoreUnavailable):
            log.exception("alert_outcome_not_kept", message_id=message_id)
        return True


async def log_only(org: str, message: Message) -> None:
    """The hook of an owner who gave no address: the inbox is all there is."""
    log.info("message_taken", org=org, message_id=message.message_id, call_id=message.call_id)
