"""The routes of hosted calls on a real store, against the simulated vendor; short deadlines, no real waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
from starlette.applications import Starlette

from infra.simulators.elevenlabs_api import AGENT_ID, API_KEY, PHONE_NUMBER_ID, ElevenLabsApi
from media_gateway.auth import Gate, Principal, Tokens
from media_gateway.dashboard.access import Guard
from media_gateway.http_errors import ApiError, on_api_error, on_unavailable
from media_gateway.telephony.daily_cap import DailyCap
from media_gateway.telephony.elevenlabs_api import ElevenLabsAgents
from media_gateway.telephony.elevenlabs_calls import PATH, HostedCalls
from media_gateway.telephony.hosted_agents import HostedAgents
from media_gateway.telephony.hosted_settling import Settling
from realtime.call import Call
from realtime.clock import utcnow
from realtime.events import Event
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import StoreUnavailable
from tests.media_gateway.harness import KEY, NotedBus

OPERATOR = Principal("olga", "default", "operator")
BODY: dict[str, Any] = {
    "driverId": "driver-7",
    "driverName": "Kim Lee",
    "phoneNumber": "+14155550123",
    "violations": [
        {"type": "violation", "description": "Temperature is at 45 degrees but needs to be 38 degrees"},
        {"type": "reminder", "description": "Please send loaded trailer pictures"},
    ],
}


class Later:
    """A clock that can be moved on; waiting moves it too."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.waited = 0.0

    def __call__(self) -> datetime:
        return utcnow() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.waited += seconds
        self.ahead += timedelta(seconds=seconds)


@dataclass
class Desk:
    """A dispatcher's side of it."""

    vendor: ElevenLabsApi
    calls: HostedCalls
    store: EmbeddedStore
    journal: Journal
    bus: NotedBus
    clock: Later
    noticed: list[Call]
    http: httpx2.AsyncClient
    tokens: Tokens

    def bearer(self, principal: Principal = OPERATOR) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens.access(principal)}"}

    async def place(self, *, key: str | None = None, by: Principal = OPERATOR, **changed: Any) -> httpx2.Response:
        headers = self.bearer(by) | ({"Idempotency-Key": key} if key is not None else {})
        return await self.http.post(PATH, json={**BODY, **changed}, headers=headers)

    async def fetch(self, any_id: str, by: Principal = OPERATOR) -> httpx2.Response:
        return await self.http.post(f"/driver_data/conversations/{any_id}/fetch", headers=self.bearer(by))

    async def all_calls(self) -> list[Call]:
        found, _ = await self.journal.calls(org="default")
        return found

    async def only_call(self) -> Call:
        (call,) = await self.all_calls()
        return call

    async def journalled(self) -> list[Event]:
        return await self.journal.events((await self.only_call()).call_id)


@asynccontextmanager
async def desk(
    folder: Path,
    *,
    configured: bool = True,
    agents: HostedAgents | None = None,
    per_day: int = 200,
    place_s: float = 20.0,
) -> AsyncIterator[Desk]:
    """Start one, with the vendor beside it. `place_s` is short only where the vendor is to be too late: a busy machine
    makes a good answer late as well."""
    store, bus, clock, tokens = EmbeddedStore(folder / "t.db"), NotedBus(), Later(), Tokens((("k", KEY),))
    noticed: list[Call] = []
    journal = Journal(store)
    async with ElevenLabsApi().serving() as vendor:
        real = ElevenLabsAgents(
            api_key=API_KEY,
            base_url=vendor.url,
            agent_id=AGENT_ID,
            phone_number_id=PHONE_NUMBER_ID,
            place_s=place_s,
            read_s=20.0,
        )
        calls = HostedCalls(
            settling=Settling(journal=journal, bus=bus, noticed=noticed.append, clock=clock, sleep=clock.sleep),
            store=store,
            countries=("US", "CA"),
            cap=DailyCap(store, ZoneInfo("America/New_York"), per_day),
            guard=Guard(Gate(tokens)),
            agents=(agents or real) if configured else None,
            missing=() if configured else ("ELEVENLABS_AGENT_ID", "ELEVENLABS_PHONE_NUMBER_ID"),
            agent_id=AGENT_ID,
        )
        handlers: dict[Any, Any] = {ApiError: on_api_error, StoreUnavailable: on_unavailable}
        app = Starlette(routes=calls.routes(), exception_handlers=handlers)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://desk") as http:
            try:
                yield Desk(vendor, calls, store, journal, bus, clock, noticed, http, tokens)
            finally:
                await real.aclose()
                await store.aclose()
