"""What the conversation's tests share: the shipped flows, a fixed Friday, and a shop book in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from media_gateway.conversation.chat import Chat
from media_gateway.conversation.day_words import WEEKDAYS
from media_gateway.conversation.flow import SHIPPED, Flow, load_flows
from media_gateway.conversation.schema import FlowSpec

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=ZONE)  # a Friday
JOHN = {"customer_id": "c1", "name": "John Smith"}
HOURS = dict.fromkeys(WEEKDAYS, "08:00-18:00")
APPOINTMENT = {"appointment_id": "a7", "date": "2026-11-23", "time": "14:00", "service_type": "brake_service"}
TIMES = ("09:00", "09:30", "10:00", "11:00", "13:00", "14:00", "15:00")


@cache
def flows() -> Mapping[str, Flow]:
    return load_flows(SHIPPED)


@dataclass
class Book:
    """Tools that behave as the shop's: closed on Sunday, `fails` calls fail first, `taken` are lost at booking."""

    fails: int = 0
    taken: set[tuple[str, str]] = field(default_factory=set)
    alternatives: tuple[str, ...] = TIMES
    full: set[str] = field(default_factory=set)
    booked: list[Mapping[str, Any]] = field(default_factory=list)
    appointments: list[Mapping[str, Any]] = field(default_factory=lambda: [APPOINTMENT])
    verified: bool = False
    ran: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def __call__(self, name: str, arguments: Mapping[str, Any], now: datetime) -> tuple[bool, Mapping[str, Any]]:
        self.ran.append((name, arguments))
        if self.fails:
            self.fails -= 1
            return False, {"reason": "unavailable", "message": "I can not reach the calendar."}
        if name == "get_available_slots":
            day = arguments["date"]
            times = [] if day in self.full else list(TIMES)
            is_open = date.fromisoformat(day).weekday() != 6
            return True, {"date": day, "times": times if is_open else [], "open": is_open}
        if name not in {"book_appointment", "reschedule_appointment"}:
            return self._other(name, arguments)
        slot = (arguments["date"], arguments["time"])
        if slot in self.taken:
            return False, {
                "reason": "slot_taken",
                "message": "That time was just taken.",
                "alternatives": [one for one in self.alternatives if one != slot[1]],
            }
        self.booked.append(arguments)
        return True, {"appointment_id": "a1", **arguments}

    def _other(self, name: str, arguments: Mapping[str, Any]) -> tuple[bool, Mapping[str, Any]]:
        if name == "verify_caller":
            if set(arguments) == {"reference"}:
                return False, {"reason": "one_more_fact", "message": "Thank you. And your last name, please?"}
            self.verified = arguments.get("last_name") == "smith" or arguments.get("last_four") == "0199"
            no = {"reason": "not_verified", "message": "That does not match. Once more, please?"}
            return self.verified, {"verified": True} if self.verified else no
        if name == "get_upcoming_appointments" and not self.verified:
            return False, {"reason": "verification_needed", "message": "Please tell me your last name."}
        if name == "get_upcoming_appointments":
            return True, {"appointments": self.appointments}
        if name == "decode_vin" and arguments["vin"].endswith("2"):
            return True, {"vin": "1HGCM82633A004352", "decoded": True, "year": "2003", "make": "Honda"}
        if name == "decode_vin":
            return False, {"reason": "invalid_vin", "message": "That VIN does not add up."}
        return True, {"appointment_id": arguments.get("appointment_id")}


def talk(
    flow: str,
    *lines: str,
    book: Book | None = None,
    customer: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    now: datetime = NOW,
    phone: str | None = "+15550100",
) -> list[dict[str, Any]]:
    """What the assistant answers: to the start of the call, then to each line."""
    chat = Chat(flows()[flow], book or Book())
    phone = None if flow == "inbound_general" else phone
    return [chat.open(now, phone, customer, variables), *(chat.say(line, now) for line in lines)]


def changed(flow: str, **sections: object) -> Flow:
    """A shipped flow with other lines in its file."""
    spec = flows()[flow].spec
    return Flow(FlowSpec.model_validate({**spec.model_dump(mode="json"), "hours": HOURS, **sections}))
