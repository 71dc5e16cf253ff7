"""Twilio's webhooks: a call comes in or is answered, what follows a stream, and how a call is getting on.

Signatures are checked before anything else. A caller never hears an error: when we cannot serve the call, TwiML says
so politely and puts the caller through to a human if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from media_gateway.auth.tokens import Tokens
from media_gateway.http_errors import ApiError
from media_gateway.telephony import media_stream, twiml
from media_gateway.telephony.busy import BusyLine
from media_gateway.telephony.forms import MAX_FORM, verified, xml
from media_gateway.telephony.handoff_routes import Handoffs
from media_gateway.telephony.sessions import Sessions
from media_gateway.telephony.signature import Signatures
from realtime.bus.port import Bus, BusMessage, PublishFailed
from realtime.call import Call, Status
from realtime.clock import Clock, iso, utcnow
from realtime.events import Draft, EventType
from realtime.join import join
from realtime.journal import Journal, Plan, UnknownCall
from realtime.stores.port import StoreUnavailable

MAX_RESUMES = 5
"""New streams a call gets after streams that ended for reasons not ours."""
SORRY = "I am sorry, we cannot take your call right now. Please call again in a few minutes. Goodbye."
BUSY = "I am sorry, all lines are busy right now. Please call again in a few minutes. Goodbye."
_FLOW = re.compile(r"[a-z0-9_-]{1,64}")
_INTENT = re.compile(r"[0-9a-f]{40}")
_E164 = re.compile(r"\+[0-9]{5,15}")
_log = structlog.get_logger()
Direction = Literal["inbound", "outbound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """The five endpoints under `/api/v1/voice`."""

    signatures: Signatures
    tokens: Tokens
    journal: Journal
    bus: Bus
    sessions: Sessions
    socket_base_url: str
    handoffs: Handoffs
    busy: BusyLine
    handoff_number: str | None = None
    """Rung without further ado when the call cannot be served at all."""
    noticed: Callable[[Call], None] = lambda call: None
    """Told of every head that was written here, so that dashboards need not wait for the feed."""
    appeared: Callable[[str, str], Awaitable[Call | None]] | None = None
    """Told of the intent and the CallSid of a call that we placed, whoever hears of it first."""
    clock: Clock = utcnow

    def routes(self) -> list[Route]:
        """For the application."""
        base = "/api/v1/voice"
        return [
            Route(f"{base}/incoming", self.incoming, methods=["POST"], max_body_size=MAX_FORM),
            Route(f"{base}/outbound", self.outbound, methods=["POST"], max_body_size=MAX_FORM),
            Route(f"{base}/resume", self.resume, methods=["POST"], max_body_size=MAX_FORM),
            Route(f"{base}/status", self.status, methods=["POST"], max_body_size=MAX_FORM),
            Route(f"{base}/amd", self.amd, methods=["POST"], max_body_size=MAX_FORM),
        ]

    async def incoming(self, request: Request) -> Response:
        """Somebody calls our number."""
        return await self._answer(request, "inbound")

    async def outbound(self, request: Request) -> Response:
        """A call that we placed was answered."""
        return await self._answer(request, "outbound")

    async def resume(self, request: Request) -> Response:
        """What follows a stream: what its session had decided, else a new stream."""
        form = await verified(request, self.signatures)
        call_id = form["CallSid"]
        try:
            before = await self.journal.find(call_id)
            if before is None:
                _log.warning("resume_unknown_call", call_id=call_id)
                return xml(twiml.goodbye(SORRY))
            if before.next == "handoff":
                return await self.handoffs.begin(before)
            if before.next == "hangup" or before.status.terminal:
                return xml(twiml.hangup())
            appended = await self.journal.update(before.call_id, _resumed)
        except (StoreUnavailable, UnknownCall):
            _log.exception("resume_failed", call_id=call_id)
            return xml(twiml.handoff(self.handoff_number))
        self.noticed(appended.call)
        resumes = _resumes(appended.call)
        _log.info("call_resumed", call_id=before.call_id, resumes=resumes)
        if resumes > MAX_RESUMES:
            return xml(twiml.handoff(self.handoff_number))
        return self._stream(appended.call, resumed=True)

    async def status(self, request: Request) -> Response:
        """How a call is getting on (status callback)."""
        return await self._publish(request, "status")

    async def amd(self, request: Request) -> Response:
        """Who answered: a human or a machine."""
        return await self._publish(request, "amd")

    async def _answer(self, request: Request, direction: Direction) -> Response:
        form = await verified(request, self.signatures)
        if self.sessions.full:
            _log.warning("call_refused", call_id=form["CallSid"], reason="max_calls")
            return self.busy.answer() if direction == "inbound" else xml(twiml.goodbye(BUSY))
        flow = request.query_params.get("flow")
        if flow is not None and not _FLOW.fullmatch(flow):
            raise ApiError(422, "flow must be a flow's name", fix="Name a flow that exists, such as ?flow=booking.")
        ringing = Draft(
            EventType.CALL_STATUS,
            {"status": Status.RINGING.value, "call_end_time": None, "reason": None},
            f"status:{Status.RINGING.value}",
            iso(self.clock()),
        )
        try:
            await self._intended(request, form)
            call = await self.journal.open(_new_call(form, direction, flow, test=_is_test(request)), (ringing,))
        except StoreUnavailable:
            _log.exception("call_not_opened", call_id=form["CallSid"])
            return xml(twiml.handoff(self.handoff_number) if self.handoff_number else twiml.goodbye(SORRY))
        if call.status.terminal:
            return xml(twiml.hangup())
        self.noticed(call)
        # Asked again about a call that has had its stream (its first answer got lost, or Twilio retries): it goes on.
        answer = self._stream(call, resumed=call.owner_term > 0)
        answer.background = BackgroundTask(self._join, call)
        return answer

    async def _intended(self, request: Request, form: Mapping[str, str]) -> None:
        """A call that we placed carries its intent wherever Twilio speaks of it. Raises StoreUnavailable."""
        intent = request.query_params.get("intent")
        if self.appeared is not None and intent and _INTENT.fullmatch(intent):
            await self.appeared(intent, form["CallSid"])

    async def _join(self, call: Call) -> None:
        """News that came before its call; Twilio need not wait for it."""
        try:
            await join(self.journal, self.bus, call)
        except (PublishFailed, StoreUnavailable):
            _log.exception("parked_news_waits", call_id=call.call_id)

    def _stream(self, call: Call, *, resumed: bool) -> Response:
        token = self.tokens.stream(call_id=call.call_id, org=call.org, resumed=resumed)
        return xml(twiml.stream(self.socket_base_url + media_stream.PATH, token))

    async def _publish(self, request: Request, kind: Literal["status", "amd"]) -> Response:
        form = await verified(request, self.signatures)
        message = _news(form, kind, iso(self.clock()))
        try:
            await self._intended(request, form)
        except StoreUnavailable:
            _log.exception("intent_waits", call_id=form["CallSid"])  # the news waits for its call, as all news does
        try:
            await self.bus.publish(message)
        except PublishFailed as error:
            _log.exception("publish_failed", call_id=form["CallSid"], type=kind)
            raise ApiError(503, "The news could not be passed on; send it again.") from error
        return Response(status_code=204)


def _is_test(request: Request) -> bool:
    """`?test=1` in the signed URL: a call of the smoke test, which says so in its record."""
    return request.query_params.get("test") == "1"


def _new_call(form: Mapping[str, str], direction: Direction, flow: str | None, *, test: bool = False) -> Call:
    """The caller's number is a hint: withheld numbers come as words, which are no number."""
    other = form.get("From" if direction == "inbound" else "To", "")
    return Call(
        call_id=form["CallSid"],
        call_sid=form["CallSid"],
        direction=direction,
        caller_phone=other if _E164.fullmatch(other) else None,
        from_number=form.get("From") or None,
        to_number=form.get("To") or None,
        flow=flow,
        status=Status.RINGING,
        metadata={"test": True} if test else {},
    )


def _resumes(call: Call) -> int:
    return int(call.metadata.get("resumes", 0))


def _resumed(call: Call) -> Plan | None:
    """The call goes on in a new stream. A move is ours and costs nothing; any other break is counted."""
    if call.status.terminal or call.next in ("hangup", "handoff"):
        return None
    change: dict[str, Any] = {"next": None}
    if call.next != "move":
        change["metadata"] = {**call.metadata, "resumes": _resumes(call) + 1}
    return Plan(drafts=(), change=change, writes=())


def _news(form: Mapping[str, str], kind: Literal["status", "amd"], now: str) -> BusMessage:
    """`data` is Twilio's form as it came; the applier knows its names. `SequenceNumber` tells one status from another
    (they may arrive in any order); without it, the status itself does."""
    sid = form["CallSid"]
    which = form.get("SequenceNumber") or form.get("CallStatus") or form.get("AnsweredBy") or "0"
    return BusMessage(
        id=f"twilio:{kind}:{sid}:{which}",
        source="twilio",
        type=kind,
        keys={"call_sid": sid},
        occurred_at=_occurred_at(form) or now,
        data=dict(form),
    )


def _occurred_at(form: Mapping[str, str]) -> str | None:
    """Twilio's `Timestamp` is RFC 2822; None if it is absent or unreadable."""
    try:
        moment = parsedate_to_datetime(form.get("Timestamp", ""))
        return iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError):  # the parser of the library lets any of them out
        return None
