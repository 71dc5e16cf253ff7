"""What the conversation's tests share: the shipped flows, a fixed Friday, and a shop book in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from media_gateway.conversation.chat import Chat
from media_gateway.conversation.flow import SHIPPED, Flow, load_flows

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=ZONE)  # a Friday
JOHN = {"customer_id": "c1", "name": "John Smith"}
TIMES = ("09:00", "09:30", "10:00", "11:00", "13:00", "14:00", "15:00")


@cache
def flows() -> Mapping[str, Flow]:
    return load_flows(SHIPPED)


@dataclass
class Book:
    """Tools that behave as the shop's: closed on Sunday, `fails` calls fail first, `taken` are lost at booking."""

    fails: int = 0
    taken: set[tuple[str, str]] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    booked: list[Mapping[str, Any]] = field(default_factory=list)

    def __call__(self, name: str, arguments: Mapping[str, Any], now: datetime) -> tuple[bool, Mapping[str, Any]]:
        if self.fails:
            self.fails -= 1
            return False, {"reason": "unavailable", "message": "I can not reach the calendar."}
        if name == "get_available_slots":
            day = arguments["date"]
            times = [] if day in self.full else list(TIMES)
            is_open = date.fromisoformat(day).weekday() != 6
            return True, {"date": day, "times": times if is_open else [], "open": is_open}
        slot = (arguments["date"], arguments["time"])
        if slot in self.taken:
            return False, {
                "reason": "slot_taken",
                "message": "That time was just taken.",
                "alternatives": [one for one in TIMES if one != slot[1]],
            }
        self.booked.append(arguments)
        return True, {"appointment_id": "a1", **arguments}


def talk(
    flow: str, *lines: str, book: Book | None = None, customer: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """What the assistant answers: to the start of the call, then to each line."""
    chat = Chat(flows()[flow], book or Book())
    phone = None if flow == "inbound_general" else "+15550100"
    return [chat.open(NOW, phone, customer), *(chat.say(line, NOW) for line in lines)]
