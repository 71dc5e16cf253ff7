"""The machine of one call's room: who has seen how far of the journal, and what must be read to go on.

Pure: `step(room, input) -> (room, commands)`. Heads tell how far the log goes; they may be merged, repeated or
reordered. Whatever comes in, every receiver gets the events after its cursor once, in order, without a hole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from realtime.call import Status
from realtime.events import Event, EventType

WINDOW = 1000
"""How many events of a call a room keeps for those who join later."""
MISSES = 5
"""How often a page that the head promises may come back without its first event before the log counts as expired."""


class Ended(StrEnum):
    """Why a subscription is over."""

    COMPLETED = "completed"
    CLOSED = "closed"
    SLOW = "slow"
    FAILED = "failed"
    EPOCH_CHANGED = "epoch_changed"
    LOG_EXPIRED = "log_expired"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last event somebody has seen. Without `epoch`, of whatever log there is."""

    seq: int
    epoch: str | None = None


START = Cursor(0)


@dataclass(frozen=True, slots=True)
class Head:
    """What a head document says about the log. `tail` holds what of it can be delivered as it is."""

    call_id: str
    org: str
    epoch: str
    seq: int
    done: bool
    aliases: frozenset[str]
    tail: tuple[Event, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """From a head in plain JSON values. Raises KeyError, TypeError, ValueError on a poison document."""
        names = (data["call_id"], data.get("call_sid"), data.get("conversation_id"))
        return cls(
            call_id=str(data["call_id"]),
            org=str(data["org"]),
            epoch=str(data["epoch"]),
            seq=int(data["seq"]),
            done=Status(data["status"]).terminal,
            aliases=frozenset(str(name) for name in names if name),
            tail=tuple(event for line in data.get("tail") or () if (event := _line(line)) and whole(event)),
        )


def _line(line: Any) -> Event | None:
    """A line of the tail; None if it cannot be read: then the journal is, where a substitute stands for it."""
    try:
        return Event.from_dict(line)
    except (KeyError, TypeError, ValueError):
        return None


def whole(event: Event) -> bool:
    """False for a `call_completed` that carries a pointer instead of the record."""
    return event.type is not EventType.CALL_COMPLETED or "call_data" in event.data


@dataclass(frozen=True, slots=True)
class Receiver:
    """Someone in the room: how far they have come, and whether the end of the call ends it for them."""

    seen: int
    once: bool


@dataclass(frozen=True, slots=True)
class Room:
    """One call as this instance knows it. `log` may have holes; `reading` is the page being read, by its `after`."""

    call_id: str
    epoch: str
    head: int = 0
    done: bool = False
    log: Mapping[int, Event] = field(default_factory=dict)
    receivers: Mapping[int, Receiver] = field(default_factory=dict)
    reading: int | None = None
    misses: int = 0


@dataclass(frozen=True, slots=True)
class HeadSeen:
    """News of the head, from wherever."""

    head: Head


@dataclass(frozen=True, slots=True)
class PageRead:
    """What the journal has after `after`, oldest first."""

    epoch: str
    after: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """A receiver comes in; without a cursor it wants what comes from now on."""

    receiver: int
    cursor: Cursor | None
    once: bool = True


@dataclass(frozen=True, slots=True)
class Left:
    """A receiver has gone."""

    receiver: int


Input = HeadSeen | PageRead | Joined | Left


@dataclass(frozen=True, slots=True)
class Deliver:
    """These events, in this order, to these receivers, who have seen the same."""

    receivers: tuple[int, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Read the journal after `after`; `misses` pages of this place have come back without what they should hold."""

    epoch: str
    after: int
    misses: int


@dataclass(frozen=True, slots=True)
class End:
    """This receiver is through; it has left the room."""

    receiver: int
    reason: Ended


Command = Deliver | Read | End


def step(room: Room, news: Input) -> tuple[Room, list[Command]]:
    """The room after the news, and what is to be done."""
    commands: list[Command] = []
    match news:
        case HeadSeen(head):
            room = _head_seen(room, head, commands)
        case PageRead(epoch, after, events):
            room = _page_read(room, epoch, after, events, commands)
        case Joined(receiver, cursor, once):
            room = _joined(room, receiver, cursor, once, commands)
        case Left(receiver):
            room = _without(room, receiver)
    return _settle(room, commands), commands


def _head_seen(room: Room, head: Head, commands: list[Command]) -> Room:
    if head.epoch != room.epoch:
        commands.extend(End(receiver, Ended.EPOCH_CHANGED) for receiver in room.receivers)
        room = Room(room.call_id, head.epoch)
    log = {**room.log, **{event.seq: event for event in head.tail if event.epoch == room.epoch}}
    return replace(room, head=max(room.head, head.seq), done=room.done or head.done, log=log)


def _page_read(room: Room, epoch: str, after: int, events: tuple[Event, ...], commands: list[Command]) -> Room:
    if epoch != room.epoch or after != room.reading:
        return room
    log = {**room.log, **{event.seq: event for event in events}}
    if after + 1 in log:
        return replace(room, log=log, reading=None, misses=0)
    room = replace(room, log=log, reading=None, misses=room.misses + 1)
    if room.misses >= MISSES:
        room = replace(room, misses=0)
        for receiver in [id for id, who in room.receivers.items() if who.seen == after]:
            commands.append(End(receiver, Ended.LOG_EXPIRED))
            room = _without(room, receiver)
    return room


def _joined(room: Room, receiver: int, cursor: Cursor | None, once: bool, commands: list[Command]) -> Room:
    if cursor is None:
        cursor = Cursor(room.head)
    elif cursor.epoch not in (None, room.epoch):
        commands.append(End(receiver, Ended.EPOCH_CHANGED))
        return room
    return replace(room, receivers={**room.receivers, receiver: Receiver(cursor.seq, once)})


def _without(room: Room, receiver: int) -> Room:
    return replace(room, receivers={id: who for id, who in room.receivers.items() if id != receiver})


def _settle(room: Room, commands: list[Command]) -> Room:
    """Deliver what can be delivered, let go who is through, and ask for what is missing. Who has seen the same is
    served together: most of a crowd is up to date."""
    cohorts: dict[tuple[int, bool], list[int]] = {}
    for id, who in room.receivers.items():
        cohorts.setdefault((who.seen, who.once), []).append(id)
    receivers: dict[int, Receiver] = {}
    missing: list[int] = []
    for (before, once), ids in cohorts.items():
        ready = _ready(room, before)
        seen = before + len(ready)
        if ready:
            commands.append(Deliver(tuple(ids), ready))
        completed = room.done or any(event.type is EventType.CALL_COMPLETED for event in ready)
        if once and completed and seen >= room.head:
            commands.extend(End(id, Ended.COMPLETED) for id in ids)
            continue
        receivers.update(dict.fromkeys(ids, Receiver(seen, once)))
        if seen < room.head:
            missing.append(seen)
    reading = room.reading
    if missing and reading is None:
        # The furthest first: who is up to date is not held up by a newcomer's replay.
        reading = max(missing)
        commands.append(Read(room.epoch, reading, room.misses))
    log = room.log
    if len(log) > WINDOW:
        log = {seq: log[seq] for seq in sorted(log)[-WINDOW:]}
    return replace(room, receivers=receivers, reading=reading, log=log)


def _ready(room: Room, seen: int) -> tuple[Event, ...]:
    """The events that follow what has been seen."""
    ready: list[Event] = []
    while (event := room.log.get(seen + len(ready) + 1)) is not None:
        ready.append(event)
    return tuple(ready)
