"""What Twilio is told to do with a call (TwiML). Pure: text in, XML out."""

from __future__ import annotations

from twilio.twiml.voice_response import VoiceResponse

RESUME_PATH = "/api/v1/voice/resume"
DIAL_TIMEOUT_S = 20


def stream(url: str, token: str) -> str:
    """Connect the call to our media stream. What follows runs only after the stream was closed, whoever closed it."""
    response = VoiceResponse()
    response.connect().stream(url=url).parameter(name="token", value=token)
    response.redirect(RESUME_PATH)
    return str(response)


def hangup() -> str:
    """End the call."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def handoff(number: str | None) -> str:
    """Put the caller through to a human; say so politely if there is none, or none answers."""
    response = VoiceResponse()
    if number is None:
        return goodbye("I am sorry, nobody is available to take your call right now. Please call again later. Goodbye.")
    response.dial(number, timeout=DIAL_TIMEOUT_S)
    response.say("I am sorry, nobody could take your call. Please call again later. Goodbye.")
    response.hangup()
    return str(response)


def goodbye(text: str) -> str:
    """Say something and end the call."""
    response = VoiceResponse()
    response.say(text)
    response.hangup()
    return str(response)
