"""One step in the making: the new state, what is said, what is run, and by which rule. And how the lines of a flow are
filled. `booking.py` and `manager.py` make turns; `manager.py` turns them into a Step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from msgspec.structs import replace

from media_gateway.conversation import speech
from media_gateway.conversation.flow import Flow
from media_gateway.conversation.model import ConversationState, State, ToolCall

T = TypeVar("T")
NAME_LIMIT = 40
_NAMES = ("first_name", "name", "customer_name", "driver_name", "driverName")
PRICES = 3


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is every (state, intent) that the step went through; the last is where it ended."""

    state: ConversationState
    flow: Flow
    now: datetime
    say: str = ""
    tools: tuple[ToolCall, ...] = ()
    after: Literal["listen", "hangup", "handoff"] = "listen"
    interruptible: bool = True
    why: tuple[str, ...] = ()
    path: tuple[tuple[str, str | None], ...] = ()

    @property
    def memory(self) -> Mapping[str, Any]:
        return self.state.memory

    @property
    def slots(self) -> Mapping[str, str]:
        return self.state.slots

    def at(self, state: State, *, why: str = "", **changes: Any) -> Turn:
        """Go to a state; `changes` are fields of ConversationState."""
        moved = replace(self.state, state=state, **changes)
        step = (state.value, moved.intent)
        path = self.path if self.path and self.path[-1] == step else (*self.path, step)
        return replace(self, state=moved, path=path, why=(*self.why, why) if why else self.why)

    def with_slots(self, **slots: str | None) -> Turn:
        """Set slots; None forgets one."""
        kept = {name: value for name, value in {**self.slots, **slots}.items() if value is not None}
        return replace(self, state=replace(self.state, slots=kept))

    def remembering(self, **facts: Any) -> Turn:
        """Set facts of the memory; None forgets one."""
        kept = {name: value for name, value in {**self.memory, **facts}.items() if value is not None}
        return replace(self, state=replace(self.state, memory=kept))

    def saying(self, line: str, **values: str) -> Turn:
        """Add a filled line of the flow to what is said."""
        return self.saying_text(self._filled(line, values))

    def saying_text(self, text: str) -> Turn:
        return replace(self, say=f"{self.say} {text}".strip())

    def asking(self, asked: str, line: str, **values: str) -> Turn:
        """Say a question and remember it, so that it can be put again."""
        question = self._filled(line, values)
        return (
            replace(self, state=replace(self.state, asked=asked)).remembering(question=question).saying_text(question)
        )

    def _filled(self, line: str, values: Mapping[str, str]) -> str:
        return speech.fill(line, {**self.values(), **values} if "{" in line else values)

    def calling(self, name: str, arguments: Mapping[str, Any]) -> Turn:
        """Run a tool; its result is awaited."""
        state = replace(self.state, pending=(*self.state.pending, name))
        running = [*self.running(), {"name": name, "arguments": dict(arguments)}]
        return replace(self, state=state, tools=(*self.tools, ToolCall(name, arguments))).remembering(running=running)

    def running(self) -> list[dict[str, Any]]:
        """The calls whose results are awaited: another instance that takes over runs them again."""
        kept = self.memory.get("running") or ()
        return [call for call in kept if call["name"] in self.state.pending]

    def without(self, name: str) -> Turn:
        """The result of a tool has come."""
        pending, running = list(self.state.pending), self.running()
        if name in pending:
            pending.remove(name)
        first = next((index for index, call in enumerate(running) if call["name"] == name), len(running))
        running = running[:first] + running[first + 1 :]
        return replace(self, state=replace(self.state, pending=tuple(pending))).remembering(running=running or None)

    def values(self) -> dict[str, str]:
        """What the placeholders of lines stand for, as far as it is known now."""
        spec, today = self.flow.spec, self.now.date()
        service = self.flow.service(self.slots.get("service_type", ""))
        day, clock = self.day(), self.clock()
        known = {
            **standing(self.flow),
            "first_name": first_name(self.state.customer),
            "prices": _prices(self.flow, service.key if service else None),
            "question": str(self.memory.get("question") or spec.talk.help),
            **facts(self.state.customer, today),
        }
        items, report = self.memory.get("items") or (), self.memory.get("report") or ()
        if len(report) < len(items):
            known["item"] = items[len(report)]["description"]
        if not service and "service_type" in self.slots:
            known["service"] = service_words(self.flow, self.slots["service_type"])
        if appointment := self.memory.get("appointment"):
            known["appointment"] = appointment_words(self.flow, appointment, today)
        if service:
            known["service"] = article(service.say)
            known["price"] = speech.say_price(service.price) if service.price is not None else ""
        if day:
            known["date"] = speech.say_date(day, today)
        if clock:
            known["time"] = speech.say_time(clock)
        if day and clock:
            known["when"] = speech.say_when(day, clock, today)
        return known

    def day(self) -> date | None:
        return _iso(date.fromisoformat, self.slots.get("preferred_date"))

    def clock(self) -> time | None:
        return _iso(time.fromisoformat, self.slots.get("preferred_time"))


_standing: WeakKeyDictionary[Flow, Mapping[str, str]] = WeakKeyDictionary()


def standing(flow: Flow) -> Mapping[str, str]:
    """What is the same in every call of a flow; put into words once."""
    words = _standing.get(flow)
    if words is None:
        spec = flow.spec
        words = _standing[flow] = {
            "shop": spec.shop.name,
            "address": spec.shop.address,
            "phone": spec.shop.phone or "",
            "services": speech.listed([one.say for one in spec.services], "or"),
            "hours": speech.say_week([flow.opens(day) for day in range(7)]),
        }
    return words


def facts(customer: Mapping[str, Any] | None, today: date) -> dict[str, str]:
    """What a known caller is greeted with; what is not on file is not among them."""
    record = customer or {}
    since, last = (_iso(date.fromisoformat, record.get(name)) for name in ("customer_since", "last_service"))
    vehicle = _words(record.get("vehicle"))
    said = {
        "vehicle": vehicle,
        "customer_since": f"{since:%B} {speech.say_year(since)}" if since else "",
        "last_service": speech.say_date(last, today) if last else _words(record.get("last_service")),
    }
    return {name: words for name, words in said.items() if words}


def _words(value: object) -> str:
    """A value from outside as words that can be said."""
    return " ".join(value.split())[:NAME_LIMIT] if isinstance(value, str) else ""


def as_appointment(value: object) -> dict[str, str] | None:
    """A usable appointment from outside: `appointment_id`, `date`, `time`, `service_type`; None when it is not one."""
    record = value if isinstance(value, Mapping) else {}
    day, clock = _iso(date.fromisoformat, record.get("date")), _iso(time.fromisoformat, record.get("time"))
    key = record.get("appointment_id") or record.get("id")
    if day is None or clock is None or not isinstance(key, str):
        return None
    service = _words(record.get("service_type") or record.get("service"))
    found = {"appointment_id": key, "date": day.isoformat(), "time": clock.strftime("%H:%M"), "service_type": service}
    return {name: text for name, text in found.items() if text}


def service_words(flow: Flow, key: str) -> str:
    """ "an oil change", for a service that the flow knows and for one that it does not."""
    service = flow.service(key)
    words = service.say if service else _words(key.replace("_", " "))
    return article(words) if words else "your appointment"


def appointment_words(flow: Flow, appointment: Mapping[str, Any], today: date) -> str:
    """ "an oil change, tomorrow, Saturday the twenty-first, at two in the afternoon"."""
    day, clock = _iso(date.fromisoformat, appointment.get("date")), _iso(time.fromisoformat, appointment.get("time"))
    service = service_words(flow, str(appointment.get("service_type") or ""))
    return f"{service}, {speech.say_when(day, clock, today)}" if day and clock else service


def _iso(read: Callable[[str], T], value: object) -> T | None:
    """None for what is not a date or time: results of tools come from outside."""
    try:
        return read(value) if isinstance(value, str) else None
    except ValueError:
        return None


def as_times(values: object) -> tuple[str, ...]:
    """The usable "HH:MM" of a tool's list (or of its {"time": ...} records), in order, each once."""
    found: set[str] = set()
    for value in values if isinstance(values, list | tuple) else ():
        moment = _iso(time.fromisoformat, value.get("time") if isinstance(value, Mapping) else value)
        if moment is not None:
            found.add(moment.strftime("%H:%M"))
    return tuple(sorted(found))


def first_name(customer: Mapping[str, Any] | None) -> str:
    """The name to greet with: letters only, since it comes from outside and is said and shown."""
    record = customer or {}
    name = next((record[key] for key in _NAMES if isinstance(record.get(key), str)), "")
    words = str(name).split()
    return "".join(letter for letter in words[0] if letter.isalpha() or letter in "'-")[:NAME_LIMIT] if words else ""


def article(words: str) -> str:
    """ "an oil change"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


_said_prices: WeakKeyDictionary[Flow, dict[str | None, str]] = WeakKeyDictionary()


def _prices(flow: Flow, key: str | None) -> str:
    """Put into words once."""
    said = _said_prices.setdefault(flow, {})
    if key not in said:
        said[key] = prices(flow, key)
    return said[key]


def prices(flow: Flow, key: str | None) -> str:
    """The price of one service, or of the first few: a list of all is too long to listen to."""
    service = flow.service(key) if key else None
    if service is not None and service.price is None:
        return flow.spec.booking.price_unknown
    priced = [one for one in ([service] if service else flow.spec.services) if one.price is not None]
    if not priced:
        return flow.spec.booking.price_unknown
    if len(priced) > PRICES:
        priced = priced[:PRICES]
    said = [f"{article(one.say)} is {speech.say_price(one.price)}" for one in priced if one.price is not None]
    return speech.sentence(speech.listed(said, "and") + ".")
