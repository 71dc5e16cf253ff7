"""One run: what is to be taken back, who is called when; kept first, then put into the queue.

A run that dies anywhere is finished by the next one: what was kept is queued again under the same name, and the queue
and the gateway take a name once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from realtime.clock import iso
from realtime.journal import Journal
from realtime.queue.port import Task, TaskQueue
from realtime.reminders import ledger
from realtime.reminders.machine import decide, reason
from realtime.reminders.model import Attempt, Decision, Outcome
from realtime.reminders.survey import FLOW, Case, Survey, survey
from realtime.stores.port import Conflict, DocumentStore, Write

log = logging.getLogger(__name__)

Bearer = Callable[[datetime, datetime], str]
"""A token for the gateway that is good from the first time until the second."""


class Busy(Exception):
    """Other runs were planning all the time; nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did, in ids."""

    survey: Survey
    decision: Decision
    withdrawn: Sequence[str] = ()
    queued: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: no number, no name."""
        about = {case.due.reminder_id: case.due.appointment_id for case in self.survey.cases}
        skipped: dict[str, list[str]] = {}
        for of, why in self.decision.skipped.items():
            skipped.setdefault(why.value, []).append(about[of])
        return {
            "now": iso(self.survey.now),
            "day": self.survey.day.isoformat(),
            "stopped": self.survey.rules.stopped,
            "appointments": len(self.survey.cases),
            "lines_busy": self.survey.busy,
            "planned": [
                {
                    "reminder_id": call.reminder_id,
                    "appointment_id": about[call.reminder_id],
                    "attempt": call.n,
                    "at": iso(call.at),
                    "until": iso(call.until),
                }
                for call in self.decision.calls
            ],
            "skipped": {why: sorted(ids) for why, ids in sorted(skipped.items())},
            "withdrawn": sorted(self.withdrawn),
            "queued": sorted(self.queued),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminders:
    """The reminders of one organisation. `gateway` is where calls are asked for, without a trailing slash."""

    store: DocumentStore
    journal: Journal
    queue: TaskQueue
    org: str
    zone: ZoneInfo
    gateway: str
    bearer: Bearer = field(repr=False)
    keep: timedelta = timedelta(days=30)

    async def preview(self, now: datetime, *, ahead: timedelta | None = None) -> Report:
        """What a run would plan; nothing is written. `ahead` looks further than the rules do."""
        seen = await survey(self.store, self.journal, self.org, self.zone, now)
        if ahead is not None:
            seen = replace(seen, rules=replace(seen.rules, ahead=ahead))
        return Report(survey=seen, decision=_decide(seen))

    async def run(self, now: datetime) -> Report:
        """Plan, keep, queue. Raises Busy, QueueUnavailable, StoreUnavailable: run it again. ValueError for rules that
        cannot be read."""
        for _ in range(ledger.TRIES):
            seen = await survey(self.store, self.journal, self.org, self.zone, now)
            seen, withdrawn, writes = await self._withdraw(seen)
            decision = _decide(seen)
            writes += self._writes(seen, decision)
            try:
                if writes:
                    await self.store.commit([ledger.next_turn(self.org, seen.turn), *writes])
            except Conflict:
                continue
            queued = await self._queue(seen, decision)
            return Report(survey=seen, decision=decision, withdrawn=withdrawn, queued=queued)
        raise Busy("other runs were planning at the same time")

    # -- taking back -------------------------------------------------------------------------------------------------

    async def _withdraw(self, seen: Survey) -> tuple[Survey, list[str], list[Write]]:
        """Take calls out of the queue that are not wanted any more: the survey as it is then, the names, and what is
        to be kept of strays."""
        names: list[str] = []
        writes: list[Write] = []
        cases = [await self._withdrawn(seen, case, names) for case in seen.cases]
        for doc in seen.strays:
            attempts = ledger.attempts_of(doc.data)
            left = await self._without(doc.data["reminder_id"], attempts, seen.now, names)
            if left != attempts:
                writes.append(self._record(doc.data, doc, left))
        return replace(seen, cases=tuple(cases)), names, writes

    async def _withdrawn(self, seen: Survey, case: Case, names: list[str]) -> Case:
        if _wanted(seen, case):
            return case
        attempts = await self._without(case.due.reminder_id, case.due.attempts, seen.now, names)
        return replace(case, due=replace(case.due, attempts=attempts))

    async def _without(
        self, of: str, attempts: tuple[Attempt, ...], now: datetime, names: list[str]
    ) -> tuple[Attempt, ...]:
        """The attempts, with those that wait taken back as far as the queue gives them back."""
        left: list[Attempt] = []
        for attempt in attempts:
            name = ledger.call_key(of, attempt.n)
            waits = attempt.outcome is Outcome.PENDING and attempt.until > now
            if waits and await asyncio.to_thread(self.queue.withdraw, name):
                names.append(name)
                # Once its time has come it may have been made after all: then the call itself will tell.
                if attempt.at > now:
                    attempt = replace(attempt, outcome=Outcome.WITHDRAWN)
            left.append(attempt)
        return tuple(left)

    # -- keeping and queueing ----------------------------------------------------------------------------------------

    def _writes(self, seen: Survey, decision: Decision) -> list[Write]:
        planned = {call.reminder_id: Attempt(call.n, call.at, call.until) for call in decision.calls}
        writes: list[Write] = []
        for case in seen.cases:
            new = planned.get(case.due.reminder_id)
            if new is None and not case.changed:
                continue
            about = {
                "reminder_id": case.due.reminder_id,
                "appointment_id": case.due.appointment_id,
                "date": case.appointment.date,
                "phone_key": case.due.phone_key or (case.kept.data["phone_key"] if case.kept else ""),
            }
            attempts = (*case.due.attempts, new) if new else case.due.attempts
            writes.append(self._record(about, case.kept, attempts))
        return writes

    def _record(self, about: Mapping[str, Any], kept: Any, attempts: Sequence[Attempt]) -> Write:
        return ledger.record(
            self.org,
            kept,
            of=about["reminder_id"],
            appointment_id=about["appointment_id"],
            day=about["date"],
            phone_key=about["phone_key"],
            attempts=attempts,
            keep=self.keep,
        )

    async def _queue(self, seen: Survey, decision: Decision) -> list[str]:
        """Queue what was just kept, and again what an earlier run kept and perhaps did not queue."""
        planned = {call.reminder_id: Attempt(call.n, call.at, call.until) for call in decision.calls}
        tasks: list[Task] = []
        for case in (case for case in seen.cases if _wanted(seen, case)):
            open_ones = [a for a in case.due.attempts if a.outcome is Outcome.PENDING and a.until > seen.now]
            if new := planned.get(case.due.reminder_id):
                open_ones.append(new)
            tasks += [self._task(seen, case, attempt) for attempt in open_ones]
        if tasks and (await ledger.load_rules(self.store, self.org)).stopped:
            return []  # stopped a moment ago: the next run takes back what is kept
        queued = []
        for task in tasks:
            if await asyncio.to_thread(self.queue.enqueue, task):
                queued.append(task.name)
                log.info("reminder_queued", extra={"task": task.name, "at": iso(task.at)})
        return queued

    def _task(self, seen: Survey, case: Case, attempt: Attempt) -> Task:
        name = ledger.call_key(case.due.reminder_id, attempt.n)
        headers = {"Idempotency-Key": name, "Authorization": f"Bearer {self.bearer(attempt.at, attempt.until)}"}
        body = {"to": case.phone, "flow": FLOW, "variables": variables(seen, case, attempt)}
        url = f"{self.gateway}/api/v1/calls"
        return Task(name=name, url=url, at=attempt.at, until=attempt.until, body=body, headers=headers)


def variables(seen: Survey, case: Case, attempt: Attempt) -> dict[str, Any]:
    """What the call is about, for the conversation, and which attempt it is, for us."""
    kept, customer = case.appointment, case.customer
    service = seen.shop.service(kept.service_type)
    said: dict[str, Any] = {
        "reminder_id": case.due.reminder_id,
        "attempt": attempt.n,
        "appointment": {
            "appointment_id": kept.appointment_id,
            "reference": kept.reference,
            "date": kept.date,
            "time": kept.time,
            "service_type": kept.service_type,
            "service": service.say if service else kept.service_type.replace("_", " "),
        },
    }
    if customer:
        said |= {"customer_id": customer.customer_id, "first_name": customer.name.split(" ")[0]}
        said |= {"vehicle": customer.vehicle} if customer.vehicle else {}
    return said


def _wanted(seen: Survey, case: Case) -> bool:
    """True if nothing speaks against a call but that one is on its way."""
    settled = tuple(attempt for attempt in case.due.attempts if attempt.outcome is not Outcome.PENDING)
    return reason(seen.rules, replace(case.due, attempts=settled)) is None


def _decide(seen: Survey) -> Decision:
    placed = [call for doc in seen.strays for call in ledger.placed_in(doc.data)]
    return decide(seen.now, seen.rules, [case.due for case in seen.cases], placed=placed, busy=seen.busy)
