"""The TwiML of a handoff. Pure."""

from __future__ import annotations

from twilio.twiml.voice_response import VoiceResponse

from media_gateway.telephony.brief import KEYS
from media_gateway.telephony.handoff import Person

RING_S = 20
"""How long the person's phone rings."""
KEY_S = 8
"""How long they may take to press a key."""


def ring(person: Person, base: str, query: str) -> str:
    """Ring the person. The caller hears it ring until the two are joined (`answerOnBridge`, and Twilio keeps it up
    while the person's `url` is spoken). `action` takes the caller back whatever happened. `base` is absolute, as
    status callbacks must be."""
    response = VoiceResponse()
    dial = response.dial(action=f"{base}/done?{query}", timeout=RING_S, answer_on_bridge=True)
    if person.mode == "cold":
        dial.number(person.number)
        return str(response)
    dial.number(
        person.number,
        url=f"{base}/brief?{query}",
        machine_detection="Enable",
        amd_status_callback=f"{base}/amd?{query}",
    )
    return str(response)


def brief(words: str, action: str) -> str:
    """To the person alone: what it is about ("" when they have heard it), and the question. No key in time asks
    `action` as well, with no Digits."""
    response = VoiceResponse()
    gather = response.gather(input="dtmf", num_digits=1, timeout=KEY_S, action=action)
    gather.say(f"{words} {KEYS}".strip())
    response.redirect(action)
    return str(response)


def join() -> str:
    """The person's TwiML ends, and with its end Twilio joins the two."""
    response = VoiceResponse()
    response.say("Connecting.")
    return str(response)


def dismiss() -> str:
    """The person is not needed, or does not want to be. The caller's leg goes on in `done`."""
    response = VoiceResponse()
    response.say("Thank you. Goodbye.")
    response.hangup()
    return str(response)
