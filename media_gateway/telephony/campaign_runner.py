"""Runs campaigns: each by one instance at a time, row after row, as `realtime.campaigns.machine` decides.

The lease lets another instance go on where this one died. A row that was being placed then is asked for again under
the same key, so that it is found and not dialled a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import structlog

from media_gateway.http_errors import ApiError
from media_gateway.telephony.outbound import CallBody, Outbound
from realtime.backoff import delay
from realtime.campaigns.book import Book, Unreadable
from realtime.campaigns.machine import Begin, Finished, decide
from realtime.campaigns.model import Campaign, Row
from realtime.clock import Clock, iso, utcnow
from realtime.journal import Journal
from realtime.reminders.windows import zones_of
from realtime.stores.port import Conflict, StoreUnavailable

LOOK_S = 5.0
"""Between two looks for campaigns that want to be run."""
FAILED_S = 300.0
"""The longest pause of a campaign that fails again and again."""
_PAUSES = {"daily_cap", "not_configured", "twilio_credentials", "from_not_verified", "unknown_flow"}
"""Refusals that every other row would meet too: the campaign waits for a person."""
log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Runner:
    """`owner` names this instance; `zone` is where numbers count as that are at home nowhere."""

    book: Book
    outbound: Outbound
    journal: Journal
    owner: str
    zone: str
    clock: Clock = utcnow
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _faults: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled: whatever campaign wants to be run and has nobody."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    for campaign in await self.book.running():
                        if campaign.campaign_id not in self._running:
                            task = group.create_task(self._one(campaign.campaign_id))
                            self._running[campaign.campaign_id] = task
                except StoreUnavailable:
                    log.warning("campaigns_unread")
                await self.sleep(LOOK_S)

    async def _one(self, campaign_id: str) -> None:
        try:
            while await self.step(campaign_id):
                self._faults.pop(campaign_id, None)
        except (StoreUnavailable, Conflict):
            log.warning("campaign_interrupted", campaign=campaign_id)  # the lease runs out, and somebody goes on
        except Exception:  # one campaign's trouble ends neither the others nor the calls of this instance
            attempt = self._faults[campaign_id] = self._faults.get(campaign_id, 0) + 1
            log.exception("campaign_failed", campaign=campaign_id, attempt=attempt)
            await self.sleep(delay(attempt, base=LOOK_S, cap=FAILED_S))
        finally:
            self._running.pop(campaign_id, None)

    async def step(self, campaign_id: str) -> bool:
        """One decision, carried out. False when this instance has nothing more to do with the campaign. Raises
        StoreUnavailable, Conflict."""
        campaign = await self.book.lease(campaign_id, self.owner, self.clock())
        if campaign is None:
            return False
        try:
            rows = [await self._looked_at(campaign, row) for row in await self.book.rows(campaign_id)]
        except Unreadable as error:
            log.error("campaign_quarantined", campaign=campaign_id)
            await self.book.move(campaign, "paused", f"{error}. Stop it, and place the calls that are left anew.")
            return False
        decision = decide(campaign, rows, self.clock(), lambda number: zones_of(number, self.zone))
        match decision:
            case Finished():
                await self.book.move(campaign, "done")
                return False
            case Begin(row):
                return await self._begin(campaign, row)
        await self.sleep(decision.seconds)
        return True

    async def _looked_at(self, campaign: Campaign, row: Row) -> Row:
        """A row whose call has ended meanwhile."""
        if row.state != "placed" or row.call_id is None:
            return row
        call = await self.journal.find(row.call_id)
        if call is not None and not call.status.terminal:
            return row
        slots = (call.conversation_summary or {}).get("collected_slots") or {} if call else {}
        result = "not kept" if call is None else call.status.value
        over = replace(row, state="done", result=result, detail=str(slots.get("outcome") or ""))
        await self.book.write(campaign.campaign_id, over)
        return over

    async def _begin(self, campaign: Campaign, row: Row) -> bool:
        row = replace(row, state="placing", begun_at=row.begun_at or iso(self.clock()))
        await self.book.write(campaign.campaign_id, row)
        body = CallBody(to=row.to, flow=campaign.flow, variables=dict(row.variables))
        key = f"campaign {campaign.campaign_id} {row.n}"
        try:
            call = await self.outbound.call(body, org=campaign.org, actor=campaign.created_by, key=key)
        except ApiError as error:
            return await self._refused(campaign, row, error)
        await self.book.write(campaign.campaign_id, replace(row, state="placed", call_id=call.call_id))
        return True

    async def _refused(self, campaign: Campaign, row: Row, error: ApiError) -> bool:
        log.warning("campaign_row_refused", campaign=campaign.campaign_id, row=row.n, code=error.code)
        if error.code in _PAUSES:
            await self.book.write(campaign.campaign_id, replace(row, state="waiting", begun_at=None))
            await self.book.move(campaign, "paused", f"{error.message} {error.fix}")
            return False
        if error.status in (429, 503):
            await self.sleep(LOOK_S)  # it passes; the same key is asked for again
            return True
        refused = replace(row, state="refused", result=error.code, detail=error.message)
        await self.book.write(campaign.campaign_id, refused)
        return True
