"""What is kept of reminders.

`orgs/{org}/records/reminders` is the switch and the rules, `orgs/{org}/records/reminders_turn` the document that every
plan moves on (so that of two runs at once only one plans), `orgs/{org}/reminders/{reminder_id}` the attempts about one
appointment on one day: {reminder_id, appointment_id, date, phone_key, last_at, attempts: [{n, at, until, outcome}],
expire_at}. No number is among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from realtime.clock import iso, parse_iso
from realtime.paths import digest
from realtime.reminders.model import Attempt, Outcome, Placed, Rules
from realtime.stores.port import Conflict, Create, Doc, DocumentStore, Put, Query, Write

TRIES = 6
"""How often a lost compare-and-set is tried again."""
MOST = 1000
"""Reminders read at once."""


def rules_path(org: str) -> str:
    """Where the switch and the rules are kept."""
    return f"orgs/{org}/records/reminders"


def turn_path(org: str) -> str:
    """What a plan must move on to be kept."""
    return f"orgs/{org}/records/reminders_turn"


def reminder_path(org: str, reminder_id: str) -> str:
    """Where the attempts are kept."""
    return f"orgs/{org}/reminders/{reminder_id}"


def reminder_id(org: str, appointment_id: str, day: str) -> str:
    """Of an appointment on a day: moved to another hour it is still the same reminder, to another day it is not."""
    return "R" + digest(f"{org}/{appointment_id}/{day}")[:20]


def call_key(of: str, n: int) -> str:
    """The task's name, and the Idempotency-Key of the call."""
    return f"{of}-{n}"


async def load_rules(store: DocumentStore, org: str) -> Rules:
    """Raises ValueError that names the wrong key; StoreUnavailable."""
    (found,) = await store.get(rules_path(org))
    return Rules() if found is None else Rules.from_dict(found.data)


async def switch(store: DocumentStore, org: str, *, stopped: bool) -> Rules:
    """Stop or resume. A plan that is being made meanwhile is lost. Raises ValueError, StoreUnavailable; Conflict when
    others were faster all the time."""
    for n in range(TRIES):
        kept, turn = await store.get(rules_path(org), turn_path(org))
        rules = replace(Rules() if kept is None else Rules.from_dict(kept.data), stopped=stopped)
        data = {**(kept.data if kept else {}), **rules.to_dict()}
        try:
            await store.commit([_put(rules_path(org), data, kept), next_turn(org, turn)])
        except Conflict:
            if n == TRIES - 1:
                raise
        else:
            break
    return rules


def next_turn(org: str, turn: Doc | None) -> Write:
    """The write that lets nobody else plan from what was read at `turn`."""
    return _put(turn_path(org), {"n": (turn.data["n"] if turn else 0) + 1}, turn)


async def placed_since(store: DocumentStore, org: str, moment: datetime) -> list[Doc]:
    """The reminders whose newest attempt begins later than `moment`, those to come included. Raises
    StoreUnavailable."""
    query = Query(f"orgs/{org}/reminders", where=[("last_at", ">=", iso(moment))], order_by="last_at", limit=MOST)
    return await store.query(query)


def attempts_of(data: Mapping[str, Any] | None) -> tuple[Attempt, ...]:
    """Raises KeyError, ValueError on a poison document."""
    kept = data["attempts"] if data else ()
    return tuple(Attempt(a["n"], parse_iso(a["at"]), parse_iso(a["until"]), Outcome(a["outcome"])) for a in kept)


def placed_in(data: Mapping[str, Any]) -> list[Placed]:
    """The calls that were placed, or may be."""
    return [Placed(data["phone_key"], attempt.at) for attempt in attempts_of(data) if attempt.counts]


def record(
    org: str,
    kept: Doc | None,
    *,
    of: str,
    appointment_id: str,
    day: str,
    phone_key: str,
    attempts: Sequence[Attempt],
    keep: timedelta,
) -> Write:
    """The write that keeps these attempts, if nobody wrote since."""
    last = max(attempt.at for attempt in attempts)
    data = {
        "reminder_id": of,
        "appointment_id": appointment_id,
        "date": day,
        "phone_key": phone_key,
        "last_at": iso(last),
        "attempts": [{"n": a.n, "at": iso(a.at), "until": iso(a.until), "outcome": a.outcome.value} for a in attempts],
        "expire_at": iso(last + keep),
    }
    return _put(reminder_path(org, of), data, kept)


def _put(path: str, data: Mapping[str, Any], kept: Doc | None) -> Write:
    return Create(path, data) if kept is None else Put(path, data, kept.version)
