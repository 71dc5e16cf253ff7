"""The handoff as Twilio meets it: `/api/v1/voice/handoff/...`. Verify, one step of the machine in one commit, TwiML.

`begin` is what `/resume` answers when the conversation hands over. The caller's leg then waits in a `<Dial>` whose
`action` is `done`; the person's leg asks `brief` what it is about and tells `key` what was pressed; `amd` hears whether
a machine answered. Every URL carries the call and the attempt, and is signed with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from media_gateway.auth.tokens import Tokens
from media_gateway.http_errors import ApiError
from media_gateway.telephony import handoff, handoff_twiml, media_stream, twiml
from media_gateway.telephony.brief import spoken_brief
from media_gateway.telephony.directory import Directory
from media_gateway.telephony.forms import MAX_FORM, is_call_id, verified, xml
from media_gateway.telephony.handoff import Answer, Handoff, Note, Outcome, Person
from media_gateway.telephony.signature import Signatures
from realtime.call import Call
from realtime.clock import Clock, iso, utcnow
from realtime.events import Draft, EventType
from realtime.journal import Journal, Plan, UnknownCall
from realtime.stores.port import StoreUnavailable

BASE = "/api/v1/voice/handoff"
SORRY = "I am sorry, nobody could take your call. Please call again later. Goodbye."
_GONE = ("completed", "canceled", "failed", "busy", "no-answer")
"""CallStatus of a caller's leg that is over."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoffs:
    signatures: Signatures
    tokens: Tokens
    journal: Journal
    base_url: str
    socket_base_url: str
    directory: Directory
    noticed: Callable[[Call], None] = lambda call: None
    clock: Clock = utcnow

    def routes(self) -> list[Route]:
        """For the application."""
        endpoints = {"brief": self.brief, "key": self.key, "amd": self.amd, "done": self.done}
        return [
            Route(f"{BASE}/{name}", endpoint, methods=["POST"], max_body_size=MAX_FORM)
            for name, endpoint in endpoints.items()
        ]

    async def begin(self, call: Call) -> Response:
        """The conversation hands this caller over. Raises StoreUnavailable, UnknownCall."""
        call, answer = await self._step(call.call_id, handoff.Wanted(self.directory.chosen(call)))
        return xml(self._caller(call, answer))

    async def brief(self, request: Request) -> Response:
        """The person's phone was answered: what is said to them alone, and a question."""
        form, call_id, attempt = await self._asked(request)
        event = handoff.Answered(attempt, _machine(form))
        return await self._to_person(call_id, event, attempt, ask=1)

    async def key(self, request: Request) -> Response:
        """The person pressed a key, or did not."""
        form, call_id, attempt = await self._asked(request)
        ask = _whole(request.query_params.get("ask"))
        event = handoff.Pressed(attempt, ask, form.get("Digits", ""), _machine(form))
        return await self._to_person(call_id, event, attempt, ask=ask + 1)

    async def amd(self, request: Request) -> Response:
        """Whether a machine answered the person's phone. Lost news costs a second question to a machine."""
        form, call_id, attempt = await self._asked(request)
        await self._step(call_id, handoff.Screened(attempt, _machine(form)))
        return Response(status_code=204)

    async def done(self, request: Request) -> Response:
        """The person's leg is over: what the caller's does now."""
        form, call_id, attempt = await self._asked(request)
        event = handoff.DialOver(
            attempt, form.get("DialCallStatus", ""), _flag(form.get("DialBridged")), form.get("CallStatus") in _GONE
        )
        try:
            call, answer = await self._step(call_id, event)
        except (StoreUnavailable, UnknownCall):
            _log.exception("handoff_failed", call_id=call_id)
            return xml(twiml.goodbye(SORRY))
        return xml(self._caller(call, answer))

    async def _to_person(self, call_id: str, event: handoff.Event, attempt: int, *, ask: int) -> Response:
        """Without the store the caller still gets the person: a key that accepts joins them, and `done` writes it."""
        try:
            call, answer = await self._step(call_id, event)
            said = spoken_brief(call)
        except (StoreUnavailable, UnknownCall):
            _log.exception("handoff_unrecorded", call_id=call_id)
            _, commands = handoff.step(Handoff(attempt=attempt, phase=handoff.Phase.BRIEFING), event)
            answer, said = _answer(commands), ""
        match answer:
            case Answer.BRIEF | Answer.ASK:
                words = said if answer is Answer.BRIEF else ""
                return xml(handoff_twiml.brief(words, f"{BASE}/key?{_query(call_id, attempt, ask=ask)}"))
            case Answer.JOIN:
                return xml(handoff_twiml.join())
        return xml(handoff_twiml.dismiss())

    def _caller(self, call: Call, answer: Answer) -> str:
        match answer:
            case Answer.RING:
                state = Handoff.from_dict(call.metadata.get("handoff"))
                query = _query(call.call_id, state.attempt)
                return handoff_twiml.ring(Person(state.to or "", state.mode), self.base_url + BASE, query)
            case Answer.ASSISTANT:
                token = self.tokens.stream(call_id=call.call_id, org=call.org, resumed=True)
                return twiml.stream(self.socket_base_url + media_stream.PATH, token)
            case Answer.REGRET:
                return twiml.goodbye(SORRY)
        return twiml.hangup()

    async def _step(self, call_id: str, event: handoff.Event) -> tuple[Call, Answer]:
        """One step of the machine: its lines and its state in one commit, and the answer for Twilio."""
        decided: list[tuple[Outcome | None, Answer]] = []

        def decide(call: Call) -> Plan | None:
            if call.status.terminal:
                decided.append((None, Answer.HANG_UP if isinstance(event, handoff.DialOver) else Answer.DISMISS))
                return None
            state, commands = handoff.step(Handoff.from_dict(call.metadata.get("handoff")), event)
            notes = [command.outcome for command in commands if isinstance(command, Note)]
            decided.append((notes[-1] if notes else None, _answer(commands)))
            return self._plan(call, state, notes)

        appended = await self.journal.update(call_id, decide)
        outcome, answer = decided[-1]
        if outcome:
            _log.info("handoff", call_id=call_id, outcome=outcome.value)
        self.noticed(appended.call)
        return appended.call, answer

    def _plan(self, call: Call, state: Handoff, notes: list[Outcome]) -> Plan:
        now = iso(self.clock())
        drafts = [
            Draft(
                EventType.HANDOFF,
                {"outcome": outcome.value, "to": state.to, "attempt": state.attempt, "mode": state.mode},
                f"handoff:{state.attempt}:{outcome.value}",
                now,
            )
            for outcome in notes
        ]
        # Whom a supervisor had named is rung once; what the conversation does later is its own affair.
        kept = {name: value for name, value in call.metadata.items() if name != "transfer"}
        change: dict[str, object] = {"metadata": {**kept, "handoff": state.to_dict()}}
        if state.phase is handoff.Phase.BACK:
            change["next"] = None
        return Plan(drafts, change)

    async def _asked(self, request: Request) -> tuple[Mapping[str, str], str, int]:
        """The form (its CallSid may be the person's leg), and the call and attempt that our own URL names."""
        form = await verified(request, self.signatures)
        call_id = request.query_params.get("call", "")
        if not is_call_id(call_id):
            raise ApiError(422, "call is missing or malformed in the URL.")
        return form, call_id, _whole(request.query_params.get("attempt"))


def _answer(commands: tuple[handoff.Command, ...]) -> Answer:
    return next(command for command in commands if isinstance(command, Answer))


def _query(call_id: str, attempt: int, **more: int) -> str:
    return urlencode({"call": call_id, "attempt": attempt, **more})


def _machine(form: Mapping[str, str]) -> bool:
    """Twilio's AnsweredBy, where there is one: human, unknown, fax, machine_start, machine_end_beep, ..."""
    return form.get("AnsweredBy", "").startswith(("machine", "fax"))


def _whole(text: str | None) -> int:
    """A number of our own URL. Raises ApiError."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 4:
        raise ApiError(422, "a number is missing or malformed in the URL.")
    return int(text)


def _flag(text: str | None) -> bool | None:
    """Twilio's "true" and "false"; None where it does not say."""
    return {"true": True, "false": False}.get((text or "").lower())
