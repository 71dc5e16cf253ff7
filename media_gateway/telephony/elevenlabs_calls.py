"""Calls that an ElevenLabs agent makes for us.

A call is in the journal before anybody is asked to place it, under our own id, which goes along and comes back with
everything the vendor tells. So whatever breaks off, and wherever, the call is found again, and none is placed twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import MAX_JSON, Guard, read_json
from media_gateway.http_errors import ApiError
from media_gateway.settings import Settings
from media_gateway.telephony import hosted_fetch, idempotency
from media_gateway.telephony.call_rules import NotCallable, callable_number
from media_gateway.telephony.daily_cap import DailyCap
from media_gateway.telephony.driver_call import Order, OrderBody, call_id_of
from media_gateway.telephony.hosted_agents import HostedAgents, Refused, Unsettled
from media_gateway.telephony.hosted_monitor import BY_WEBHOOK
from media_gateway.telephony.hosted_settling import PLACING, Settling, settled, vendor_failed
from media_gateway.telephony.intents import TooManyToday
from realtime import audit
from realtime.call import Call, Status
from realtime.clock import iso, parse_iso
from realtime.events import Draft, EventType
from realtime.records import do_not_call
from realtime.stores.port import DocumentStore

PATH = "/driver_data/call-elevenlabs"
AGAIN_S = 5.0
"""How long a repeated request waits for the first one."""
SAME_MOMENT = 20
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedCalls:
    """`agents` is None when `missing` names the variables that are not set."""

    settling: Settling
    store: DocumentStore
    guard: Guard
    countries: Collection[str]
    cap: DailyCap
    agents: HostedAgents | None = None
    missing: tuple[str, ...] = ()
    agent_id: str | None = None
    retention: timedelta = timedelta(days=30)
    watch: Callable[[Call], None] = lambda call: None
    """Told of every call that was placed: it may be followed live."""

    def routes(self) -> list[Route]:
        """For the application."""
        guard, fetching = self.guard, hosted_fetch.Fetching(self.settling, self._configured, self.store)
        return [
            Route(PATH, guard(self.place, "operator"), methods=["POST"], max_body_size=MAX_JSON),
            Route(hosted_fetch.PATH, guard(fetching.fetch, "operator"), methods=["POST"], max_body_size=MAX_JSON),
        ]

    async def place(self, request: Request, principal: Principal) -> Response:
        """Call a driver through the agent: `{call_sid, conversation_id, status}`."""
        order = Order.of(await read_json(request, OrderBody))
        agents = self._configured()
        await self._allowed(order, principal.org)
        key = request.headers.get(idempotency.HEADER)
        call, fresh = await self._opened(order, principal, key)
        if not fresh:
            return _answer(await self._again(call, agents))
        call = await self._ring(order, call, agents)
        self.watch(call)
        return _answer(call)

    def _configured(self) -> HostedAgents:
        if self.agents is None:
            names = ", ".join(self.missing)
            fix = f"Set {names} and start the gateway again."
            raise ApiError(503, f"Calls through ElevenLabs need {names}.", code="not_configured", fix=fix)
        return self.agents

    async def _allowed(self, order: Order, org: str) -> None:
        """Raises ApiError (403) for a number that is not to be called."""
        try:
            callable_number(order.phone, self.countries)
        except NotCallable as error:
            message = str(error).replace("to is", "phoneNumber is", 1)
            raise ApiError(403, message, code=error.code, fix=error.fix) from error
        if await do_not_call.listed(self.store, org, order.phone):
            fix = "They have asked not to be called; take the number off the list only if they have asked for that too."
            raise ApiError(403, "phoneNumber is on the do-not-call list.", code="do_not_call", fix=fix)

    async def _opened(self, order: Order, principal: Principal, key: str | None) -> tuple[Call, bool]:
        """The call in the journal, and whether it is ours to place: only one request ever opens it."""
        journal, now = self.settling.journal, self.settling.clock()
        call_id = await self._reserved(order, principal.org, key, now)
        known = None if key is None else await journal.find(call_id)
        if known is not None:
            return known, False
        await self._counted(principal.org, now)
        wanted = self._new_call(order, principal, call_id)
        call = await journal.open(wanted, (_status(Status.INITIATED, iso(now)),))
        fresh = call.epoch == wanted.epoch
        if fresh:
            await audit.record(self.store, principal.org, principal.user, "call.place", call.call_id, now)
            self.settling.noticed(call)
        return call, fresh

    async def _reserved(self, order: Order, org: str, key: str | None, now: datetime) -> str:
        """The id of the call; when this driver is called twice in a millisecond, that of one of the next."""
        expire_at = iso(now + self.retention)
        for n in range(SAME_MOMENT):
            wanted = call_id_of(order.driver_id, now + timedelta(milliseconds=n))
            call_id = await idempotency.reserve(
                self.store, org, door=PATH, key=key, request=order.digest, call_id=wanted, expire_at=expire_at
            )
            if call_id is not None:
                return call_id
        raise ApiError(429, f"driverId {order.driver_id} is called too often at once.")

    async def _counted(self, org: str, now: datetime) -> None:
        try:
            await self.cap.take(org, now)
        except TooManyToday as error:
            fix = "Go on tomorrow, or raise CALLBOARD_MAX_OUTBOUND_PER_DAY if so many calls are meant."
            raise ApiError(429, f"{error}.", code="daily_cap", fix=fix) from error

    def _new_call(self, order: Order, principal: Principal, call_id: str) -> Call:
        """`epoch` tells our own opening from another one of the same id."""
        return Call(
            call_id=call_id,
            org=principal.org,
            direction="outbound",
            hosted=True,
            caller_phone=order.phone,
            to_number=order.phone,
            epoch=secrets.token_hex(8),
            metadata={
                **BY_WEBHOOK,  # until the live monitor has really told something
                "agent_id": self.agent_id,
                "placed_by": principal.user,
                "variables": order.variables,
            },
        )

    async def _ring(self, order: Order, call: Call, agents: HostedAgents) -> Call:
        """Ask the vendor, once. Raises ApiError when there is no call, or nobody knows whether there is."""
        _log.info("call_started", call_id=call.call_id, hosted=True)
        try:
            placed = await agents.place(order, call.call_id)
        except Refused as refusal:
            await self.settling.failed(call, refusal)
            raise refusal.answer() from refusal
        except Unsettled as doubt:
            found = await self.settling.looked_up(call, agents)
            if found is None and doubt.answered:
                broken = vendor_failed(str(doubt))
                await self.settling.failed(call, broken)
                raise broken.answer() from doubt
            if found is None:
                raise self.settling.unknown(call, str(doubt)) from doubt
            return await self.settling.attach(call, found)
        if placed.conversation_id is None:
            found = await self.settling.looked_up(call, agents)
            if found is None and placed.call_sid is None:
                raise self.settling.unknown(call, "ElevenLabs said yes and named no ids")
            placed = found or placed
        return await self.settling.attach(call, placed)

    async def _again(self, call: Call, agents: HostedAgents) -> Call:
        """The same request once more: the call as it stands, found out first if need be; never placed again."""
        waited = 0.0
        while not settled(call) and self.settling.clock() - parse_iso(call.started_at) < PLACING and waited < AGAIN_S:
            await self.settling.sleep(0.25)  # the first request may still be at it
            waited += 0.25
            call = await self.settling.journal.find(call.call_id) or call
        if not settled(call):
            call = await self.settling.settle(call, agents)
        refused = call.metadata.get("refused")
        if refused:
            raise ApiError(refused["status"], refused["message"], code=refused["code"], fix=refused["fix"])
        return call


def agents_of(settings: Settings, closing: AsyncExitStack) -> tuple[HostedAgents | None, tuple[str, ...]]:
    """The agents that the settings name, or the variables that they lack. The SDK is imported only then; what it
    holds open is let go of with `closing`."""
    key, agent, number = settings.elevenlabs_api_key, settings.elevenlabs_agent_id, settings.elevenlabs_phone_number_id
    given = {"ELEVENLABS_API_KEY": key, "ELEVENLABS_AGENT_ID": agent, "ELEVENLABS_PHONE_NUMBER_ID": number}
    if key is None or agent is None or number is None:
        return None, tuple(name for name, value in given.items() if value is None)
    from media_gateway.telephony.elevenlabs_api import ElevenLabsAgents

    agents = ElevenLabsAgents(
        api_key=key.get_secret_value(),
        base_url=settings.elevenlabs_base_url,
        agent_id=agent,
        phone_number_id=number,
    )
    closing.push_async_callback(agents.aclose)
    return agents, ()


def _answer(call: Call) -> Response:
    """What clients know; the call's own id is in the Location."""
    body = {"call_sid": call.call_sid, "conversation_id": call.conversation_id, "status": call.status.value}
    return JSONResponse(body, headers={"Location": f"/api/v1/calls/{call.call_id}"})


def _status(status: Status, now: str) -> Draft:
    data = {"status": status.value, "call_end_time": None, "reason": None}
    return Draft(EventType.CALL_STATUS, data, f"status:{status.value}", now)
