"""Small things that callers ask for: a message for the shop, their vehicle's number, a text message."""

from __future__ import annotations

import re

from media_gateway.conversation import booking
from media_gateway.conversation.model import State, ToolReturned
from media_gateway.conversation.results import message
from media_gateway.conversation.turn import Turn
from media_gateway.conversation.words import plain, with_digits

OFFER, MESSAGE, CALLBACK, VIN = "offer_message", "message", "callback", "vin"
TEXT_LIMIT = 1000
CALLBACK_LIMIT = 100
SHORTEST_NUMBER = 7
_NOBODY = frozenset({"no", "none", "no thank you", "no thanks", "not needed"})
VIN_LENGTH = 17
VIN_ENOUGH = 8
"""So many single letters and digits are a vehicle's number, be it a wrong one."""
VIN_LIMIT = 200
_VIN_LEAD = re.compile(
    r"^(?:.*\b(?:vin|number)\b(?: number)?(?: is|:)?|(?:okay|ok|yes|sure|so|it's|it is|that's|that is|um|uh)\b)\s*",
    re.I,
)
VIN_TRIES = 2


def message_wanted(turn: Turn, name: str) -> Turn:
    """ "Can I leave a message?" """
    turn = turn.at(State.SLOT_COLLECTION, why=name, intent=name)
    return turn.asking(MESSAGE, turn.flow.spec.errands.message_ask)


def message_given(turn: Turn, text: str) -> Turn:
    """The message, word for word; where there is no number to call back, that is asked too."""
    turn = turn.remembering(message=" ".join(text.split())[:TEXT_LIMIT]).at(State.SLOT_COLLECTION, why=MESSAGE)
    if turn.memory.get("phone"):
        return _passed_on(turn, None)
    return turn.asking(CALLBACK, turn.flow.spec.errands.message_callback)


def callback_given(turn: Turn, text: str) -> Turn:
    """A number to call back; what is not one (an e-mail address) goes with the message; "no" is none."""
    digits = re.sub(r"\D", "", with_digits(re.sub(r"\b(?:oh|o)\b", "zero", text.lower())))
    words = " ".join(text.split())[:CALLBACK_LIMIT]
    if len(digits) >= SHORTEST_NUMBER:
        return _passed_on(turn, digits)
    if plain(text) not in _NOBODY:
        turn = turn.remembering(message=f"{turn.memory.get('message') or ''} (reach me at: {words})"[:TEXT_LIMIT])
    return _passed_on(turn, None)


def _passed_on(turn: Turn, callback: str | None) -> Turn:
    arguments = {"text": str(turn.memory.get("message") or "")} | ({"callback": callback} if callback else {})
    turn = turn.at(State.EXECUTION, why="pass on", asked=None)
    return turn.calling(turn.flow.spec.errands.message_tool, arguments)


def message_taken(turn: Turn, event: ToolReturned) -> Turn:
    """It is in the inbox, or the number to call back was none."""
    if not event.ok:
        turn = turn.at(State.SLOT_COLLECTION, why=str(event.data.get("reason")))
        said = message(event.data) or turn.flow.spec.errands.message_callback
        return turn.asking(CALLBACK, "{question}", question=said)
    turn = turn.at(State.CLOSING, why="message taken").remembering(message=None, failures=None)
    return turn.saying(turn.flow.spec.errands.message_taken).asking(
        booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else
    )


def vin_wanted(turn: Turn, name: str, text: str) -> Turn:
    """ "My VIN is ...": looked up if it was said, else asked for."""
    turn = turn.remembering(resume=turn.state.asked, resume_question=turn.memory.get("question"))
    turn = turn.at(State.SLOT_COLLECTION, why=name)
    return vin_given(turn, text) or turn.asking(VIN, turn.flow.spec.errands.vin_ask)


def vin_given(turn: Turn, text: str) -> Turn | None:
    """The characters as they were said (the tool knows how letters are spoken); None when there were none."""
    words = _VIN_LEAD.sub("", text.strip())[:VIN_LIMIT]
    parts = with_digits(words).split()
    if sum(len(part) for part in parts if len(part) == 1 or any(map(str.isdigit, part))) < VIN_ENOUGH:
        return None
    turn = turn.at(State.EXECUTION, why="vin", asked=None)
    return turn.calling(turn.flow.spec.errands.vin_tool, {"vin": words})


def vin_decoded(turn: Turn, event: ToolReturned) -> Turn:
    """The car, or another try; the second time the call goes on without it."""
    lines = turn.flow.spec.errands
    if event.ok:
        vin = str(event.data.get("vin") or "")[:VIN_LENGTH] or None
        turn = turn.with_slots(vin=vin).remembering(vin_tries=None).at(State.EXECUTION, why="vin decoded")
        if event.data.get("decoded") is False:
            return _back(turn.saying(lines.vin_noted))
        parts = (event.data.get(name) for name in ("year", "make", "model"))
        found = " ".join(str(part) for part in parts if isinstance(part, str | int))[:100]
        return _back(turn.saying(lines.vin_found, found=found) if found else turn)
    tries = int(turn.memory.get("vin_tries") or 0) + 1
    turn = turn.saying_text(message(event.data)).remembering(vin_tries=tries)
    if tries >= VIN_TRIES:
        turn = turn.at(State.EXECUTION, why="vin given up").remembering(vin_tries=None)
        return _back(turn.saying(lines.vin_given_up))
    return turn.at(State.SLOT_COLLECTION, why="vin refused").asking(VIN, lines.vin_again)


def _back(turn: Turn) -> Turn:
    """To the question that was open before the errand."""
    asked, question = turn.memory.get("resume"), turn.memory.get("resume_question")
    turn = turn.remembering(resume=None, resume_question=None)
    if asked in {"service_type", "preferred_date", "preferred_time"}:
        return booking.advance(turn)
    if isinstance(asked, str) and isinstance(question, str) and asked != "help":
        state = State.CONFIRMATION if asked == booking.CONFIRM else turn.state.state
        return turn.at(state).asking(asked, "{question}", question=question)
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def text_wanted(turn: Turn, name: str) -> Turn:
    """ "Can you text me that?" """
    appointment = turn.memory.get("appointment")
    if not appointment or not appointment.get("appointment_id"):
        return turn.at(turn.state.state, why=name).saying(turn.flow.spec.errands.text_nothing).saying("{question}")
    turn = turn.at(State.EXECUTION, why=name)
    return turn.calling(turn.flow.spec.errands.text_tool, {"appointment_id": appointment["appointment_id"]})


def text_sent(turn: Turn, event: ToolReturned) -> Turn:
    """Sent, or a word on why not."""
    turn = turn.at(State.CLOSING, why="text sent" if event.ok else "text not sent")
    turn = turn.saying(turn.flow.spec.errands.text_sent) if event.ok else turn.saying_text(message(event.data))
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)
