"""The room's machine as it lives: a journal that grows, is rebuilt and expires, heads and pages that come late, again
and out of order, and receivers who come, fall behind, break off and come back with what they saw last."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from realtime.events import Event, EventType
from realtime.subscription import (
    Cursor,
    Deliver,
    End,
    Ended,
    Head,
    HeadSeen,
    Input,
    Joined,
    Left,
    PageRead,
    Read,
    Room,
    step,
)

TS = "2026-11-20T10:00:00.000Z"


@dataclass
class Log:
    """One journal of the call. `expired` events at its beginning are gone from the store."""

    epoch: str
    lines: list[Event] = field(default_factory=list)
    expired: int = 0
    done: bool = False

    def add(self, kind: EventType) -> None:
        data: dict[str, Any] = {"call_data": {}} if kind is EventType.CALL_COMPLETED else {}
        self.lines.append(Event("CA1", self.epoch, len(self.lines) + 1, kind, TS, data))
        self.done |= kind is EventType.CALL_COMPLETED

    def head(self, seq: int, tail: int) -> Head:
        lines = self.lines[:seq]
        done = any(line.type is EventType.CALL_COMPLETED for line in lines)
        return Head("CA1", "default", self.epoch, seq, done, frozenset({"CA1"}), tuple(lines[max(0, seq - tail) :]))

    def page(self, after: int, limit: int) -> tuple[Event, ...]:
        return tuple(self.lines[max(after, self.expired) : max(after, self.expired) + limit])


@dataclass
class Client:
    """Whoever is behind a receiver: what they saw last, over all their connections to this log."""

    epoch: str
    start: int
    once: bool
    got: list[Event] = field(default_factory=list)
    ended: Ended | None = None
    away: bool = False

    @property
    def seen(self) -> int:
        return self.got[-1].seq if self.got else self.start


class Rooms(RuleBasedStateMachine):
    """Everybody gets the events after their cursor once, in order, of one log, or is told why not."""

    @initialize()
    def begin(self) -> None:
        self.logs = [Log("e0")]
        self.told = 0
        """How far the newest head of this log that the room has seen goes."""
        self.room = Room("CA1", "e0")
        self.reads: list[Read] = []
        self.clients: dict[int, Client] = {}
        self.number = 0

    @property
    def log(self) -> Log:
        return self.logs[-1]

    def tell(self, news: Input) -> None:
        self.room, commands = step(self.room, news)
        for command in commands:
            match command:
                case Deliver(receivers, events):
                    assert events
                    for receiver in receivers:
                        client = self.clients[receiver]
                        assert client.ended is None, "nothing comes after the end"
                        assert not client.away, "nothing goes to who has left"
                        client.got += events
                case End(receiver, reason):
                    client = self.clients[receiver]
                    assert client.ended is None, "it ends once"
                    client.ended = reason
                case Read():
                    self.reads.append(command)

    def here(self) -> list[int]:
        return sorted(n for n, client in self.clients.items() if not client.away and client.ended is None)

    # --- the journal ---

    @rule(count=st.integers(1, 12))
    def grows(self, count: int) -> None:
        if not self.log.done:
            for _ in range(count):
                self.log.add(EventType.IDLE)

    @rule()
    def ends(self) -> None:
        if not self.log.done:
            self.log.add(EventType.CALL_STATUS)
            self.log.add(EventType.CALL_COMPLETED)
        elif self.log.lines[-1].type is EventType.CALL_COMPLETED:
            self.log.add(EventType.ANALYSIS_READY)

    @rule(count=st.integers(1, 8))
    def is_rebuilt(self, count: int) -> None:
        """Another journal under the same name; the feed tells of it before it tells anything else."""
        self.logs.append(Log(f"e{len(self.logs)}"))
        self.grows(count)
        self.told = len(self.log.lines)
        self.tell(HeadSeen(self.log.head(self.told, 0)))

    @rule(share=st.integers(1, 3))
    def expires(self, share: int) -> None:
        self.log.expired = max(self.log.expired, len(self.log.lines) * share // 4)

    # --- what comes of it ---

    @rule(back=st.integers(0, 6), tail=st.integers(0, 8), foreign=st.booleans())
    def head_comes(self, back: int, tail: int, foreign: bool) -> None:
        """The newest, or an older one once more; a line of another journal in its tail is nobody's."""
        seq = max(0, len(self.log.lines) - back)
        head = self.log.head(seq, tail)
        if foreign and len(self.logs) > 1:
            strange = msgspec.structs.replace(Event("CA1", self.logs[-2].epoch, seq + 1, EventType.IDLE, TS, {}))
            head = replace(head, tail=(*head.tail, strange))
        self.told = max(self.told, seq)
        self.tell(HeadSeen(head))

    @precondition(lambda self: self.reads)
    @rule(limit=st.integers(1, 10), data=st.data())
    def page_comes(self, limit: int, data: st.DataObject) -> None:
        read = self.reads.pop(data.draw(st.integers(0, len(self.reads) - 1)))
        log = next(log for log in self.logs if log.epoch == read.epoch)
        self.tell(PageRead(read.epoch, read.after, log.page(read.after, limit)))

    @rule(after=st.integers(0, 20), limit=st.integers(1, 10), same=st.booleans(), data=st.data())
    def page_comes_that_nobody_waits_for(self, after: int, limit: int, same: bool, data: st.DataObject) -> None:
        """Of another place, or of the very same one in a journal that is no more."""
        log = data.draw(st.sampled_from(self.logs))
        if same and self.room.reading is not None:
            after = self.room.reading
        if log is not self.log or after != self.room.reading:
            self.tell(PageRead(log.epoch, after, log.page(after, limit)))

    # --- the receivers ---

    def join(self, client: Client, cursor: Cursor | None) -> None:
        self.number += 1
        self.clients[self.number] = client
        self.tell(Joined(self.number, cursor, client.once))

    @rule(share=st.integers(0, 4), with_epoch=st.booleans(), once=st.booleans())
    def joins(self, share: int, with_epoch: bool, once: bool) -> None:
        seq = self.told * share // 4
        self.join(Client(self.log.epoch, seq, once), Cursor(seq, self.log.epoch if with_epoch else None))

    @rule(once=st.booleans())
    def joins_from_now_on(self, once: bool) -> None:
        self.join(Client(self.log.epoch, self.told, once), None)

    @precondition(lambda self: self.here())
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        receiver = data.draw(st.sampled_from(self.here()))
        self.clients[receiver].away = True
        self.tell(Left(receiver))

    @precondition(lambda self: any(client.away for client in self.clients.values()))
    @rule(data=st.data())
    def comes_back(self, data: st.DataObject) -> None:
        """With what it saw last, which may be of a journal that is no more."""
        gone = sorted(n for n, client in self.clients.items() if client.away)
        client = self.clients.pop(data.draw(st.sampled_from(gone)))
        client.away = False
        self.join(client, Cursor(client.seen, client.epoch))
        if client.epoch != self.log.epoch:
            assert client.ended is Ended.EPOCH_CHANGED

    # --- what holds ---

    @invariant()
    def everybody_has_a_piece_of_one_log_without_a_hole(self) -> None:
        for client in getattr(self, "clients", {}).values():
            log = next(log for log in self.logs if log.epoch == client.epoch)
            assert client.got == log.lines[client.start : client.start + len(client.got)]

    @invariant()
    def at_most_one_page_is_read_at_a_time(self) -> None:
        if hasattr(self, "room"):
            assert len([read for read in self.reads if read.epoch == self.room.epoch]) <= 1

    def teardown(self) -> None:
        """Once the newest head is known and every page was read, nobody is behind without having been told why."""
        if not hasattr(self, "room"):
            return
        self.tell(HeadSeen(self.log.head(len(self.log.lines), 0)))
        for _ in range(300):
            if not self.reads:
                break
            read = self.reads.pop(0)
            log = next(log for log in self.logs if log.epoch == read.epoch)
            self.tell(PageRead(read.epoch, read.after, log.page(read.after, 500)))
        assert not self.reads, "it reads in circles"
        for client in self.clients.values():
            if client.away:
                continue
            match client.ended:
                case None:
                    assert client.epoch == self.log.epoch
                    assert client.seen == len(self.log.lines)
                    assert not (client.once and self.log.done)
                case Ended.COMPLETED:
                    log = next(log for log in self.logs if log.epoch == client.epoch)
                    assert client.once
                    assert EventType.CALL_COMPLETED in [line.type for line in log.lines[: client.seen]]
                case Ended.EPOCH_CHANGED:
                    assert client.epoch != self.log.epoch
                case Ended.LOG_EXPIRED:
                    log = next(log for log in self.logs if log.epoch == client.epoch)
                    assert client.seen < log.expired
                case other:
                    raise AssertionError(other)


def _cases(machine: Any) -> Any:
    case = machine.TestCase
    case.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
    return case


TestRooms = _cases(Rooms)
