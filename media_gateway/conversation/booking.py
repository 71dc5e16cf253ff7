"""The booking: what is missing is asked, free times are looked up, everything is confirmed, then it is done.

`advance` looks at what is known and takes the next step; it is called after every change, so that slots may come in any
order, several in one breath, and be corrected at any time before the tool has run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

from msgspec.structs import replace

from media_gateway.conversation import speech
from media_gateway.conversation.dates import When
from media_gateway.conversation.flow import Flow
from media_gateway.conversation.model import State
from media_gateway.conversation.turn import Turn, as_times
from media_gateway.conversation.understand import Understood

OFFERED = 3
SEARCHED = 7
CONFIRM = "confirm"
CONFIRM_CANCEL = "confirm_cancel"
CHANGE = "change"
ANYTHING_ELSE = "anything_else"
_UNDECIDED = re.compile(r"\b(?:not sure|(?:don't|do not) (?:know|care|mind)|(?:doesn't|does not) matter|up to you)\b")
_CHOICE = re.compile(r"(?:no |yes |the |i'll take |okay )*(?:first|second|third|last)(?: one| time)?(?: please)?")
_MORE = re.compile(r"\b(later|earlier|(?:other|what|which) times?|what (?:else )?do you have|(?:any|some)thing else)\b")
_NOON, _EVENING = "12:00", "17:00"


def merged(turn: Turn, heard: Understood) -> tuple[Turn, tuple[str, ...]]:
    """The turn with what was heard in its slots, and the names of the slots that changed. A new day keeps the time
    that was wanted; a part of the day ("in the morning") takes the place of a time."""
    fresh: dict[str, str | None] = {}
    when = heard.when
    if _CHOICE.fullmatch(heard.said) and turn.memory.get("offered") and turn.state.asked == "preferred_time":
        when = When()  # "the first" of the times, not of the month
    if not when and turn.state.asked in {"preferred_date", "preferred_time"} and _UNDECIDED.search(heard.said):
        when = When(part_of_day="earliest")
    if heard.service:
        fresh["service_type"] = heard.service
    if when.date:
        fresh["preferred_date"] = when.date.isoformat()
    if when.time:
        fresh["preferred_time"] = when.time.strftime("%H:%M")
    elif when.part_of_day:
        fresh["preferred_time"] = None
    elif (picked := _picked(turn, heard.said)) is not None:
        fresh["preferred_time"] = picked
    changed = tuple(name for name, value in fresh.items() if turn.slots.get(name) != value)
    turn = turn.with_slots(**fresh)
    if when.date:
        turn = turn.remembering(searched=None)
    if when.time or when.part_of_day:
        turn = turn.remembering(part=when.part_of_day)
        if when.part_of_day and "preferred_time" not in changed:
            changed = (*changed, "preferred_time")
    return turn, changed


def cleared(turn: Turn) -> Turn:
    """Nothing is wanted any more."""
    turn = turn.with_slots(service_type=None, preferred_date=None, preferred_time=None)
    return turn.remembering(free=None, offered=None, part=None, searched=None, wish=None, moving=None, wanting=None)


def _picked(turn: Turn, said: str) -> str | None:
    """ "The second one", of the times just offered."""
    offered = as_times(turn.memory.get("offered"))
    if turn.state.asked != "preferred_time" or not offered:
        return None
    for words, index in (("first", 0), ("second", 1), ("third", 2), ("last", -1), ("latest", -1)):
        if f" {words} " in f" {said} " and -len(offered) <= index < len(offered):
            return offered[index]
    easy = any(f" {words} " in f" {said} " for words in ("either", "any", "that one", "doesn't matter", "you choose"))
    return offered[0] if easy else None


def expects(turn: Turn) -> bool:
    """A booking is under way."""
    asked = turn.state.asked in {"service_type", "preferred_date", "preferred_time", CONFIRM, CHANGE}
    return asked or turn.state.state is State.SLOT_COLLECTION


def moves(turn: Turn) -> bool:
    """An appointment that stands is being moved."""
    return bool(turn.memory.get("moving") and turn.memory.get("appointment"))


def deed(turn: Turn) -> tuple[str, dict[str, str]]:
    """The tool that makes it real, and its arguments."""
    when = {"date": turn.slots["preferred_date"], "time": turn.slots["preferred_time"]}
    if moves(turn):
        key = turn.memory["appointment"]["appointment_id"]
        return turn.flow.spec.appointments.move_tool, {"appointment_id": key, **when}
    return turn.flow.spec.booking.booking_tool, {"service_type": turn.slots["service_type"], **when}


def advance(turn: Turn, why: str = "") -> Turn:
    """The next step of the booking."""
    spec = turn.flow.spec
    turn = turn.at(State.SLOT_COLLECTION, why=why, intent=turn.memory.get("wish") or turn.state.intent)
    if "service_type" not in turn.slots:
        return turn.asking("service_type", spec.slots["service_type"].ask)
    if turn.day() is None and turn.memory.get("part") == "earliest":
        turn = turn.with_slots(preferred_date=_next_open(turn.flow, turn.now.date(), turn.now).isoformat())
        turn = turn.remembering(searched=1)
    if turn.day() is None:
        return turn.asking("preferred_date", spec.slots["preferred_date"].ask)
    free = turn.memory.get("free")
    if not isinstance(free, Mapping) or free.get("date") != turn.slots["preferred_date"]:
        return _look_up(turn)
    times = as_times(free.get("times"))
    if not free.get("open", True) or not times:
        return _no_day(turn, closed=not free.get("open", True))
    if turn.memory.get("part") == "earliest" and turn.clock() is None:
        turn = turn.with_slots(preferred_time=times[0])
    if turn.clock() is None:
        return _offer(turn, times)
    if turn.slots["preferred_time"] not in times:
        return _busy(turn, times)
    confirming = turn.at(State.CONFIRMATION).remembering(offered=None, part=None, searched=None)
    return confirming.asking(CONFIRM, spec.appointments.confirm_move if moves(turn) else spec.booking.confirm)


def _look_up(turn: Turn) -> Turn:
    """Ask for the free times of the wanted day, unless that is already under way."""
    day = turn.day()
    if day is not None and turn.flow.is_closed(day):
        return _no_day(turn, closed=True)
    tool, wanted = turn.flow.spec.booking.availability_tool, {"date": turn.slots["preferred_date"]}
    if tool in turn.state.pending and turn.memory.get("looking") == wanted["date"]:
        return turn.saying(turn.flow.spec.booking.working)
    question = speech.fill(turn.flow.spec.slots["preferred_time"].ask, turn.values())
    turn = turn.remembering(free=None, offered=None, looking=wanted["date"], question=question)
    return replace(turn, state=replace(turn.state, asked="preferred_time")).calling(tool, wanted)


def _next_open(flow: Flow, day: date, now: datetime) -> date:
    """The first day from `day` on that the shop is open and has not closed yet."""
    for ahead in range(8):
        later = day + timedelta(days=ahead)
        hours = flow.opens_on(later)
        if hours and (later > now.date() or now.time() < hours[1]):
            return later
    return day


def _no_day(turn: Turn, *, closed: bool) -> Turn:
    """Nothing on that day: another is asked for, or tried when the caller just wants the earliest."""
    searched = int(turn.memory.get("searched") or 0)
    day = turn.day()
    if searched and searched < SEARCHED and day is not None:
        later = _next_open(turn.flow, day + timedelta(days=1), turn.now)
        return _look_up(turn.remembering(searched=searched + 1).with_slots(preferred_date=later.isoformat()))
    turn = turn.remembering(searched=None)
    booking = turn.flow.spec.booking
    asked = turn.asking("preferred_date", booking.closed if closed else booking.full)
    asked = asked.with_slots(preferred_date=None).remembering(free=None, offered=None)
    return asked.remembering(question=speech.fill(turn.flow.spec.slots["preferred_date"].ask, asked.values()))


def _offer(turn: Turn, times: tuple[str, ...]) -> Turn:
    """Free times in the part of the day that was wanted, else spread over the day."""
    part = turn.memory.get("part")
    fitting = [one for one in times if _in_part(one, part)] or list(times)
    return _offering(turn, _spread(fitting), turn.flow.spec.booking.offer)


def other_times(turn: Turn, heard: Understood) -> Turn | None:
    """ "Anything later?": free times after (or before) what was offered or wanted, else the day's times again."""
    found, free = _MORE.search(heard.said), turn.memory.get("free")
    times = as_times(free.get("times")) if isinstance(free, Mapping) and free.get("open", True) else ()
    if not found or not times or turn.state.asked not in {"preferred_time", CONFIRM}:
        return None
    known = as_times(turn.memory.get("offered")) or ((turn.slots["preferred_time"],) if turn.clock() else ())
    fitting = list(times)
    if known and found[1] == "later":
        fitting = [one for one in times if one > known[-1]][:OFFERED]
    elif known and found[1] == "earlier":
        fitting = [one for one in times if one < known[0]][-OFFERED:]
    turn = turn.at(State.SLOT_COLLECTION, why="other times").with_slots(preferred_time=None)
    if not fitting:
        return _offer(turn.remembering(part=None), times)
    return _offering(turn, _spread(fitting), turn.flow.spec.booking.offer)


def _spread(times: Sequence[str]) -> list[str]:
    """A few of the times, over their whole range."""
    step = max(1, (len(times) - 1) // (OFFERED - 1)) if len(times) > OFFERED else 1
    return list(times[::step][:OFFERED])


def _in_part(clock: str, part: object) -> bool:
    if part == "morning":
        return clock < _NOON
    if part == "afternoon":
        return clock >= _NOON
    return clock >= _EVENING if part == "evening" else True


def _busy(turn: Turn, times: tuple[str, ...]) -> Turn:
    """The free times nearest to the wanted one; the first ones where none is wanted any more (a result that came
    late)."""
    wanted = _minutes(turn.slots.get("preferred_time") or "00:00")
    nearest = sorted(sorted(times, key=lambda one: abs(_minutes(one) - wanted))[:OFFERED])
    return _offering(turn, nearest, turn.flow.spec.booking.busy).with_slots(preferred_time=None)


def offered_instead(turn: Turn, times: tuple[str, ...], why: str) -> Turn:
    """The wanted time is gone: the nearest of these are offered in its place."""
    wish = turn.memory.get("wish") or turn.state.intent
    return _busy(turn.at(State.SLOT_COLLECTION, why=why, intent=wish), times)


def _offering(turn: Turn, offered: list[str], line: str) -> Turn:
    said = speech.say_times([time.fromisoformat(one) for one in offered])
    return turn.remembering(offered=list(offered)).asking("preferred_time", line, times=said)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def answered_confirmation(turn: Turn, heard: Understood) -> Turn | None:
    """Yes books, no asks what to change; None when it was neither."""
    if heard.yes is True:
        tool, arguments = deed(turn)
        wish = turn.memory.get("wish") or turn.state.intent
        confirmed = turn.at(State.EXECUTION, why="confirmed", asked=None, intent=wish)
        return confirmed.calling(tool, arguments)
    return ask_change(turn, "not confirmed") if heard.yes is False else None


def ask_change(turn: Turn, why: str) -> Turn:
    """Something is not as the caller wants it, and they have not said what."""
    wish = turn.memory.get("wish") or turn.state.intent
    return turn.at(State.SLOT_COLLECTION, why=why, intent=wish).asking(CHANGE, turn.flow.spec.booking.change)


def answered_change(turn: Turn, heard: Understood) -> Turn | None:
    """ "The day": that slot is asked again."""
    words = set(heard.said.split())
    for slot, names in (
        ("preferred_date", {"day", "date", "days"}),
        ("preferred_time", {"time", "hour", "times"}),
        ("service_type", {"service", "services"}),
    ):
        if words & names:
            turn = turn.with_slots(**{slot: None})
            turn = turn.remembering(part=None) if slot == "preferred_time" else turn
            return advance(turn, f"change {slot}")
    return advance(turn, "keep") if heard.yes is False else None


def described(when: When) -> str:
    """For `why`: which parts of a time were heard."""
    parts = [name for name, value in (("date", when.date), ("time", when.time), ("part", when.part_of_day)) if value]
    return "+".join(parts)
