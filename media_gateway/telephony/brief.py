"""What the person hears before they take a call over: ten seconds, made from the head of the call. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import Any

from num2words import num2words

from media_gateway.conversation.speech import say_time
from media_gateway.conversation.turn import first_name
from realtime.call import Call

WORDS = 20
"""The brief itself. With the words about the keys that is ten seconds at the pace of Twilio's voice."""
KEYS = "Press 1 to take the call, or 2 to refuse."

_WHY: Mapping[str, str] = {
    "manager_request": "They asked for a person.",
    "anger": "They are upset.",
    "repeated_misunderstanding": "The assistant did not understand them.",
    "policy": "They need what only a person may do.",
    "tool_failed": "Our calendar failed.",
    "emergency": "They say it is an emergency.",
    "complaint": "They have a complaint.",
}
_OTHER = "They need a person."


def spoken_brief(call: Call) -> str:
    """Who, why and about what, in this order of weight: what does not fit is left out, a sentence at a time."""
    state = call.conversation_state or {}
    name = first_name(state.get("customer"))
    said = [f"A call from {name}." if name else "A call from a caller we do not know."]
    said.append(_WHY.get(str(state.get("escalation_reason") or ""), _OTHER))
    about = _about(state.get("slots") or {})
    if about:
        said.append(f"About: {about}.")
    kept: list[str] = []
    for sentence in said:
        if len(" ".join([*kept, sentence]).split()) <= WORDS:
            kept.append(sentence)
    return " ".join(kept)


def _about(slots: Mapping[str, Any]) -> str:
    """ "oil change, Saturday the twenty-first, two in the afternoon"."""
    parts = [str(slots.get("service_type") or "").replace("_", " ")]
    for key, say in (("preferred_date", _day), ("preferred_time", _time)):
        try:
            parts.append(say(str(slots[key])))
        except (KeyError, ValueError):
            continue  # not known, or not yet a date or time
    return ", ".join(part for part in parts if part)


def _day(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{day:%A} the {num2words(day.day, to='ordinal')}"


def _time(text: str) -> str:
    return say_time(time.fromisoformat(text))
