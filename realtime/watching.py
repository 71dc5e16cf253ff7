"""What the hub keeps of watchers and calls, and how it reads the journal for them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Protocol

from msgspec.structs import replace

from realtime.call import Call, PoisonedHead
from realtime.crowd import ALL, Crowd
from realtime.events import Event, EventType, LiveEvent, LiveType
from realtime.mailbox import SAYS, Mailbox
from realtime.subscription import START, Command, Cursor, Deliver, Head, whole

PAGE = 500
log = logging.getLogger("realtime.hub")


class Log(Protocol):
    """What the hub needs of `realtime.journal.Journal`."""

    async def find(self, any_id: str) -> Call | None: ...

    async def active(self, *, org: str) -> list[Call]: ...

    async def events(self, call_id: str, after: int = 0, limit: int = 500) -> list[Event]: ...

    async def call_data(self, event: Event) -> Mapping[str, Any]: ...


@dataclass(slots=True)
class Watcher:
    """A subscription with what the hub keeps for it."""

    mailbox: Mailbox
    cursor: Cursor | None = START
    """Where it starts in a call; None = not known before the store has been asked."""
    rooms: dict[str, int] = field(default_factory=dict)
    """Calls it is in, with the seq up to which events count as replayed."""
    cursors: dict[str, int] = field(default_factory=dict)
    """For `*`: where it starts in calls that are not new to it."""


@dataclass(slots=True)
class Known:
    """A call that heads have told of. `data` is its newest head as the store has it."""

    head: Head
    data: Mapping[str, Any]
    touched: float
    moments: int = 0
    live_epoch: str = field(default_factory=lambda: token_hex(4))
    now: dict[LiveType, LiveEvent] = field(default_factory=dict)
    """What is being said: for who comes in the middle of it."""


def counted(watchers: Iterable[Watcher]) -> Counter[str]:
    """How many subscriptions there are by the key they were made with."""
    boxes = [watcher.mailbox for watcher in watchers]
    crowds = [box for box in boxes if isinstance(box, Crowd)]
    alone = Counter(box.key for box in boxes if not isinstance(box, Crowd))
    return alone + Counter({ALL: sum(len(crowd.members) for crowd in crowds)})


async def find(journal: Log, key: str) -> Call | None:
    """As the journal finds it. A call that cannot be read is none yet: mended, it comes with the heads."""
    try:
        return await journal.find(key)
    except PoisonedHead:
        return None


async def page(journal: Log, call_id: str, epoch: str, after: int) -> tuple[Event, ...]:
    """The events after `after`, each fit to be delivered: a record that is pointed to is there (null once it has
    expired), and a line that cannot be read has its place."""
    return tuple([await _fit(journal, event, epoch) for event in await journal.events(call_id, after, PAGE)])


async def _fit(journal: Log, event: Event, epoch: str) -> Event:
    if event.type is EventType.INVALID:
        return replace(event, epoch=epoch)
    if whole(event):
        return event
    try:
        return replace(event, data={"call_data": await journal.call_data(event)})
    except LookupError:
        return replace(event, data={"call_data": None})


def log_broadcast(call_id: str, commands: Sequence[Command]) -> None:
    """One line for each event that was passed on as it happened; a replay is nobody's news."""
    told: Counter[tuple[int, EventType]] = Counter()
    for each in commands:
        if isinstance(each, Deliver):
            told.update({(line.seq, line.type): len(each.receivers) for line in each.events})
    for (seq, type_), clients in sorted(told.items()):
        log.info("broadcast", extra={"call_id": call_id, "seq": seq, "event_type": type_.value, "clients": clients})


def said(now: dict[LiveType, LiveEvent], event: Event) -> None:
    """What was being said has been said: nobody needs its moments any more."""
    kind = SAYS.get(event.type)
    moment = now.get(kind) if kind else None
    if moment and kind and moment.data.get("turn", 0) <= event.data.get("turn", 0):
        del now[kind]
