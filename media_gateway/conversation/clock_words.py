"""The time of day in a phrase: "half past 12", "quarter to 2 in the afternoon", "9 30", "at 2", "noon"."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from media_gateway.conversation.words import clock_zero

_HALF = r"(?: (?:in the |this |at )?(am|pm|morning|afternoon|evening|night|noon))?"
_HOUR = r"(\d{1,2})"
_FRACTIONS = {"half": 30, "quarter": 15, "a quarter": 15}
_LEADS = r"\b(?:at|around|about|by|for|to|like|after|before|say|make (?:it|that)|morning|afternoon|evening)"

_PAST = re.compile(
    rf"\b(half|a quarter|quarter|\d{{1,2}})(?: minutes?)? (past|after|to|of|before|till) {_HOUR}\b{_HALF}"
)
_HALF_TEN = re.compile(rf"\bhalf {_HOUR}\b{_HALF}")
_CLOCK = re.compile(rf"\b{_HOUR}:(\d{{2}})\b{_HALF}")
_SPOKEN = re.compile(rf"\b{_HOUR} (0 \d|[0-5]\d)\b(?! (?:days?|weeks?|hours?|minutes?|dollars?|miles?)){_HALF}")
_MARKED = re.compile(
    rf"\b{_HOUR}(?: oclock)?(?: (?:in the |this |at ))? ?(am|pm|morning|afternoon|evening|night|noon)\b"
)
_OCLOCK = re.compile(rf"\b{_HOUR} oclock\b{_HALF}")
_LED = re.compile(
    rf"{_LEADS}(?: (?:about|around|like|say|at))? {_HOUR}\b(?! (?:days?|weeks?|hours?|minutes?|of\b)){_HALF}"
)
_AFTER_DAY = re.compile(rf", {_HOUR}\b(?! (?:days?|weeks?|hours?|minutes?)){_HALF}")
_BEFORE_DAY = re.compile(rf"^(?:[a-z' ]*\s)?{_HOUR} (?:on |in |for )?,")
_NOT_AFTER = r"(?<!\bthe )(?<!that )(?<!this )(?<!1st )(?<!2nd )(?<!last )(?<!other )(?<!any )"
_NOT_BEFORE = r"(?! (?:more|of|thing|question|second|moment|days?|weeks?|hours?|minutes?|dollars?|miles?))"
_BARE = re.compile(rf"{_NOT_AFTER}\b{_HOUR}\b{_NOT_BEFORE}")
_WORDS = (
    (re.compile(r"\b(?:12 )?noon\b|\bmidday\b|\blunch ?time\b"), time(12)),
    (re.compile(r"\bmidnight\b"), time(0)),
)
_IN_HOURS = re.compile(r"\bin (a|an|half an|\d{1,2}) (hours?|minutes?)\b")


class Moment(msgspec.Struct, frozen=True):
    """A time of day; with its date when it was said as a distance from now."""

    time: time
    date: date | None = None


def find_time(said: str, now: datetime, opens: time, closes: time, part: str | None, *, bare: bool) -> Moment | None:
    """The time in `said` (digits, without its date). `bare`: a lone number counts. A phrase that carries no half of
    the day gets the one in which the shop is open."""
    text = clock_zero(said)
    distance = _IN_HOURS.search(text)
    if distance:
        return _from_now(distance, now)
    found = _spoken_clock(text, bare=bare)
    if found is not None:
        hour, minute, half = found
        resolved = _resolve(hour, minute, half or _half_of(part), opens, closes)
        return Moment(resolved) if resolved is not None else None
    for pattern, clock in _WORDS:
        if pattern.search(text):
            return Moment(clock)
    return None


def _from_now(found: re.Match[str], now: datetime) -> Moment:
    """Real elapsed time: added in UTC, so that an hour is an hour across a change of the clocks."""
    amount = {"a": 1.0, "an": 1.0, "half an": 0.5}.get(found[1]) or float(found[1])
    step = timedelta(hours=amount) if found[2].startswith("hour") else timedelta(minutes=amount)
    later = (now.astimezone(UTC) + step).astimezone(now.tzinfo)
    quarter = -(-later.minute // 15) * 15
    later = later.replace(minute=0, second=0, microsecond=0) + timedelta(minutes=quarter)
    return Moment(later.time().replace(tzinfo=None), later.date())


def _spoken_clock(text: str, *, bare: bool) -> tuple[int, int, str | None] | None:
    """(hour, minute, half of the day or None), hour as it was said."""
    if found := _PAST.search(text):
        minutes = _FRACTIONS.get(found[1]) or int(found[1])
        if found[2] in {"past", "after"}:
            return int(found[3]), minutes, found[4]
        return (int(found[3]) - 1) % 24 if int(found[3]) != 1 else 12, 60 - minutes, found[4]
    if found := _HALF_TEN.search(text):
        return int(found[1]), 30, found[2]
    if found := (_CLOCK.search(text) or _SPOKEN.search(text)):
        return int(found[1]), int(found[2].replace(" ", "")), found[3]
    for pattern in (_MARKED, _OCLOCK, _LED, _AFTER_DAY):
        if found := pattern.search(text):
            return int(found[1]), 0, found[2]
    for pattern in (_BEFORE_DAY, *((_BARE,) if bare else ())):
        if found := pattern.search(text):
            return int(found[1]), 0, None
    return None


def _half_of(part: str | None) -> str | None:
    return part if part in {"morning", "afternoon", "evening"} else None


def _resolve(hour: int, minute: int, half: str | None, opens: time, closes: time) -> time | None:
    """24-hour time. Without a half: the one inside the opening hours, else 7..11 is morning and 12..6 afternoon."""
    if hour > 23 or minute > 59:
        return None
    if hour > 12 or hour == 0:
        return time(hour, minute)
    morning, evening = time(hour % 12, minute), time(hour % 12 + 12, minute)
    if half in {"am", "morning"}:
        return morning if hour != 12 else evening if half == "morning" else time(0, minute)
    if half is not None:
        return evening
    fits = [clock for clock in (morning, evening) if opens <= clock < closes]
    if len(fits) == 1:
        return fits[0]
    return morning if 7 <= hour <= 11 else evening
