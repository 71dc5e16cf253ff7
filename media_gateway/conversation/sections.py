"""The sections of a flow file beside the booking: appointments that stand, the second fact, errands, the calls that we
place, after hours, and how to listen for what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from media_gateway.conversation.lines import Key, Line, Part, Word


class Listening(Part):
    """`patience_ms`: silence after words that ends the turn; `dtmf`: keys are an answer."""

    patience_ms: Annotated[int, Field(ge=100, le=10_000)] = 600
    dtmf: bool = True
    keyterms: tuple[Word, ...] = ()


class Profiles(Part):
    """How to listen for kinds of answers: a yes is short, digits are read slowly from a card, a message has pauses."""

    yes_no: Listening = Listening(patience_ms=600)
    digits: Listening = Listening(patience_ms=1500)
    email: Listening = Listening(patience_ms=1800)
    free_talk: Listening = Listening(patience_ms=1200, dtmf=False)


class AfterHours(Part):
    """While the shop is closed: `greeting` is added to the greeting; `calls` go to the assistant or straight to people
    (an answering service); a caller who wants a person gets one (`ring`) or leaves a message (`message`)."""

    greeting: Line | None = None
    calls: Literal["assistant", "people"] = "assistant"
    people: Literal["ring", "message"] = "ring"
    message: Line = "Our people are not here right now. I can take a message. What should I tell them?"


class Appointments(Part):
    """Appointments that stand: telling, moving, cancelling them."""

    none: Line
    which: Line
    upcoming: Line
    confirm_move: Line
    confirm_cancel: Line
    moved: Line
    cancelled: Line
    kept: Line
    upcoming_tool: Key = "get_upcoming_appointments"
    cancel_tool: Key = "cancel_appointment"
    move_tool: Key = "reschedule_appointment"
    confirm_tool: Key = "confirm_appointment"

    @property
    def deeds(self) -> tuple[str, ...]:
        """The tools that change something."""
        return self.cancel_tool, self.move_tool


class SecondFact(Part):
    """A number that calls is no proof of who calls: the last four digits on file, or the last name."""

    ask: Line
    again: Line
    tool: Key = "verify_caller"


class Errands(Part):
    """Messages, vehicle numbers, text messages."""

    message_ask: Line
    message_callback: Line
    message_taken: Line
    vin_ask: Line
    vin_again: Line
    vin_found: Line
    vin_noted: Line
    vin_given_up: Line
    text_sent: Line
    text_nothing: Line
    message_tool: Key = "take_message"
    vin_tool: Key = "decode_vin"
    text_tool: Key = "send_sms_confirmation"

    @property
    def deeds(self) -> tuple[str, ...]:
        """The tools that do something that cannot be taken back."""
        return self.message_tool, self.text_tool


class Callee(Part):
    """Whom we call: nothing is told to anybody else."""

    ask: Line
    wrong_person: Line
    stopped: Line = "All right. I have taken your number off our list, and we will not call it again. Goodbye."
    not_stopped: Line = "I am sorry, I could not note that just now. I will see to it that our team does. Goodbye."
    """When the list could not be written; a message for the team is tried then."""
    stop_tool: Key = "stop_calling"


class Reminder(Part):
    """An appointment that is near."""

    ask: Line
    nothing: Line
    confirmed: Line
    move_or_cancel: Line


class Followup(Part):
    """After a service."""

    ask: Line
    happy: Line
    what_was_wrong: Line
    sorry: Line


class Items(Part):
    """What a dispatcher wants a driver to know: each item is acknowledged, explained or disputed."""

    intro: Line
    violation: Line
    reminder: Line
    again: Line
    why: Line
    noted: Line
    none: Line
    summary: Line
