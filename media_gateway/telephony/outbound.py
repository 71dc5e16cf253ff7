"""Calls that we place: `POST /api/v1/calls`, once each.

What is to be dialled is written down first (`intents.py`), Twilio is asked once, and whatever breaks off in between is
found again: by the callbacks, which carry the intent's name, or in Twilio's list of calls. A call whose outcome is not
known is looked up and never dialled a second time.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import MAX_JSON, Guard, read_json
from media_gateway.http_errors import ApiError
from media_gateway.settings import Settings
from media_gateway.telephony import call_rules
from media_gateway.telephony.call_rules import NotCallable
from media_gateway.telephony.intents import Intent, Intents, TooManyToday, intent_id
from media_gateway.telephony.twilio_client import NotReached, OutcomeUnknown, Refused, TwilioRest
from realtime import audit
from realtime.bus.port import Bus, PublishFailed
from realtime.call import Call, Status
from realtime.clock import Clock, iso, parse_iso, utcnow
from realtime.events import Draft, EventType
from realtime.join import join
from realtime.journal import Journal
from realtime.paths import digest
from realtime.records import do_not_call
from realtime.stores.port import Create, DocumentStore, Write

KEY = "Idempotency-Key"
LONGEST_KEY = 255
LOOKS = 5
LOOK_PAUSE_S = 0.6
DIALLING = timedelta(seconds=40)
"""After that nobody is asking Twilio any more: longer than the client's own deadline."""
EARLIER = timedelta(seconds=60)
"""How much Twilio's clock may be behind ours."""
COMMAND_TTL = timedelta(minutes=5)
_OVER = (20404, 21220)
"""Twilio's codes for a call that it does not have (any more), and for one that is over."""
_UNKNOWN_FIX = (
    f"Send the same request with the same {KEY} again: it is looked up, and never dialled a second time. Twilio's call "
    "log shows the truth."
)
_log = structlog.get_logger()


class CallBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/calls`."""

    to: str
    flow: str
    variables: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """`twilio` is None when `missing` names the variables that are not set."""

    journal: Journal
    store: DocumentStore
    bus: Bus
    guard: Guard
    intents: Intents
    base_url: str
    countries: Collection[str]
    flows: Callable[[], Collection[str]]
    twilio: TwilioRest | None = None
    from_number: str = ""
    missing: tuple[str, ...] = ()
    retention: timedelta = timedelta(days=30)
    noticed: Callable[[Call], None] = lambda call: None
    clock: Clock = utcnow
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    def routes(self) -> list[Route]:
        """For the application."""
        return [
            Route("/api/v1/calls", self.guard(self.place, "operator"), methods=["POST"], max_body_size=MAX_JSON),
        ]

    # --- placing ---

    async def place(self, request: Request, principal: Principal) -> Response:
        """`{to, flow, variables}` -> 202 `{call_id, status}`."""
        self._twilio()
        body = await read_json(request, CallBody)
        key = request.headers.get(KEY) or secrets.token_hex(16)
        if len(key) > LONGEST_KEY or not key.isprintable():
            raise ApiError(422, f"{KEY} must be 1 to {LONGEST_KEY} printable characters.")
        wish, detail = intent_id(principal.org, key), {"flow": body.flow}
        told = audit.entry(principal.org, principal.user, "call.place", wish, self.clock(), detail)
        call = await self.call(body, org=principal.org, actor=principal.user, key=key, told=(told,))
        return JSONResponse({"call_id": call.call_id, "status": call.status.value}, 202)

    async def call(self, body: CallBody, *, org: str, actor: str, key: str, told: Sequence[Write] = ()) -> Call:
        """The call that this key stands for, placed if it is new; then `told` is written, too. Raises ApiError for one
        that may not or could not be placed; 503 and 429 pass: ask again with the same key."""
        twilio = self._twilio()
        wanted = self._intent(org, actor, key, body)
        intent = await self.intents.get(wanted.intent_id)
        fresh = False
        if intent is None:
            await self._permitted(org, body)
            try:
                intent, fresh = await self.intents.begin(wanted, self.clock(), told)
            except TooManyToday as error:
                fix = "Go on tomorrow, or raise CALLBOARD_MAX_OUTBOUND_PER_DAY if so many calls are meant."
                raise ApiError(429, f"{error}.", code="daily_cap", fix=fix) from error
        if intent.request != wanted.request:
            fix = f"Send a new {KEY} with a new call."
            raise ApiError(422, f"This {KEY} belongs to another call.", code="key_reused", fix=fix)
        return await (self._dial(twilio, intent) if fresh else self._once_more(twilio, intent))

    def _twilio(self) -> TwilioRest:
        if self.twilio is None:
            names = ", ".join(self.missing)
            raise ApiError(
                503, "This installation places no calls.", code="not_configured", fix=f"Set {names} and start again."
            )
        return self.twilio

    def _intent(self, org: str, actor: str, key: str, body: CallBody) -> Intent:
        now = self.clock()
        asked = json.dumps([body.to, body.flow, body.variables], sort_keys=True)
        return Intent(
            intent_id=intent_id(org, key),
            org=org,
            to=body.to,
            flow=body.flow,
            variables=body.variables,
            request=digest(asked),
            actor=actor,
            created_at=iso(now),
            dialled_at=iso(now),
            expire_at=iso(now + self.retention),
        )

    async def _permitted(self, org: str, body: CallBody) -> None:
        """Raises ApiError for a call that may not be placed."""
        flows = self.flows()
        if body.flow not in flows:
            raise ApiError(422, "There is no such flow.", code="unknown_flow", fix=f"Use {', '.join(sorted(flows))}.")
        try:
            call_rules.callable_number(body.to, self.countries)
            call_rules.checked_variables(body.variables)
        except NotCallable as error:
            status = 403 if error.code in ("country_not_allowed", "dear_number") else 422
            raise ApiError(status, str(error), code=error.code, fix=error.fix) from error
        if await do_not_call.listed(self.store, org, body.to):
            fix = "They have asked not to be called; take the number off the list only if they have asked for that too."
            raise ApiError(403, "This number is not to be called.", code="do_not_call", fix=fix)

    async def _dial(self, twilio: TwilioRest, intent: Intent) -> Call:
        """Ask Twilio, once."""
        parameters = call_rules.twilio_parameters(
            to=intent.to, from_=self.from_number, base_url=self.base_url, intent_id=intent.intent_id, flow=intent.flow
        )
        _log.info("dialling", intent=intent.intent_id, flow=intent.flow)
        try:
            sid = await twilio.create_call(parameters)
        except Refused as error:
            told = _refusal(error)
        except NotReached:
            told = {"status": 503, "code": "twilio_unreachable", "message": "Twilio could not be reached; nothing was "
                    "dialled.", "fix": "Send the same request again in a moment.", "passing": True}  # fmt: skip
        except OutcomeUnknown as error:
            _log.warning("dialling_unknown", intent=intent.intent_id, problem=str(error))
            await self.intents.settle(intent.intent_id, "unknown")
            return await self._look(twilio, intent)
        else:
            return await self._placed(intent, sid)
        _log.warning("dialling_refused", intent=intent.intent_id, code=told["code"])
        await self.intents.settle(intent.intent_id, "refused", error=told)
        raise _api_error(told)

    async def _once_more(self, twilio: TwilioRest, intent: Intent) -> Call:
        """The key has been seen before: what it stands for, found again."""
        match intent.state:
            case "refused":
                assert intent.error is not None
                if not intent.error["passing"]:
                    raise _api_error(intent.error)
                if await self.intents.again(intent, self.clock()):
                    return await self._dial(twilio, intent)
                return await self._look(twilio, intent)
            case "placed":
                assert intent.call_id is not None
                return await self.journal.find(intent.call_id) or await self._placed(intent, intent.call_id)
            case _:
                return await self._look(twilio, intent)

    async def _look(self, twilio: TwilioRest, intent: Intent) -> Call:
        """Find the call of this intent: a callback may have told us, else Twilio's list does. Raises ApiError when it
        cannot be found now; whoever asks again has us look again."""
        for look in range(LOOKS):
            if look:
                await self.sleep(LOOK_PAUSE_S)
            now = await self.intents.get(intent.intent_id) or intent
            if now.state == "placed" and now.call_id is not None:
                return await self.journal.find(now.call_id) or await self._placed(now, now.call_id)
            if now.state == "refused" and now.error is not None:
                raise _api_error(now.error)
            being_dialled = now.state == "dialling" and self.clock() < parse_iso(now.dialled_at) + DIALLING
            sid = None if being_dialled else await self._listed(twilio, now)
            if sid is not None:
                return await self._placed(now, sid)
        message = "Twilio has not said whether this call was placed."
        raise ApiError(503, message, code="outcome_unknown", fix=_UNKNOWN_FIX, headers={"Retry-After": "5"})

    async def _listed(self, twilio: TwilioRest, intent: Intent) -> str | None:
        """The one call from our number to theirs that began with this intent and belongs to no other."""
        try:
            calls = await twilio.calls(to=intent.to, from_=self.from_number)
        except (Refused, NotReached, OutcomeUnknown) as error:
            _log.warning("look_up_failed", intent=intent.intent_id, problem=type(error).__name__)
            return None
        since = parse_iso(intent.dialled_at) - EARLIER
        found: list[str] = []
        for placed in calls:
            if placed.created is None or placed.created < since:
                continue
            known = await self.journal.find(placed.sid)
            if known is None or known.metadata.get("intent") == intent.intent_id:
                found.append(placed.sid)
        return found[0] if len(found) == 1 else None

    async def _placed(self, intent: Intent, call_sid: str) -> Call:
        """Twilio has the call: open it, and bring it the news that was faster."""
        started = Draft(
            EventType.CALL_STATUS,
            {"status": Status.INITIATED.value, "call_end_time": None, "reason": None},
            f"status:{Status.INITIATED.value}",
            iso(self.clock()),
        )
        call = await self.journal.open(intent.call(call_sid, self.from_number or None), (started,))
        await self.intents.settle(intent.intent_id, "placed", call_id=call_sid)
        self.noticed(call)
        try:
            await join(self.journal, self.bus, call)
        except PublishFailed:
            _log.exception("parked_news_waits", call_id=call.call_id)
        return call

    async def appeared(self, wish: str, call_sid: str) -> Call | None:
        """A callback names the intent and the call: now they belong together, whatever became of our own request. None
        for an intent that is not ours. Raises StoreUnavailable."""
        intent = await self.intents.get(wish)
        if intent is None:
            return None
        if intent.state == "placed":
            return await self.journal.find(intent.call_id or call_sid)
        return await self._placed(intent, call_sid)

    # --- ending ---

    async def hangup(self, request: Request, principal: Principal) -> Response:
        """End a call that rings or runs -> 202 `{command_id}`. Twilio is told, so any instance can do it."""
        twilio = self._twilio()
        call = await self.journal.find(request.path_params["call_id"])
        if call is None or call.org != principal.org:
            raise ApiError(404, "There is no such call.", fix="See GET /api/v1/calls.")
        if call.status.terminal or call.call_sid is None:
            raise ApiError(409, "This call is over.", code="call_over", fix="Nothing is left to do.")
        command_id = secrets.token_hex(8)
        now = self.clock()
        command = {"kind": "hangup", "actor": principal.user, "created_at": iso(now), "expires": iso(now + COMMAND_TTL)}
        expiry = {"expire_at": call.expire_at}
        told = audit.entry(principal.org, principal.user, "call.hangup", call.call_id, now, {"id": command_id})
        await self.store.commit([Create(f"calls/{call.call_id}/commands/{command_id}", command | expiry), told])
        outcome = ""
        try:
            await twilio.update_call(call.call_sid, status="completed")
        except Refused as error:
            # The caller hung up in the same moment: what was wanted is so.
            outcome = "it was over already" if error.code in _OVER else "refused"
        except (NotReached, OutcomeUnknown):
            outcome = "unknown"
        ok = outcome not in ("refused", "unknown")
        data = {"command_id": command_id, "kind": "hangup", "actor": principal.user, "ok": ok, "detail": outcome}
        draft = Draft(EventType.COMMAND, data, f"command:{command_id}", iso(self.clock()))
        self.noticed((await self.journal.append(call.call_id, (draft,))).call)
        if outcome == "refused":
            fix = "See Twilio's log, and the account's SID and token."
            raise ApiError(503, "Twilio has refused to end this call.", code="twilio_refused", fix=fix)
        if outcome == "unknown":
            raise ApiError(503, "Twilio has not ended this call.", code="outcome_unknown", fix="Ask again in a moment.")
        return JSONResponse({"command_id": command_id}, 202)


def twilio_of(settings: Settings, closing: AsyncExitStack) -> tuple[TwilioRest | None, tuple[str, ...]]:
    """The account that the settings name, to be closed with the application; or what is missing for one."""
    needed = {
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": settings.twilio_auth_token.get_secret_value(),
        "TWILIO_PHONE_NUMBER": settings.twilio_phone_number,
    }
    missing = tuple(name for name, value in needed.items() if not value)
    if missing:
        return None, missing
    twilio = TwilioRest(
        needed["TWILIO_ACCOUNT_SID"] or "", needed["TWILIO_AUTH_TOKEN"] or "", settings.twilio_api_base_url
    )
    closing.push_async_callback(twilio.aclose)
    return twilio, ()


_REFUSALS: Mapping[int, tuple[int, str, str]] = {
    21201: (422, "bad_number", "Check the number."),
    21211: (422, "bad_number", "Check the number."),
    21214: (422, "bad_number", "Check the number."),
    21217: (422, "bad_number", "Check the number."),
    21210: (503, "from_not_verified", "TWILIO_PHONE_NUMBER must be a number of this Twilio account."),
    21212: (503, "from_not_verified", "TWILIO_PHONE_NUMBER must be a number of this Twilio account."),
    21215: (403, "country_not_allowed", "Allow the country in Twilio's console: Voice, Geo permissions."),
    21216: (403, "country_not_allowed", "Twilio does not call this number."),
    21219: (403, "number_not_verified", "A trial account calls verified numbers only: verify it, or upgrade."),
    20003: (503, "twilio_credentials", "Check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."),
    20429: (429, "twilio_busy", "Send the same request again in a moment."),
}


def _refusal(error: Refused) -> dict[str, Any]:
    """As it is kept in the intent."""
    by_status = 20003 if error.status == 401 else 20429 if error.status == 429 else 0
    unknown = (422, "twilio_refused", "Look the code up in Twilio's list of errors.")
    status, code, fix = _REFUSALS.get(error.code) or _REFUSALS.get(by_status) or unknown
    message = f"Twilio refused this call (error {error.code or error.status})."
    return {"status": status, "code": code, "message": message, "fix": fix, "passing": error.passing}


def _api_error(told: Mapping[str, Any]) -> ApiError:
    headers = {"Retry-After": "5"} if told["passing"] else None
    return ApiError(told["status"], told["message"], code=told["code"], fix=told["fix"], headers=headers)
