"""Calls that an ElevenLabs agent makes for us: placed, and their conversations fetched.

A call is in the journal before anybody is asked to place it, under our own id, which goes along and comes back with
everything the vendor tells. So whatever breaks off, and wherever, the call is found again, and none is placed twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import MAX_JSON, Guard, read_json
from media_gateway.http_errors import ApiError
from media_gateway.settings import Settings
from media_gateway.telephony import idempotency
from media_gateway.telephony.driver_call import Order, OrderBody, call_id_of, find_text
from media_gateway.telephony.hosted_agents import HostedAgents, Placed, Refused, Unsettled
from realtime.bus.port import Bus, BusMessage, PublishFailed
from realtime.call import Call, Status
from realtime.clock import Clock, iso, parse_iso, utcnow
from realtime.events import Draft, EventType
from realtime.join import join
from realtime.journal import Journal
from realtime.paths import is_id
from realtime.record import own_record
from realtime.records import do_not_call
from realtime.stores.port import Conflict, DocumentStore, StoreUnavailable

PATH = "/driver_data/call-elevenlabs"
FETCH_PATH = "/driver_data/conversations/{conversation_id}/fetch"
LOOKS = 4
"""Times a call is looked for whose placing broke off; the vendor lists a conversation a moment after it began."""
LOOK_PAUSE_S = 0.8
LOOK_S = 15.0
"""At most, for all of that."""
AGAIN_S = 5.0
"""How long a repeated request waits for the first one."""
EARLIER = timedelta(minutes=2)
"""How much the vendor's clock may be behind ours."""
PLACING = timedelta(seconds=60)
"""After that, nobody is placing a call any more that was opened then."""
SAME_MOMENT = 20
DONE = ("done", "failed")
SHOWN = {"transcripts": "webhook", "monitor": "with the webhook"}
"""Where this call's transcript comes from. The live monitor socket is not used; nothing here pretends that it is."""
_EMPTY = {
    "code": "empty_transcript",
    "message": "ElevenLabs is done with this call and gives no transcript.",
    "fix": "If somebody spoke: in the agent's privacy settings, zero_retention_mode and delete_transcript_and_pii must "
    "be off and retention_days must not be 0; in the workspace's webhook settings, exclude_transcript must be off.",
}
_UNSETTLED_FIX = (
    "Do not place it again: the phone may be ringing. POST /driver_data/conversations/{call_id}/fetch looks again; if "
    "the call was made, its webhook completes it."
)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedCalls:
    """`agents` is None when `missing` names the variables that are not set."""

    journal: Journal
    store: DocumentStore
    bus: Bus
    guard: Guard
    agents: HostedAgents | None = None
    missing: tuple[str, ...] = ()
    agent_id: str | None = None
    retention: timedelta = timedelta(days=30)
    noticed: Callable[[Call], None] = lambda call: None
    """Told of every head that was written here, so that dashboards need not wait for the feed."""
    clock: Clock = utcnow
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def routes(self) -> list[Route]:
        """For the application."""
        guard = self.guard
        return [
            Route(PATH, guard(self.place, "operator"), methods=["POST"], max_body_size=MAX_JSON),
            Route(FETCH_PATH, guard(self.fetch, "operator"), methods=["POST"], max_body_size=MAX_JSON),
        ]

    # -- placing -------------------------------------------------------------------------------------------------

    async def place(self, request: Request, principal: Principal) -> Response:
        """Call a driver through the agent: `{call_sid, conversation_id, status}`."""
        order = Order.of(await read_json(request, OrderBody))
        agents = self._configured()
        if await do_not_call.listed(self.store, principal.org, order.phone):
            fix = "Take the number off the list if they agreed to be called."
            raise ApiError(403, "phoneNumber is on the do-not-call list.", code="do_not_call", fix=fix)
        key = request.headers.get(idempotency.HEADER)
        call, fresh = await self._opened(order, principal, key)
        if not fresh:
            return _answer(await self._again(call, agents))
        return _answer(await self._ring(order, call, agents))

    def _configured(self) -> HostedAgents:
        if self.agents is None:
            names = ", ".join(self.missing)
            fix = f"Set {names} and start the gateway again."
            raise ApiError(503, f"Calls through ElevenLabs need {names}.", code="not_configured", fix=fix)
        return self.agents

    async def _opened(self, order: Order, principal: Principal, key: str | None) -> tuple[Call, bool]:
        """The call in the journal, and whether it is ours to place: only one request ever opens it."""
        for _ in range(SAME_MOMENT):
            now = self.clock()
            call_id = call_id_of(order.driver_id, now)
            if key is not None:
                call_id = await idempotency.call_id_for(
                    self.store,
                    principal.org,
                    door=PATH,
                    key=key,
                    request=order.digest,
                    call_id=call_id,
                    expire_at=iso(now + self.retention),
                )
            wanted = self._new_call(order, principal, call_id)
            call = await self.journal.open(wanted, (_status(Status.INITIATED, iso(now)),))
            if call.epoch == wanted.epoch:
                self.noticed(call)
                return call, True
            if key is not None:
                return call, False
            await self.sleep(0.001)  # somebody else calls this driver in this very millisecond
        raise ApiError(429, f"driverId {order.driver_id} is called too often at once.")

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
                **SHOWN,
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
            await self._failed(call, refusal)
            raise refusal.answer() from refusal
        except Unsettled as doubt:
            found = await self._looked_up(call, agents)
            if found is None and doubt.answered:
                broken = _broken(str(doubt))
                await self._failed(call, broken)
                raise broken.answer() from doubt
            if found is None:
                raise self._unknown(call, str(doubt)) from doubt
            return await self._attach(call, found)
        if placed.conversation_id is None:
            found = await self._looked_up(call, agents)
            if found is None and placed.call_sid is None:
                raise self._unknown(call, "ElevenLabs said yes and named no ids")
            placed = found or placed
        return await self._attach(call, placed)

    async def _looked_up(self, call: Call, agents: HostedAgents) -> Placed | None:
        """The conversation that carries this call's id, if there is one."""
        since = parse_iso(call.started_at) - EARLIER
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                for n in range(LOOKS):
                    await self.sleep(LOOK_PAUSE_S * n)
                    try:
                        found = await agents.find(call.call_id, since=since)
                    except (Refused, Unsettled) as problem:
                        _log.warning("hosted_call_not_looked_up", call_id=call.call_id, why=str(problem))
                    else:
                        if found is not None:
                            return found
        return None

    async def _attach(self, call: Call, placed: Placed) -> Call:
        """The vendor's ids become names of the call; news that came before them is joined."""
        change = {"conversation_id": placed.conversation_id, "call_sid": placed.call_sid}
        ids = {name: value for name, value in change.items() if value is not None}
        try:
            call = (await self.journal.append(call.call_id, (), change=ids)).call
        except (StoreUnavailable, Conflict) as error:
            _log.exception("hosted_call_not_recorded", call_id=call.call_id, **ids)
            message = f"The call was placed ({placed.conversation_id or placed.call_sid}) and could not be recorded."
            fix = "Do not place it again; its webhook completes the record."
            raise ApiError(503, message, code="not_recorded", fix=fix) from error
        self.noticed(call)
        _log.info("hosted_call_placed", call_id=call.call_id, **ids)
        try:
            await join(self.journal, self.bus, call)
        except (PublishFailed, StoreUnavailable):
            _log.exception("parked_news_waits", call_id=call.call_id)
        return call

    async def _failed(self, call: Call, refusal: Refused) -> Call:
        """There is no such call: the journal says so, and why."""
        now = iso(self.clock())
        _log.warning("hosted_call_refused", call_id=call.call_id, code=refusal.code)
        why = {"status": refusal.status, "code": refusal.code, "message": refusal.message, "fix": refusal.fix}
        record = own_record(call, (), status=Status.FAILED, ended_at=now)
        appended = await self.journal.complete(
            call.call_id,
            Status.FAILED,
            call_data={**record, "transcript": None, "failure_reason": refusal.code},
            change={"metadata": {**call.metadata, "refused": why}},
            key="placing",
            ts=now,
        )
        self.noticed(appended.call)
        return appended.call

    def _unknown(self, call: Call, why: str) -> ApiError:
        _log.error("hosted_call_unsettled", call_id=call.call_id, why=why)
        message = f"Whether call {call.call_id} was placed is not known: {why}."
        return ApiError(503, message, code="outcome_unknown", fix=_UNSETTLED_FIX.format(call_id=call.call_id))

    async def _again(self, call: Call, agents: HostedAgents) -> Call:
        """The same request once more: the call as it stands, found out first if need be; never placed again."""
        waited = 0.0
        while not _settled(call) and self.clock() - parse_iso(call.started_at) < PLACING and waited < AGAIN_S:
            await self.sleep(0.25)  # the first request may still be at it
            waited += 0.25
            call = await self.journal.find(call.call_id) or call
        if not _settled(call):
            call = await self._settle(call, agents)
        refused = call.metadata.get("refused")
        if refused:
            raise ApiError(refused["status"], refused["message"], code=refused["code"], fix=refused["fix"])
        return call

    async def _settle(self, call: Call, agents: HostedAgents) -> Call:
        """Find out what became of a call whose placing broke off. Raises ApiError while nobody knows."""
        try:
            found = await agents.find(call.call_id, since=parse_iso(call.started_at) - EARLIER)
        except (Refused, Unsettled) as problem:
            raise self._unknown(call, str(problem)) from problem
        if found is not None:
            return await self._attach(call, found)
        if call.call_sid or self.clock() - parse_iso(call.started_at) < PLACING:
            raise self._unknown(call, "ElevenLabs lists no such conversation yet")
        return await self._failed(call, _never())

    # -- fetching ------------------------------------------------------------------------------------------------

    async def fetch(self, request: Request, principal: Principal) -> Response:
        """The conversation from ElevenLabs, published as its webhook would be; only its status until it is done."""
        any_id = request.path_params["conversation_id"]
        call = await self.journal.find(any_id)
        # A conversation that no call of ours names belongs to the whole installation.
        theirs = principal.role == "admin" if call is None else call.hosted and call.org == principal.org
        if not is_id(any_id) or not theirs:
            raise _no_such()
        agents = self._configured()
        if call is not None and call.conversation_id is None and not call.status.terminal:
            call = await self._settle(call, agents)
        conversation_id = any_id if call is None else call.conversation_id
        if conversation_id is None:
            raise _no_such()
        conversation = await self._conversation(conversation_id, agents)
        own_id = call.call_id if call else _named(conversation)
        if call is None and own_id is not None:
            owner = await self.journal.find(own_id)
            if owner is not None and owner.org != principal.org:
                raise _no_such()
        await self._publish(conversation_id, own_id, conversation)
        status = conversation.get("status")
        if status not in DONE:
            return JSONResponse({"conversation_id": conversation_id, "status": status})
        warning = {} if conversation.get("transcript") else {"warning": _EMPTY}
        return JSONResponse({**conversation, **warning})

    async def _conversation(self, conversation_id: str, agents: HostedAgents) -> Mapping[str, Any]:
        try:
            conversation = await agents.conversation(conversation_id)
        except Refused as refusal:
            raise refusal.answer() from refusal
        except Unsettled as doubt:
            raise _broken(str(doubt)).answer() from doubt
        if conversation is None:
            raise ApiError(
                404,
                "ElevenLabs knows no such conversation.",
                fix="Just after a call was placed, wait a moment; else ELEVENLABS_API_KEY is of another workspace.",
            )
        return conversation

    async def _publish(self, conversation_id: str, own_id: str | None, conversation: Mapping[str, Any]) -> None:
        """As the webhook would: the applier maps it, and knows what it has seen already."""
        call_sid = find_text(conversation, "metadata", "phone_call", "call_sid")
        keys = {"conversation_id": conversation_id, "call_sid": call_sid, "call_id": own_id}
        state = conversation.get("status")
        analysed = "analysed" if conversation.get("analysis") else "plain"
        message = BusMessage(
            id=f"elevenlabs:fetched:{conversation_id}:{state}:{analysed}",
            source="elevenlabs",
            type="post_call_transcription",
            keys={name: value for name, value in keys.items() if value is not None and is_id(value)},
            occurred_at=iso(self.clock()),
            data=dict(conversation),
        )
        try:
            await self.bus.publish(message)
        except PublishFailed as error:
            _log.exception("publish_failed", conversation_id=conversation_id)
            raise ApiError(503, "The conversation was fetched and could not be passed on.") from error
        _log.info("conversation_fetched", conversation_id=conversation_id, call_id=own_id, state=state)


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


def _settled(call: Call) -> bool:
    return call.conversation_id is not None or call.call_sid is not None or call.status.terminal


def _status(status: Status, now: str) -> Draft:
    data = {"status": status.value, "call_end_time": None, "reason": None}
    return Draft(EventType.CALL_STATUS, data, f"status:{status.value}", now)


def _named(conversation: Mapping[str, Any]) -> str | None:
    """Our own call id, as the vendor kept it."""
    given = find_text(conversation, "conversation_initiation_client_data", "dynamic_variables", "call_id")
    found = given or find_text(conversation, "user_id")
    return found if found is not None and is_id(found) else None


def _broken(why: str) -> Refused:
    fix = "Repeat in a few seconds; see ElevenLabs' status page if it stays."
    return Refused(503, "elevenlabs_failed", f"ElevenLabs failed: {why}.", fix=fix)


def _never() -> Refused:
    message = "The call was never placed: its placing broke off, and ElevenLabs knows no such conversation."
    return Refused(503, "elevenlabs_never_placed", message, fix="Place it again with a new request.")


def _no_such() -> ApiError:
    return ApiError(404, "There is no such conversation.", fix="Use the conversation_id that placing the call gave.")
