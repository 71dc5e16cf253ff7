"""A call too many: the caller hears that all lines are busy, and can leave a number. No session, no engine and no
stream is taken for it, so that the calls that run keep their quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from twilio.twiml.voice_response import VoiceResponse

from media_gateway.telephony import twiml
from media_gateway.telephony.forms import MAX_FORM, verified, xml
from media_gateway.telephony.signature import Signatures
from realtime.call import Call
from realtime.clock import Clock, iso, utcnow
from realtime.journal import Journal
from realtime.paths import digest
from realtime.records import inbox
from realtime.records.customers import NotANumber, e164
from realtime.stores.port import Conflict, DocumentStore, StoreUnavailable

PATH = "/api/v1/voice/busy"
ASKED = (
    "I am sorry, all our lines are busy right now. To be called back at the number you are calling from, press 1. "
    "For another number, please say it, or key it in and press the pound key."
)
NO_NUMBER = "I am sorry, I did not get a number. Please call again later. Goodbye."
THANKS = "Thank you. We will call you back as soon as we can. Goodbye."
SAME = "1"
LONGEST_SAID = 100
TEXT = "Called while all lines were busy, and asks to be called back."
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyLine:
    """`retention` is how long a message is kept."""

    signatures: Signatures
    store: DocumentStore
    journal: Journal
    retention: timedelta
    clock: Clock = utcnow

    def routes(self) -> list[Route]:
        """For the application."""
        return [Route(PATH, self.left, methods=["POST"], max_body_size=MAX_FORM)]

    def answer(self) -> Response:
        """What a caller too many hears."""
        response = VoiceResponse()
        gather = response.gather(input="dtmf speech", action=PATH, method="POST", timeout=6, finish_on_key="#")
        gather.say(ASKED)
        response.say(NO_NUMBER)
        response.hangup()
        return xml(str(response))

    async def left(self, request: Request) -> Response:
        """The number that was keyed in or said; asked twice by Twilio it is the same message."""
        form = await verified(request, self.signatures)
        callback = number_of(form)
        if callback is None:
            return xml(twiml.goodbye(NO_NUMBER))
        message_id = "M" + digest(f"{form['CallSid']}/busy/{callback}")[:16]
        now = self.clock()
        message = inbox.Message(
            message_id=message_id,
            call_id=form["CallSid"],
            text=TEXT,
            callback=callback,
            at=iso(now),
            expire_at=iso(now + self.retention),
        )
        try:
            await self.store.commit(inbox.writes(await self._org(form["CallSid"]), message))
        except Conflict:
            _log.info("busy_number_repeated", call_id=form["CallSid"])
        except StoreUnavailable:
            _log.exception("busy_number_lost", call_id=form["CallSid"])
            return xml(twiml.goodbye(NO_NUMBER))
        return xml(twiml.goodbye(THANKS))

    async def _org(self, call_id: str) -> str:
        """Whose call it is: as its head says, where it has one; else whoever gets calls that nobody has seen before.
        Raises StoreUnavailable."""
        call = await self.journal.find(call_id)
        return (call or Call(call_id=call_id)).org


def number_of(form: Mapping[str, str]) -> str | None:
    """Where to call back: E.164, or as it was said where no number can be read in it; None if nothing was left."""
    digits, said = form.get("Digits", "").strip("#*"), " ".join(form.get("SpeechResult", "").split())
    wanted = form.get("From", "") if SAME in (digits, said) else digits or said
    try:
        return e164(wanted) if wanted else None
    except NotANumber:
        # A number that was keyed in wrong or is withheld calls nobody back; what was said a person may understand.
        return said[:LONGEST_SAID] if said and said != SAME else None
