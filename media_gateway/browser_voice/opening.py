"""How a conversation in a browser begins: a call of its own, one that goes on after a reload, or an old one that is
continued where it stopped."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from media_gateway.auth.model import Principal
from media_gateway.voice.ports import StartedStream
from realtime.call import Call, Status
from realtime.clock import Clock, iso
from realtime.events import Draft, Event, EventType
from realtime.journal import Journal
from realtime.record import own_record

SOURCE = "browser"
PAGE = 500
_KEPT = (EventType.FINAL_TRANSCRIPT, EventType.AI_RESPONSE_COMPLETE, EventType.TOOL_CALL)
"""What an old conversation hands on: what was said and done."""
_OVER = ("closing",)
"""Conversations that had come to their end begin anew, with what was said before in mind."""
MOST_KEPT = 200
"""An event is two documents, and a commit takes 500."""


class Refused(Exception):
    """This conversation cannot begin. `code` as in errors of the API; the text may be shown."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Wish:
    """What the browser asked for: a flow (None: as for an unknown caller), a conversation to go on with (None: new)."""

    flow: str | None = None
    session_id: str | None = None


async def open_call(journal: Journal, principal: Principal, wish: Wish, clock: Clock) -> tuple[Call, StartedStream]:
    """The call's head and what its session is told. Raises Refused, StoreUnavailable."""
    before = await _before(journal, principal, wish.session_id) if wish.session_id else None
    if before is not None and not before.status.terminal:
        return before, _started(before, resumed=before.owner_term > 0)
    drafts, state, flow = [_ringing(clock)], None, wish.flow
    if before is not None:
        drafts += _handed_on(await said(journal, before.call_id))
        flow = before.flow
        kept = before.conversation_state
        state = kept if kept and kept.get("state") not in _OVER else None
    metadata: dict[str, Any] = {"source": SOURCE, "user": principal.user}
    if before is not None:
        metadata["continues"] = before.call_id
    call = await journal.open(
        Call(
            call_id=f"BV{secrets.token_hex(16)}",
            org=principal.org,
            flow=flow,
            conversation_state=state,
            metadata=metadata,
        ),
        drafts,
    )
    return call, _started(call, resumed=before is not None)


async def complete(journal: Journal, call_id: str, clock: Clock) -> Call | None:
    """End a conversation that was to be handed to a person: behind a browser there is no line to hand over. The head
    if it was ended here, else None. Raises StoreUnavailable."""
    call = await journal.find(call_id)
    if call is None or call.status.terminal or call.next != "handoff":
        return None
    now = iso(clock())
    record = own_record(call, await said(journal, call_id), status=Status.COMPLETED, ended_at=now)
    change = {"ended_at": now, "conversation_summary": record["conversation_summary"]}
    done = await journal.complete(call_id, Status.COMPLETED, call_data=record, change=change, key="end", ts=now)
    return done.call


async def said(journal: Journal, call_id: str) -> list[Event]:
    """The journal of the call, whole."""
    events: list[Event] = []
    while page := await journal.events(call_id, after=events[-1].seq if events else 0, limit=PAGE):
        events += page
    return events


async def _before(journal: Journal, principal: Principal, session_id: str) -> Call:
    call = await journal.find(session_id)
    if call is None or call.org != principal.org or call.metadata.get("source") != SOURCE:
        raise Refused("not_found", "There is no such conversation.")
    if call.metadata.get("user") != principal.user:
        raise Refused("forbidden", "Only who has had a conversation can go on with it.")
    return call


def _started(call: Call, *, resumed: bool) -> StartedStream:
    return StartedStream(
        call_id=call.call_id, stream_sid=f"BV{secrets.token_hex(8)}", org=call.org, flow=call.flow, resumed=resumed
    )


def _ringing(clock: Clock) -> Draft:
    data = {"status": Status.RINGING.value, "call_end_time": None, "reason": None}
    return Draft(EventType.CALL_STATUS, data, f"status:{Status.RINGING.value}", iso(clock()))


def _handed_on(events: Sequence[Event]) -> list[Draft]:
    """Times stay what they were, so that the page tells the old lines from the new ones."""
    kept = [event for event in events if event.type in _KEPT][-MOST_KEPT:]
    return [Draft(event.type, event.data, f"continued:{event.seq}", event.ts) for event in kept]
