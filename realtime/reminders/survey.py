"""Everything a run has to know, read from the store: tomorrow's appointments, whom they belong to, what was tried."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from realtime.call import Call
from realtime.clock import iso
from realtime.journal import Journal
from realtime.records import customers, do_not_call, shop
from realtime.records.appointment import Appointment, on_day
from realtime.records.customers import Customer, NotANumber, e164, phone_key
from realtime.records.shop import Shop
from realtime.reminders import ledger
from realtime.reminders.model import Attempt, Due, Outcome, Rules
from realtime.reminders.outcomes import outcome
from realtime.reminders.windows import zones_of
from realtime.stores.port import Doc, DocumentStore

FLOW = "outbound_reminder"
AT_ONCE = 20
"""Lookups side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An appointment of tomorrow with what surrounds it. `kept` is the reminder's document as it was read, `due` has
    the attempts as they are known now."""

    due: Due
    appointment: Appointment
    customer: Customer | None
    phone: str | None
    kept: Doc | None

    @property
    def changed(self) -> bool:
        """True when more is known of the attempts than is kept."""
        return self.due.attempts != ledger.attempts_of(self.kept.data if self.kept else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """`turn` was read before everything else. `strays` are the reminders of the last hours whose appointment is not
    tomorrow's (any more)."""

    now: datetime
    day: date
    rules: Rules
    shop: Shop
    turn: Doc | None
    cases: tuple[Case, ...]
    strays: tuple[Doc, ...]
    busy: int


async def survey(store: DocumentStore, journal: Journal, org: str, zone: ZoneInfo, now: datetime) -> Survey:
    """Raises ValueError for rules that cannot be read; KeyError on a poison document; StoreUnavailable."""
    (turn,) = await store.get(ledger.turn_path(org))
    rules = await ledger.load_rules(store, org)
    day = now.astimezone(zone).date() + timedelta(days=1)
    appointments = await on_day(store, org, day)
    recent = await ledger.placed_since(store, org, now - max(rules.spacing, rules.hold))
    cases = await _Reader(store, journal, org, zone, now).cases(appointments)
    ours = {case.due.reminder_id for case in cases}
    return Survey(
        now=now,
        day=day,
        rules=rules,
        shop=await shop.load(store, org),
        turn=turn,
        cases=tuple(cases),
        strays=tuple(doc for doc in recent if doc.data["reminder_id"] not in ours),
        busy=sum(1 for call in await journal.active(org=org) if not call.status.terminal and reminded(call) is None),
    )


def reminded(call: Call) -> tuple[str, int] | None:
    """Which attempt this call is, None for any other call."""
    about = call.metadata.get("variables") or {}
    of, n = about.get("reminder_id"), about.get("attempt")
    return (of, n) if isinstance(of, str) and isinstance(n, int) else None


class _Reader:
    def __init__(self, store: DocumentStore, journal: Journal, org: str, zone: ZoneInfo, now: datetime) -> None:
        self._store, self._journal, self._org, self._zone, self._now = store, journal, org, zone, now

    async def cases(self, appointments: Sequence[Appointment]) -> list[Case]:
        ids = [ledger.reminder_id(self._org, one.appointment_id, one.date) for one in appointments]
        kept = await self._get([ledger.reminder_path(self._org, of) for of in ids])
        known = await self._customers(appointments)
        limit = asyncio.Semaphore(AT_ONCE)

        async def case(of: str, appointment: Appointment, doc: Doc | None) -> Case:
            async with limit:
                return await self._case(of, appointment, doc, known.get(appointment.customer_id or ""))

        found = await asyncio.gather(*(case(*one) for one in zip(ids, appointments, kept, strict=True)))
        return await self._with_outcomes(found)

    async def _case(self, of: str, appointment: Appointment, kept: Doc | None, customer: Customer | None) -> Case:
        phone = await self._phone(appointment, customer)
        starts = datetime.combine(
            date.fromisoformat(appointment.date), time.fromisoformat(appointment.time), self._zone
        )
        due = Due(
            reminder_id=of,
            appointment_id=appointment.appointment_id,
            starts=starts.astimezone(UTC),
            status=appointment.status,
            phone_key=phone_key(phone),
            zones=zones_of(phone, self._zone.key) if phone else (self._zone.key,),
            listed=bool(phone) and await do_not_call.listed(self._store, self._org, phone or ""),
            attempts=ledger.attempts_of(kept.data if kept else None),
        )
        return Case(due=due, appointment=appointment, customer=customer, phone=phone, kept=kept)

    async def _phone(self, appointment: Appointment, customer: Customer | None) -> str | None:
        """Of whoever booked, else the customer's, else that of the call in which it was booked. E.164."""
        number = appointment.phone or (customer.phone if customer else None)
        if number is None:
            call = await self._journal.find(appointment.call_id)
            number = call.caller_phone if call and call.direction == "inbound" else None
        try:
            return e164(number) if number else None
        except NotANumber:
            return None

    async def _customers(self, appointments: Iterable[Appointment]) -> dict[str, Customer]:
        ids = sorted({one.customer_id for one in appointments if one.customer_id})
        docs = await self._get([customers.path(self._org, one) for one in ids])
        return {doc.data["customer_id"]: Customer.from_dict(doc.data) for doc in docs if doc}

    async def _get(self, paths: Sequence[str]) -> list[Doc | None]:
        return await self._store.get(*paths) if paths else []

    async def _with_outcomes(self, cases: Sequence[Case]) -> list[Case]:
        open_since = [a.at for case in cases for a in case.due.attempts if a.outcome is Outcome.PENDING]
        calls = await self._calls(min(open_since)) if open_since else {}
        return [replace(case, due=replace(case.due, attempts=self._known(case, calls))) for case in cases]

    def _known(self, case: Case, calls: Mapping[tuple[str, int], Call]) -> tuple[Attempt, ...]:
        return tuple(
            replace(a, outcome=outcome(a, calls.get((case.due.reminder_id, a.n)), case.appointment, self._now))
            if a.outcome is Outcome.PENDING
            else a
            for a in case.due.attempts
        )

    async def _calls(self, since: datetime) -> dict[tuple[str, int], Call]:
        """The reminder calls that began since then, by attempt."""
        found: dict[tuple[str, int], Call] = {}
        query: dict[str, Any] = {"org": self._org, "flow": FLOW, "from_": iso(since - timedelta(minutes=1))}
        cursor: str | None = None
        while True:
            page, cursor = await self._journal.calls(**query, cursor=cursor, limit=200)
            for call in page:
                if attempt := reminded(call):
                    found[attempt] = call
            if cursor is None:
                return found
