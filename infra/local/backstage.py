"""What a scenario needs beside the telephone: an appointment that stands, a slot that somebody else takes, typed words.

What is typed goes through the REST interface of any `dev` system; the rest is written into the store of a system of our
own, whose file is on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from infra.local.clients import Api
from infra.simulators.fields import ScenarioError
from infra.simulators.placing import Standing
from infra.simulators.scenario import Scenario
from realtime.records import shop
from realtime.records.appointments import Booked, Holder, book
from realtime.records.customers import phone_key
from realtime.stores.embedded import EmbeddedStore

ORG = "default"
DAYS_AHEAD = 7
TAKE_SLOT, TAKEN_AT = "take_slot", "11:00"
"""Every bay of tomorrow at that time is taken by others."""
OWN_SYSTEM = "needs a system of its own: leave --url out"


@dataclass(frozen=True, slots=True)
class Backstage:
    """`database` is the embedded store's file, if the system is ours and has one."""

    scenario: Scenario
    api: Api
    call_id: str
    zone: ZoneInfo
    database: Path | None = None

    async def standing(self) -> dict[str, Any] | None:
        """The appointment that the scenario's caller has before the call, as a call's variables name it."""
        wanted = self.scenario.standing
        if wanted is None:
            return None
        phone = self.scenario.caller
        booked = await self._book(wanted, Holder("CA" + "d" * 32, phone_key=phone_key(phone), phone=phone))
        return {name: getattr(booked, name) for name in ("appointment_id", "date", "time", "service_type")}

    async def aside(self, what: str, detail: str) -> None:
        """Raises ScenarioError for something that nobody knows how to do."""
        if what == "type":
            await self.api.post("/api/v1/demo/say", {"call_id": self.call_id, "text": detail})
            return
        if detail != TAKE_SLOT:
            raise ScenarioError(f"{self.scenario.name}: meanwhile is {TAKE_SLOT}, not {detail!r}")
        await self._fill(TAKEN_AT)

    async def _fill(self, at: str) -> None:
        """Others book every bay of tomorrow at this time."""
        store = self._store()
        try:
            place, now = await shop.load(store, ORG), datetime.now(self.zone)
            day = (now + timedelta(days=1)).date()
            for bay in range(place.bays):
                somebody = Holder(f"CA{bay:032x}")
                made = await book(store, ORG, place, somebody, place.services[0], day, time.fromisoformat(at), now)
                if isinstance(made, Booked):
                    await store.commit(made.writes)
        finally:
            await store.aclose()

    async def _book(self, wanted: Standing, holder: Holder) -> Booked:
        store = self._store()
        try:
            place, now = await shop.load(store, ORG), datetime.now(self.zone)
            service = next(one for one in place.services if one.key == wanted.service_type)
            for days in range(1, DAYS_AHEAD):
                day = (now + timedelta(days=days)).date()
                made = await book(store, ORG, place, holder, service, day, time.fromisoformat(wanted.time), now)
                if isinstance(made, Booked):
                    await store.commit(made.writes)
                    return made
        finally:
            await store.aclose()
        raise ScenarioError(f"{self.scenario.name}: nothing is free at {wanted.time} on any of the next days")

    def _store(self) -> EmbeddedStore:
        if self.database is None:
            raise ScenarioError(f"{self.scenario.name} {OWN_SYSTEM}")
        return EmbeddedStore(self.database)
