"""Who is called when: a pure function of the time, the rules, the appointments and the lines that are taken.

Never outside the window, never twice, never to the list, never after the matter is settled, never more often or closer
together than the rules say, never more at once than there are lines; and nothing while stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from realtime.reminders.model import SETTLED, Decision, Due, Outcome, Placed, Planned, Rules, Why
from realtime.reminders.windows import last_open, next_open

_RATE = timedelta(minutes=1)
_LEAST = timedelta(minutes=1)
_BOOKED = frozenset({"booked", "confirmed"})


def decide(
    now: datetime, rules: Rules, dues: Iterable[Due], *, placed: Sequence[Placed] = (), busy: int = 0
) -> Decision:
    """`placed` are the calls of the last hours and those planned already, `busy` is how many lines others hold now.
    Who was called least comes first, then whose appointment is first."""
    now = _whole(now)
    everyone = sorted(dues, key=lambda due: (len(_counted(due)), due.starts, due.reminder_id))
    known = {*placed, *(Placed(due.phone_key, at) for due in everyone if due.phone_key for at in _counted(due))}
    pace = Pace(rules, [call.at for call in known], held=[now] * busy)
    called: dict[str, list[datetime]] = {}
    for call in known:
        called.setdefault(call.phone_key, []).append(call.at)
    calls: list[Planned] = []
    skipped: dict[str, Why] = {}
    for due in everyone:
        why = reason(rules, due)
        if why is None and due.phone_key:
            spared = called.setdefault(due.phone_key, [])
            slot = _slot(now, rules, due, pace, spared)
            if isinstance(slot, datetime):
                until = last_open(slot, due.zones, rules.opens, rules.closes, rules.grace)
                calls.append(Planned(due.reminder_id, 1 + max((a.n for a in due.attempts), default=0), slot, until))
                spared.append(slot)
                pace.take(slot)
                continue
            why = slot
        if why is not None:
            skipped[due.reminder_id] = why
    return Decision(tuple(calls), skipped)


def reason(rules: Rules, due: Due) -> Why | None:
    """Why nobody is to be called about this, whatever the time; None when somebody is."""
    outcomes = {attempt.outcome for attempt in due.attempts}
    if rules.stopped:
        return Why.STOPPED
    if due.status not in _BOOKED:
        return Why.NOT_BOOKED
    if due.status == "confirmed" or Outcome.CONFIRMED in outcomes:
        return Why.CONFIRMED
    if outcomes & SETTLED:
        return Why.SETTLED
    if due.phone_key is None:
        return Why.NO_NUMBER
    if due.listed:
        return Why.DO_NOT_CALL
    if Outcome.PENDING in outcomes:
        return Why.IN_PROGRESS
    return Why.TOO_MANY_ATTEMPTS if len(_counted(due)) >= rules.most_attempts else None


def _whole(moment: datetime) -> datetime:
    """The next whole second, UTC: the machine counts in instants, not on anybody's clock."""
    return (moment + timedelta(microseconds=999_999)).astimezone(UTC).replace(microsecond=0)


def _counted(due: Due) -> list[datetime]:
    return [attempt.at for attempt in due.attempts if attempt.counts]


def _slot(now: datetime, rules: Rules, due: Due, pace: Pace, called: Sequence[datetime]) -> datetime | Why:
    """The first time that is in the window, spaced from the number's other calls, and has a free line."""
    end = due.starts.astimezone(UTC) - rules.lead
    paced = False
    at = now
    while True:
        found = next_open(at, due.zones, rules.opens, rules.closes, end)
        if found is None:
            return Why.TOO_LATE
        if found > now + rules.ahead:
            return Why.NO_LINE if paced else Why.LATER
        if not _lasts(found, rules, due):
            at = found + _LEAST
            continue
        spaced = _spaced(found, rules.spacing, called)
        at = spaced if spaced != found else pace.free(found)
        if at == found:
            return found
        paced = spaced == found


def _lasts(at: datetime, rules: Rules, due: Due) -> bool:
    """True if the window stays open long enough for a request to be made in it."""
    return last_open(at, due.zones, rules.opens, rules.closes, _LEAST) - at == _LEAST


def _spaced(at: datetime, spacing: timedelta, called: Sequence[datetime]) -> datetime:
    """The first time from `at` on that is not closer than `spacing` to any of `called`."""
    for other in sorted(called):
        if other - spacing < at < other + spacing:
            at = other + spacing
    return at


class Pace:
    """The lines, and how many calls may begin in a minute. `taken` and `held` both hold a line from then on; only
    `taken` count as begun by us. Only `take` changes it."""

    def __init__(self, rules: Rules, taken: Iterable[datetime], *, held: Iterable[datetime] = ()) -> None:
        self._rules = rules
        self._taken = sorted(taken)
        self._held = sorted(held)

    def take(self, at: datetime) -> None:
        """A call begins then."""
        self._taken = sorted([*self._taken, at])

    def free(self, at: datetime) -> datetime:
        """The first time from `at` on at which one more call can begin."""
        ends = [start + self._rules.hold for start in (*self._taken, *self._held)]
        ends += [start + _RATE for start in self._taken]
        for candidate in sorted({at, *(end for end in ends if end > at)}):
            if self._fits(candidate):
                return candidate
        raise AssertionError("after the last call has ended, a line is free")

    def _fits(self, at: datetime) -> bool:
        rules = self._rules
        lines = _within(at, [*self._taken, *self._held], rules.lines, rules.hold)
        return lines and _within(at, self._taken, rules.per_minute, _RATE)


def _within(at: datetime, starts: Iterable[datetime], limit: int, width: timedelta) -> bool:
    """True if with a call at `at`, never more than `limit` of them begin within `width`."""
    near = sorted([at, *(start for start in starts if abs(start - at) < width)])
    return all(later - sooner >= width for sooner, later in zip(near, near[limit:], strict=False))
