"""Small things that callers ask for: a message for the shop, their vehicle's number, a text message."""

from __future__ import annotations

import re

from media_gateway.conversation import booking
from media_gateway.conversation.model import State, ToolReturned
from media_gateway.conversation.results import message
from media_gateway.conversation.turn import Turn
from media_gateway.conversation.words import with_digits

OFFER, MESSAGE, CALLBACK, VIN = "offer_message", "message", "callback", "vin"
TEXT_LIMIT = 1000
VIN_LENGTH = 17
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
    """A number or an address to answer to, as it was said; "no" is none."""
    digits = re.sub(r"\D", "", with_digits(text))
    said = digits if len(digits) >= 7 else " ".join(text.split())[:100]
    return _passed_on(turn, None if said.lower().strip(".") in {"no", "none", "no thank you", "no thanks"} else said)


def _passed_on(turn: Turn, callback: str | None) -> Turn:
    arguments = {"text": str(turn.memory.get("message") or "")} | ({"callback": callback} if callback else {})
    turn = turn.at(State.EXECUTION, why="pass on", asked=None)
    return turn.calling(turn.flow.spec.errands.message_tool, arguments)


def message_taken(turn: Turn, event: ToolReturned) -> Turn:
    """It is in the inbox."""
    turn = turn.at(State.CLOSING, why="message taken").remembering(message=None, failures=None)
    return turn.saying(turn.flow.spec.errands.message_taken).asking(
        booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else
    )


def vin_wanted(turn: Turn, name: str, text: str) -> Turn:
    """ "My VIN is ...": looked up if it was said, else asked for."""
    turn = turn.remembering(resume=turn.state.asked, resume_question=turn.memory.get("question"))
    turn = turn.at(State.SLOT_COLLECTION, why=name)
    said = vin_of(text)
    return _decoding(turn, said) if len(said) >= VIN_LENGTH else turn.asking(VIN, turn.flow.spec.errands.vin_ask)


def vin_given(turn: Turn, text: str) -> Turn | None:
    """The characters, as they were heard; None when there were none."""
    said = vin_of(text)
    return _decoding(turn, said) if len(said) > 5 else None


def _decoding(turn: Turn, vin: str) -> Turn:
    turn = turn.at(State.EXECUTION, why="vin", asked=None)
    return turn.calling(turn.flow.spec.errands.vin_tool, {"vin": vin})


def vin_of(text: str) -> str:
    """The characters of a vehicle's number among the words: single letters, digits, and what mixes both."""
    words = with_digits(re.sub(r"\bo\b", "0", text.lower())).upper().split()
    run = [word for word in words if word not in {"A", "I"} and (len(word) == 1 or any(map(str.isdigit, word)))]
    singles = [word for word in words if len(word) == 1 or any(map(str.isdigit, word))]
    joined, wide = "".join(run), "".join(singles)
    return re.sub(r"[^A-Z0-9]", "", wide if len(wide) == VIN_LENGTH else joined)


def vin_decoded(turn: Turn, event: ToolReturned) -> Turn:
    """The car, or another try; the second time the call goes on without it."""
    lines = turn.flow.spec.errands
    if event.ok:
        found = " ".join(str(event.data[name]) for name in ("year", "make", "model") if event.data.get(name))[:100]
        turn = turn.with_slots(vin=str(event.arguments.get("vin") or "")[:VIN_LENGTH]).remembering(vin_tries=None)
        return _back(turn.at(State.EXECUTION, why="vin decoded").saying(lines.vin_found, found=found))
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
