"""Applies news from the bus to the journal: finds the call, decides, commits. Everything here may happen twice."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from functions import elevenlabs_record, twilio_record
from functions.baggage import Lost, file_of, opened
from functions.outcome import Completion, Outcome, Unusable
from realtime import dead_letters
from realtime.blobs.port import Blobs, BlobsUnavailable
from realtime.bus.envelope import Malformed, open_push
from realtime.bus.port import BusMessage
from realtime.call import Call
from realtime.clock import Clock, iso, utcnow
from realtime.erasure import is_erased
from realtime.events import Event
from realtime.journal import Journal, Plan
from realtime.record import own_record
from realtime.stores.port import DocumentStore, StoreUnavailable

log = logging.getLogger(__name__)

PAGE = 500
GRACE_SECONDS = 3.0
GRACE_STEP = 0.25

Decide = Callable[[Call, BusMessage], Outcome]
SOURCES: Mapping[str, Decide] = {
    "elevenlabs": elevenlabs_record.outcome,
    "twilio": twilio_record.outcome,
}


class Applier:
    """One per process; belongs to one event loop."""

    def __init__(
        self,
        journal: Journal,
        store: DocumentStore,
        *,
        clock: Clock = utcnow,
        retention_days: int = 30,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        blobs: Blobs | None = None,
    ) -> None:
        self._journal = journal
        self._store = store
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._sleep = sleep
        self._blobs = blobs

    async def receive(self, body: object, raw: str) -> str:
        """Deal with a delivery; the word says how: `applied`, `parked`, `dropped` (its call was deleted on request)
        or `kept_aside`. All are final.

        `body` is the JSON of the delivery (None when it is none), `raw` its text. Raises StoreUnavailable, Conflict:
        then it should be delivered again.
        """
        try:
            message = open_push(body)
        except Malformed as error:
            return await self._keep_aside(raw, str(error))
        try:
            whole = await asyncio.to_thread(opened, message, self._blobs)
            how = await self.apply(whole)
            await self._drop_file(message)
            return how
        except BlobsUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        except (Unusable, Lost) as error:
            return await self._keep_aside(raw, str(error), message)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # Of a shape that the mapping or the store does not take: delivering it again would end the same way.
            log.exception("news_unusable", extra={"news": message.id})
            return await self._keep_aside(raw, f"{type(error).__name__}: {error}", message)

    async def _drop_file(self, message: BusMessage) -> None:
        """The call has what lay in the file. If it cannot be deleted now, it expires."""
        name = file_of(message)
        if name is None or self._blobs is None:
            return
        try:
            await asyncio.to_thread(self._blobs.delete, name)
        except BlobsUnavailable as error:
            log.warning("file_not_deleted", extra={"news": message.id, "why": str(error)})

    async def apply(self, message: BusMessage) -> str:
        """`applied`, `parked` or `dropped`. Raises Unusable, StoreUnavailable, Conflict."""
        decide = SOURCES.get(message.source)
        if decide is None:
            raise Unusable(f"nobody here knows the source {message.source!r}")
        if not message.keys:
            raise Unusable("the news names no call")
        call = await self._find(message)
        if call is None:
            # An unknown kind is kept aside at once; it would only be found out when its call appears.
            decide(Call(call_id="unknown", hosted=True), message)
            if await is_erased(self._store, message.keys.values()):
                log.info("news_of_erased_call", extra={"news": message.id})
                return "dropped"
            await self._journal.park(message)
            call = await self._find(message)  # it may have appeared while we parked
            if call is None:
                log.info("news_parked", extra={"news": message.id, **message.keys})
                return "parked"
            try:
                await self._apply_to(call, message, decide)
            except Unusable:
                await self._journal.unpark(call, message)
                raise
            await self._journal.unpark(call, message)
            return "applied"
        await self._apply_to(call, message, decide)
        return "applied"

    async def _find(self, message: BusMessage) -> Call | None:
        """The call, by any of its ids. Raises Unusable when they name different calls."""
        calls = await self._journal.named(*message.keys.values())
        if len(calls) > 1:
            raise Unusable(f"its ids name different calls: {', '.join(sorted(call.call_id for call in calls))}")
        return calls[0] if calls else None

    async def _apply_to(self, call: Call, message: BusMessage, decide: Decide) -> None:
        outcome = decide(call, message)
        if isinstance(outcome, Completion):
            after = await self._complete(call, message, outcome)
        elif outcome is not None:
            after = (await self._journal.update(call.call_id, lambda head: _plan(decide(head, message)))).call
        else:
            return
        log.info("news_applied", extra={"news": message.id, "call_id": call.call_id, "status": after.status.value})
        if after.aliases != call.aliases:
            await self._join(after)

    async def _complete(self, call: Call, message: BusMessage, outcome: Completion) -> Call:
        record, change = outcome.call_data, dict(outcome.change)
        if record is None:
            call = await self._given_time(call)
            if call.status.terminal:
                return call
            events = await self._events(call)
            record = own_record(call, events, status=outcome.status, ended_at=outcome.ended_at)
            change["conversation_summary"] = record["conversation_summary"]
        appended = await self._journal.complete(
            call.call_id, outcome.status, call_data=record, change=change, key=message.id, ts=outcome.ts
        )
        return appended.call

    async def _given_time(self, call: Call) -> Call:
        """The session that owns a call completes it with all it knows; it only needs a moment after the line is down.
        Without a session, or when that is gone, the call is completed here."""
        waited = 0.0
        while call.owner is not None and not call.status.terminal and waited < GRACE_SECONDS:
            await self._sleep(GRACE_STEP)
            waited += GRACE_STEP
            call = await self._journal.find(call.call_id) or call
        return call

    async def _events(self, call: Call) -> list[Event]:
        events: list[Event] = []
        while page := await self._journal.events(call.call_id, after=len(events), limit=PAGE):
            events += page
        return events

    async def _join(self, call: Call) -> None:
        """News that waited for an id the call has only got now."""
        for message in await self._journal.parked(call):
            decide = SOURCES[message.source]
            current = await self._journal.find(call.call_id) or call
            try:
                await self._apply_to(current, message, decide)
            except Unusable as error:  # of this one alone; what brought us here has been applied
                await self._keep_aside(json.dumps(message.to_dict()), str(error), message)
            await self._journal.unpark(current, message)

    async def _keep_aside(self, raw: str, why: str, message: BusMessage | None = None) -> str:
        """Dead letters are kept for as long as everything else, and never delivered again by themselves."""
        now = self._clock()
        name = await dead_letters.keep(self._store, raw, why, message, now=now, expire_at=iso(now + self._retention))
        log.warning("news_kept_aside", extra={"letter": name, "why": why})
        return "kept_aside"


def _plan(outcome: Outcome) -> Plan | None:
    """What is left to do when the head has changed since the decision; a completion is then somebody else's."""
    return outcome if isinstance(outcome, Plan) else None
