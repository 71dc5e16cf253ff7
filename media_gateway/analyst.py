"""Finds out what came of each of our calls once it is over, and journals it once.

The instance that held a call does it when the session ends; a sweep finds those that nobody has done: their instance
died, or their end was told by Twilio alone. A claim keeps two instances from paying for the same; if the one that
claimed dies, the claim of the next span is free, and whoever comes second changes nothing (the key of the event).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from realtime import analysis
from realtime.analysis import Analyser, AnalysisFailed, Scripted
from realtime.call import Call
from realtime.clock import Clock, iso, parse_iso, utcnow
from realtime.events import Draft, Event, EventType
from realtime.journal import Journal
from realtime.plan import Plan
from realtime.stores.port import Conflict, StoreUnavailable

SPAN = timedelta(minutes=2)
"""How long a claim holds: longer than any analysis takes."""
PATIENCE = timedelta(minutes=30)
"""How long a call that is over waits for its analysis among the active ones."""
WAITING = 1_000
PAGE = 500
MOST_EVENTS = 5_000
SETTLE_S = 1.0
"""Between the end of a session and the look at its call: the end is journalled by then."""
_log = structlog.get_logger()


class Analyst:
    """One per process. `run` until it is cancelled."""

    def __init__(self, journal: Journal, analyser: Analyser, *, clock: Clock = utcnow) -> None:
        self._journal, self._analyser, self._clock = journal, analyser, clock
        self._ended: asyncio.Queue[str] = asyncio.Queue(WAITING)

    def ended(self, call_id: str) -> None:
        """A session has ended here. What does not fit any more is found by the sweep."""
        try:
            self._ended.put_nowait(call_id)
        except asyncio.QueueFull:
            _log.warning("analysis_postponed", call_id=call_id)

    async def run(self) -> None:
        """One after the other, as they end."""
        while True:
            call_id = await self._ended.get()
            await asyncio.sleep(SETTLE_S)
            try:
                call = await self._journal.find(call_id)
                if call is not None and analysis.wants(call):
                    await self.analyse(call)
            except (StoreUnavailable, Conflict):
                _log.warning("analysis_postponed", call_id=call_id)
            except Exception:  # one call's trouble must not end the others' analyses
                _log.exception("analysis_failed", call_id=call_id)

    async def patrol(self, every_s: float) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.sweep()
            except (StoreUnavailable, Conflict):
                _log.warning("analysis_sweep_failed")
            except Exception:
                _log.exception("analysis_sweep_failed")

    async def sweep(self) -> int:
        """Analyse what nobody has; how many. Raises StoreUnavailable."""
        done = 0
        for call in await self._journal.active():
            if self.waits(call):
                done += await self.analyse(call)
        return done

    def waits(self, call: Call) -> bool:
        """True for a call that is to stay among the active ones until it is analysed."""
        ended = call.ended_at or call.last_updated
        return analysis.wants(call) and self._clock() - parse_iso(ended) < PATIENCE

    async def analyse(self, call: Call) -> bool:
        """True if it was done here. Raises StoreUnavailable."""
        now = self._clock()
        if not await self._journal.claim("analysis", _claim_of(call, now), until=now + 2 * SPAN):
            return False
        events = await self._events(call)
        found, source, fault = await self._found(call, events)
        result = analysis.shaped(found, source=source, fault=fault)
        draft = Draft(EventType.ANALYSIS_READY, {"analysis": result}, analysis.KEY, iso(self._clock()))
        appended = await self._journal.update(
            call.call_id, lambda head: Plan([draft], {"analysis": result}) if analysis.wants(head) else None
        )
        if appended.events:
            _log.info("call_analysed", call_id=call.call_id, source=source)
        return bool(appended.events)

    async def _found(self, call: Call, events: Sequence[Event]) -> tuple[analysis.Findings, str, str | None]:
        """(findings, who found them, why the first choice did not)."""
        if not any(event.type is EventType.FINAL_TRANSCRIPT for event in events):
            return analysis.scripted(call, events), Scripted.name, None  # nothing was said: there is nothing to ask
        try:
            return await self._analyser.analyse(call, events), self._analyser.name, None
        except AnalysisFailed as failure:
            _log.exception("analysis_by_script", call_id=call.call_id, why=str(failure))
            return analysis.scripted(call, events), Scripted.name, str(failure)

    async def _events(self, call: Call) -> list[Event]:
        events: list[Event] = []
        while len(events) < MOST_EVENTS and (
            page := await self._journal.events(call.call_id, after=len(events), limit=PAGE)
        ):
            events += page
        return events


def _claim_of(call: Call, now: datetime) -> str:
    """The same for everybody who comes within a span."""
    ended = parse_iso(call.ended_at or call.last_updated)
    return f"{call.call_id}:{(now - ended) // SPAN}"
