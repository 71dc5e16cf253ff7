"""Text messages through Twilio (`tools.services.Messenger`), and the one that tells the owner of a message."""

from __future__ import annotations

import asyncio
from datetime import datetime

from media_gateway.telephony.twilio_client import NotReached, OutcomeUnknown, Refused, TwilioRest
from media_gateway.tools.services import EffectFailed, EffectRefused, EffectUnknown, Messenger
from realtime.records.inbox import Message

SEND_S = 5.0
FIND_S = 3.0
_REASONS = {
    21211: "bad_number",
    21408: "country_not_allowed",
    21608: "number_not_verified",
    21610: "unsubscribed",
    21612: "not_reachable_from_here",
    21614: "not_a_mobile",
}
"""Twilio's error codes of messages."""


class TwilioTexts:
    """From one number. A request is made once; after `SEND_S` the answer is unknown, whatever becomes of it."""

    def __init__(self, twilio: TwilioRest, from_number: str, *, send_s: float = SEND_S, find_s: float = FIND_S) -> None:
        self._twilio = twilio
        self._from = from_number
        self._send_s, self._find_s = send_s, find_s

    async def send(self, to: str, body: str) -> str:
        """See `Messenger`."""
        try:
            async with asyncio.timeout(self._send_s):
                return await self._twilio.send_message(to=to, from_=self._from, body=body)
        except Refused as error:
            if error.passing:
                raise EffectFailed from error
            raise EffectRefused(_REASONS.get(error.code, f"twilio_{error.code}")) from error
        except NotReached as error:
            raise EffectFailed from error
        except (OutcomeUnknown, TimeoutError) as error:
            raise EffectUnknown from error

    async def find(self, to: str, body: str, since: datetime) -> str | None:
        """See `Messenger`. Twilio puts "Sent from your Twilio trial account - " before what a trial account sends."""
        try:
            async with asyncio.timeout(self._find_s):
                found = await self._twilio.messages(to=to, from_=self._from)
        except (Refused, NotReached, OutcomeUnknown, TimeoutError) as error:
            raise EffectFailed from error
        # Twilio's times are whole seconds.
        start = since.replace(microsecond=0)
        matching = [one.sid for one in found if one.body.endswith(body) and one.created and one.created >= start]
        return matching[0] if matching else None


class TextAlert:
    """Tells the owner (`tools.alerts.Hook`)."""

    def __init__(self, messenger: Messenger, to: str) -> None:
        self._messenger = messenger
        self._to = to

    async def __call__(self, org: str, message: Message) -> None:
        """Short: the whole of it is in the inbox."""
        who = message.name or "A caller"
        text = message.text if len(message.text) <= 200 else message.text[:197] + "..."
        callback = f" Call back: {message.callback}" if message.callback else ""
        await self._messenger.send(self._to, f"{who} left a message: {text}{callback}")
