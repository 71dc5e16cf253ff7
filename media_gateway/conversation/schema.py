"""What a flow file may contain. `flow.py` reads the file; this says what is right and wrong in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from media_gateway.conversation.lines import Key, Line, Lines, Part, Pattern, Word, Zone
from media_gateway.conversation.model import EscalationReason
from media_gateway.conversation.sections import (
    AfterHours,
    Appointments,
    Callee,
    Errands,
    Followup,
    Items,
    Listening,
    Profiles,
    Reminder,
    SecondFact,
)

SLOT_NAMES = ("service_type", "preferred_date", "preferred_time")


def _day(value: object) -> object:
    """ "08:00-18:00" or "closed"."""
    if value == "closed":
        return None
    found = re.fullmatch(r"(\d{2}:\d{2})\s*-\s*(\d{2}:\d{2})", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('write the hours as "08:00-18:00", or closed')
    return {"opens": found[1], "closes": found[2]}


class Shop(Part):
    name: Word
    timezone: Zone
    address: Word
    phone: Word | None = None


class Open(Part):
    opens: time
    closes: time

    @model_validator(mode="after")
    def _ordered(self) -> Open:
        if self.opens >= self.closes:
            raise ValueError("the shop closes before it opens")
        return self


Day = Annotated[Open | None, BeforeValidator(_day)]


class Week(Part):
    """Opening hours; None is closed."""

    monday: Day
    tuesday: Day
    wednesday: Day
    thursday: Day
    friday: Day
    saturday: Day
    sunday: Day

    @model_validator(mode="after")
    def _open_once(self) -> Week:
        if not any(self.days()):
            raise ValueError("the shop is closed all week")
        return self

    def days(self) -> tuple[Open | None, ...]:
        """Monday first."""
        return (self.monday, self.tuesday, self.wednesday, self.thursday, self.friday, self.saturday, self.sunday)


class Service(Part):
    key: Key
    say: Word
    synonyms: tuple[Word, ...] = ()
    minutes: Annotated[int, Field(gt=0, le=24 * 60)]
    price: Annotated[Decimal, Field(ge=0)] | None = None


Action = Literal[
    "book", "move", "cancel", "upcoming", "answer", "escalate", "message", "vin", "text_me",  # what callers want
    "affirm", "deny", "repeat", "abandon", "goodbye", "done", "hello",  # what people say
    "stop_calling",
    "right_person", "wrong_person", "voicemail", "happy", "acknowledge", "dispute", "explain",  # when we call
]  # fmt: skip


class Intent(Part):
    """`examples` match when their telling words are said in a row; `patterns` are regular expressions on lower-case
    words without punctuation."""

    action: Action
    examples: tuple[Word, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    answer: Line | None = None
    reason: EscalationReason | None = None
    say: Line | None = None
    """With `escalate`: what is said first (in an emergency: whom to call)."""

    @model_validator(mode="after")
    def _complete(self) -> Intent:
        if not self.examples and not self.patterns:
            raise ValueError("give examples or patterns, else nobody can ever say it")
        if (self.action == "answer") != (self.answer is not None):
            raise ValueError("`answer` goes with `action: answer`, and only with it")
        if self.say and self.action != "escalate":
            raise ValueError("`say` goes with `action: escalate`, and only with it")
        if (self.action == "escalate") != (self.reason is not None):
            raise ValueError("`reason` goes with `action: escalate`, and only with it")
        return self


class Slot(Part):
    ask: Line
    again: Line
    listening: Listening = Listening()


class Booking(Part):
    """Lines of the booking. `offer` is said with free times, `busy` when the wanted time is taken."""

    offer: Line
    busy: Line
    full: Line
    closed: Line
    confirm: Line
    confirm_again: Line
    change: Line
    working: Line
    booked: Line
    reference: Line | None = None
    price_unknown: Line
    abandoned: Line
    availability_tool: Key = "get_available_slots"
    booking_tool: Key = "book_appointment"


class Escalation(Part):
    """Handing over to a person. `number` is who takes this flow's callers (else HANDOFF_NUMBER does); with `warm` they
    hear what it is about and press 1, with `cold` the caller is put through as soon as they answer. `unavailable` is
    said when the caller is back because nobody took the call, `ended` when the person has hung up."""

    say: Line
    waiting: Line
    unavailable: Line = (
        "I am sorry, nobody can take your call right now. Shall I take a message, so that somebody can call you back?"
    )
    ended: Line = "Is there anything else I can do for you?"
    number: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{4,14}$")] | None = None
    mode: Literal["warm", "cold"] = "warm"


class Talk(Part):
    """What is said around the business: misunderstandings, silence, keys, the end."""

    misunderstood: Lines
    keys: Line
    quiet: Lines
    quiet_goodbye: Line
    anything_else: Line
    help: Line
    tool_failed: Line
    retry: Line


Purpose = Literal["booking", "reminder", "followup", "driver_check"]
ClosedDay = Annotated[str, Field(pattern=r"^(\d{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
"""A day on which the shop is closed whatever the week says: "2026-11-26", or "12-25" for every year."""


class FlowSpec(Part):
    """One flow file."""

    name: Key
    direction: Literal["inbound", "outbound"] = "inbound"
    shop: Shop
    purpose: Purpose = "booking"
    send_everything_to_people: bool = False
    hours: Week
    closed_days: tuple[ClosedDay, ...] = ()
    after_hours: AfterHours = AfterHours()
    greeting: Line
    greeting_known: Line | None = None
    greeting_facts: tuple[Line, ...] = ()
    """Said to a known caller; a line that lacks a fact is left out."""
    disclosure: Line
    record: bool = True
    """False: never keep the sound of these calls, whatever CALLBOARD_RECORD says."""
    callee: Callee | None = None
    voicemail: Line | None = None
    services: Annotated[tuple[Service, ...], Field(min_length=1)]
    intents: Annotated[Mapping[Key, Intent], Field(min_length=1)]
    slots: Mapping[Literal["service_type", "preferred_date", "preferred_time"], Slot]
    listening: Listening = Listening()
    listening_for: Profiles = Profiles()
    booking: Booking
    appointments: Appointments
    second_fact: SecondFact
    errands: Errands
    reminder: Reminder | None = None
    followup: Followup | None = None
    items: Items | None = None
    escalation: Escalation
    talk: Talk
    closing: Line
    instructions: Word | None = None
    tools: tuple[Key, ...] = ()
    """Tools of the shop's own that a model may ask for while the caller's wish is open."""
    approval: tuple[Key, ...] = ()
    """Tools, of whatever kind, that a supervisor has to approve before they run (docs/supervising.md)."""

    @model_validator(mode="after")
    def _whole(self) -> FlowSpec:
        missing = [name for name in SLOT_NAMES if name not in self.slots]
        if missing:
            raise ValueError(f"slots: {', '.join(missing)} missing")
        keys = [service.key for service in self.services]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"services: {', '.join(twice)} listed twice")
        actions = {intent.action for intent in self.intents.values()}
        wanted = {"book", "affirm", "deny", "escalate"} - actions
        if self.direction == "outbound" and not (self.callee and self.voicemail):
            raise ValueError("a flow that calls people needs `callee:` and `voicemail:`")
        section = {"reminder": self.reminder, "followup": self.followup, "driver_check": self.items}
        if self.purpose in section and section[self.purpose] is None:
            raise ValueError(f"purpose {self.purpose} needs its section: reminder:, followup: or items:")
        if wanted:
            raise ValueError(f"intents: none with the action {', '.join(sorted(wanted))}")
        return self
