"""Calls that nobody will end: their instance died, or the news of their end never came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from realtime.call import Call, Status
from realtime.clock import Clock, iso, utcnow
from realtime.events import Event
from realtime.journal import Journal
from realtime.record import own_record

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long a call of our own may say nothing before it is held to be over."""

    unanswered: timedelta = timedelta(minutes=10)
    """Ringing, and no instance holds it: the caller has hung up long ago."""
    streaming: timedelta = timedelta(minutes=70)
    """Answered: a media stream lives for 60 minutes at most."""
    handed_over: timedelta = timedelta(hours=5)
    """With a human: Twilio ends a call after 4 hours."""


def verdict(call: Call, now: datetime, silence: Silence) -> Status | None:
    """The status to end `call` with; None while it may go on. A call that a vendor holds is the vendor's to end."""
    if call.hosted or call.status.terminal:
        return None

    def silent(for_: timedelta) -> bool:
        return call.last_updated < iso(now - for_)

    if call.status in (Status.INITIATED, Status.RINGING) and call.owner is None:
        return Status.NO_ANSWER if silent(silence.unanswered) else None
    patience = silence.handed_over if call.next == "handoff" else silence.streaming
    return Status.FAILED if silent(patience) else None


async def end_abandoned(journal: Journal, *, silence: Silence | None = None, clock: Clock = utcnow) -> list[Call]:
    """Complete every abandoned call with the record that its journal gives, as of its last sign of life; the calls.
    Whichever instance gets there first does it. Raises StoreUnavailable."""
    ended = []
    patience = silence or Silence()
    for call in await journal.active():
        status = verdict(call, clock(), patience)
        if status is None:
            continue
        record = own_record(call, await _said(journal, call), status=status, ended_at=call.last_updated)
        appended = await journal.complete(
            call.call_id,
            status,
            call_data=record,
            change={"conversation_summary": record["conversation_summary"]},
            key="abandoned",
            ts=iso(clock()),
            only_if=lambda head: verdict(head, clock(), patience) is not None,
        )
        if appended.events:
            ended.append(appended.call)
    return ended


async def _said(journal: Journal, call: Call) -> Sequence[Event]:
    events: list[Event] = []
    while page := await journal.events(call.call_id, after=len(events), limit=PAGE):
        events += page
    return events
