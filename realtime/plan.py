"""What an append means, as a pure function: from the head of a call and a plan to the next head and its events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import msgspec

from realtime import json_text
from realtime.call import Call, Status, advance
from realtime.events import Draft, Event, EventType
from realtime.stores.port import Write

TAIL_EVENTS = 8
TAIL_BYTES = 16 * 1024

AFTER_THE_END = frozenset({EventType.CALL_COMPLETED, EventType.ANALYSIS_READY, EventType.COMMAND})
"""What may still be said of a call that is over: its record, what was found out later, what became of a command."""

_SETTABLE = frozenset(f.name for f in fields(Call)) - {"call_id", "org", "epoch", "seq", "tail", "last_updated"}


class Plan(msgspec.Struct, frozen=True):
    """What should happen to a call in one commit: events to append, head fields to set, and writes to other
    documents that stand or fall with them."""

    drafts: Sequence[Draft] = ()
    change: Mapping[str, Any] | None = None
    writes: Sequence[Write] = ()


class Settled(msgspec.Struct, frozen=True):
    """The outcome of a plan: the next head, the events that are new, and the idempotency key of each of them."""

    call: Call
    events: tuple[Event, ...]
    keys: tuple[str, ...]


def settle(call: Call, plan: Plan, *, spent: Collection[str], now: str) -> Settled | None:
    """Number the drafts of `plan` and apply its change; None when nothing is left to do.

    A draft whose key is in `spent` (or twice in the plan) is dropped; when that leaves no draft, the change and the
    writes that came with them were made before too. News of a status that the call already has, or has left behind,
    is dropped as well, unless it is the first line of the journal; the change that came with it still holds. Of a
    call that is over only `AFTER_THE_END` may be told: when that leaves no draft, nothing of the plan is done.

    Raises ValueError when `change` names a field that is not to be set.
    """
    fresh = _fresh(plan.drafts, spent)
    if plan.drafts and not fresh:
        return None
    head, kept, late = _advance(call, fresh)
    if late and not kept:
        return None
    change = _checked(head, plan.change or {})
    if not kept and not plan.writes and replace(head, **change) == call:
        return None
    events = tuple(
        Event(call.call_id, call.epoch, call.seq + n, draft.type, draft.ts, draft.data)
        for n, draft in enumerate(kept, start=1)
    )
    tail = _tail(call.tail, events)
    head = replace(head, **change, seq=call.seq + len(events), tail=tail, last_updated=now)
    return Settled(head, events, tuple(draft.idem for draft in kept))


def _fresh(drafts: Sequence[Draft], spent: Collection[str]) -> list[Draft]:
    by_key: dict[str, Draft] = {}
    for draft in drafts:
        if draft.idem not in spent:
            by_key.setdefault(draft.idem, draft)
    return list(by_key.values())


def _advance(call: Call, drafts: Sequence[Draft]) -> tuple[Call, list[Draft], int]:
    """The head with the status that the drafts lead to, the drafts without stale news, and how many came too late."""
    head, kept, late = call, list[Draft](), 0
    for draft in drafts:
        if draft.type is EventType.CALL_STATUS:
            news = Status(draft.data["status"])
            status = advance(head.status, news)
            first = call.seq == 0 and not kept and status is news
            if status is head.status and not first:
                continue
            head = _with_status(head, status, draft.data.get("call_end_time") or draft.ts)
        elif head.status.terminal and draft.type not in AFTER_THE_END:
            late += 1
            continue
        kept.append(draft)
    return head, kept, late


def _with_status(head: Call, status: Status, ended_at: str) -> Call:
    if status.terminal and head.ended_at is None:
        return replace(head, status=status, ended_at=ended_at)
    return replace(head, status=status)


def _checked(head: Call, change: Mapping[str, Any]) -> dict[str, Any]:
    unknown = change.keys() - _SETTABLE
    if unknown:
        raise ValueError(f"a change cannot set {', '.join(sorted(unknown))}; it can set {', '.join(sorted(_SETTABLE))}")
    values = dict(change)
    if "status" in values:
        values["status"] = advance(head.status, Status(values["status"]))
    return values


def _tail(old: Sequence[Mapping[str, Any]], events: Sequence[Event]) -> tuple[Mapping[str, Any], ...]:
    """The newest events that fit, without a hole: readers rely on the tail being the last `len(tail)` of the log."""
    if not events:
        return tuple(old)
    newest_first = ([event.to_dict() for event in reversed(events)] + list(reversed(old)))[:TAIL_EVENTS]
    if json_text.size(newest_first) <= TAIL_BYTES:
        return tuple(reversed(newest_first))
    size, tail = 0, list[Mapping[str, Any]]()
    for event in newest_first:
        size += json_text.size(event)
        if size > TAIL_BYTES:
            break
        tail.append(event)
    return tuple(reversed(tail))
