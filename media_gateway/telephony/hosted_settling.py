"""What became of a hosted call: found with the vendor, joined to its ids, ended when there is none.

Whatever breaks off while a call is placed, our own id went along with the order; the vendor gives it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from media_gateway.http_errors import ApiError
from media_gateway.telephony.hosted_agents import HostedAgents, Placed, Refused, Unsettled
from realtime.bus.port import Bus, PublishFailed
from realtime.call import Call, Status
from realtime.clock import Clock, iso, parse_iso, utcnow
from realtime.join import join
from realtime.journal import Journal
from realtime.record import own_record
from realtime.stores.port import Conflict, StoreUnavailable

LOOKS = 4
"""Times a call is looked for whose placing broke off; the vendor lists a conversation a moment after it began."""
LOOK_PAUSE_S = 0.8
LOOK_S = 15.0
"""At most, for all of that."""
EARLIER = timedelta(minutes=2)
"""How much the vendor's clock may be behind ours."""
PLACING = timedelta(seconds=60)
"""After that, nobody is placing a call any more that was opened then."""
_UNSETTLED_FIX = (
    "Do not place it again: the phone may be ringing. POST /driver_data/conversations/{call_id}/fetch looks again; if "
    "the call was made, its webhook completes it."
)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """`noticed` is told of every head that was written here, so that dashboards need not wait for the feed."""

    journal: Journal
    bus: Bus
    noticed: Callable[[Call], None] = lambda call: None
    clock: Clock = utcnow
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def looked_up(self, call: Call, agents: HostedAgents) -> Placed | None:
        """The conversation that carries this call's id, if there is one."""
        since = parse_iso(call.started_at) - EARLIER
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                for n in range(LOOKS):
                    await self.sleep(LOOK_PAUSE_S * n)
                    try:
                        found = await agents.find(call.call_id, since=since)
                    except (Refused, Unsettled) as problem:
                        _log.warning("hosted_call_not_looked_up", call_id=call.call_id, why=str(problem))
                    else:
                        if found is not None:
                            return found
        return None

    async def attach(self, call: Call, placed: Placed) -> Call:
        """The vendor's ids become names of the call; news that came before them is joined."""
        change = {"conversation_id": placed.conversation_id, "call_sid": placed.call_sid}
        ids = {name: value for name, value in change.items() if value is not None}
        try:
            call = (await self.journal.append(call.call_id, (), change=ids)).call
        except (StoreUnavailable, Conflict) as error:
            _log.exception("hosted_call_not_recorded", call_id=call.call_id, **ids)
            message = f"The call was placed ({placed.conversation_id or placed.call_sid}) and could not be recorded."
            fix = "Do not place it again; its webhook completes the record."
            raise ApiError(503, message, code="not_recorded", fix=fix) from error
        self.noticed(call)
        _log.info("hosted_call_placed", call_id=call.call_id, **ids)
        try:
            await join(self.journal, self.bus, call)
        except (PublishFailed, StoreUnavailable):
            _log.exception("parked_news_waits", call_id=call.call_id)
        return call

    async def failed(self, call: Call, refusal: Refused) -> Call:
        """There is no such call: the journal says so, and why."""
        now = iso(self.clock())
        _log.warning("hosted_call_refused", call_id=call.call_id, code=refusal.code)
        why = {"status": refusal.status, "code": refusal.code, "message": refusal.message, "fix": refusal.fix}
        record = own_record(call, (), status=Status.FAILED, ended_at=now)
        appended = await self.journal.complete(
            call.call_id,
            Status.FAILED,
            call_data={**record, "transcript": None, "failure_reason": refusal.code},
            change={"metadata": {**call.metadata, "refused": why}},
            key="placing",
            ts=now,
        )
        self.noticed(appended.call)
        return appended.call

    def unknown(self, call: Call, why: str) -> ApiError:
        _log.error("hosted_call_unsettled", call_id=call.call_id, why=why)
        message = f"Whether call {call.call_id} was placed is not known: {why}."
        return ApiError(503, message, code="outcome_unknown", fix=_UNSETTLED_FIX.format(call_id=call.call_id))

    async def settle(self, call: Call, agents: HostedAgents) -> Call:
        """Find out what became of a call whose placing broke off. Raises ApiError while nobody knows."""
        try:
            found = await agents.find(call.call_id, since=parse_iso(call.started_at) - EARLIER)
        except (Refused, Unsettled) as problem:
            raise self.unknown(call, str(problem)) from problem
        if found is not None:
            return await self.attach(call, found)
        if call.call_sid or self.clock() - parse_iso(call.started_at) < PLACING:
            raise self.unknown(call, "ElevenLabs lists no such conversation yet")
        return await self.failed(call, _never())


def settled(call: Call) -> bool:
    """True once it is known what became of it."""
    return call.conversation_id is not None or call.call_sid is not None or call.status.terminal


def vendor_failed(why: str) -> Refused:
    """The vendor answered with an error of its own."""
    fix = "Repeat in a few seconds; see ElevenLabs' status page if it stays."
    return Refused(503, "elevenlabs_failed", f"ElevenLabs failed: {why}.", fix=fix)


def _never() -> Refused:
    message = "The call was never placed: its placing broke off, and ElevenLabs knows no such conversation."
    return Refused(503, "elevenlabs_never_placed", message, fix="Place it again with a new request.")
