"""A run on the store that production has: the same plan, once, with what was kept read back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from realtime.journal import Journal
from realtime.queue.port import Task
from realtime.reminders import ledger
from realtime.reminders.round import Reminders, Report
from realtime.stores.firestore import FirestoreStore
from realtime.stores.port import Put
from tests.functions.shop import ALL_DAY, ZONE, appointment

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


@dataclass
class NotedQueue:
    """`TaskQueue` in memory."""

    tasks: dict[str, Task] = field(default_factory=dict)

    def enqueue(self, task: Task) -> bool:
        return self.tasks.setdefault(task.name, task) is task

    def withdraw(self, name: str) -> bool:
        return self.tasks.pop(name, None) is not None

    def close(self) -> None:
        return None


def planned(reports: Sequence[Report]) -> list[str]:
    return sorted(call["appointment_id"] for report in reports for call in report.to_dict()["planned"])


@pytest.mark.emulator
def test_on_firestore_two_runs_at_once_plan_once_and_stop_takes_back(firestore_emulator: str) -> None:
    queue = NotedQueue()

    async def work() -> None:
        stores = [FirestoreStore(f"demo-{name}", emulator_host=firestore_emulator) for name in [uuid4().hex[:8]] * 2]
        runs = [
            Reminders(
                store=store,
                journal=Journal(store),
                queue=queue,
                org="default",
                zone=ZONE,
                gateway="https://calls.example.com",
                bearer=lambda _begins, _ends: "token",
            )
            for store in stores
        ]
        try:
            rules = Put(ledger.rules_path("default"), {**ALL_DAY, "lines": 1})
            phones = {"john": "+12125550123", "maria": "+12125550124"}
            people = [appointment(who, NOW, customer_id=None, phone=phone) for who, phone in phones.items()]
            await stores[0].commit([rules, *people])
            assert planned(await asyncio.gather(*(run.run(NOW) for run in runs))) == ["A-john", "A-maria"]
            assert len(queue.tasks) == 2
            await ledger.switch(stores[0], "default", stopped=True)
            stopped = await runs[1].run(NOW + timedelta(seconds=30))
            assert (planned([stopped]), len(stopped.withdrawn), len(queue.tasks)) == ([], 2, 0)
            await ledger.switch(stores[1], "default", stopped=False)
            resumed = await runs[0].run(NOW + timedelta(minutes=5))
            assert [call.n for call in resumed.decision.calls] == [2]
        finally:
            for store in stores:
                await store.aclose()

    asyncio.run(work())
