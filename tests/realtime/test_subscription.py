"""Whatever order heads, pages, joins and leaves come in, everyone sees 1..n once and in order."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.call import Call, Status
from realtime.events import Event, EventType
from realtime.subscription import (
    MISSES,
    START,
    WINDOW,
    Command,
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

EPOCH = "e1"


def event(seq: int, type: EventType = EventType.IDLE) -> Event:
    data = {"call_data": {"call_id": "CA1"}} if type is EventType.CALL_COMPLETED else {}
    return Event("CA1", EPOCH, seq, type, "2026-11-20T10:00:00.000Z", data)


def journal(n: int, *, completed: bool = False) -> list[Event]:
    lines = [event(seq) for seq in range(1, n + 1)]
    if completed:
        lines[-1] = event(n, EventType.CALL_COMPLETED)
    return lines


def head(seq: int, *, tail: tuple[Event, ...] = (), done: bool = False, epoch: str = EPOCH) -> Head:
    return Head("CA1", "default", epoch, seq, done, frozenset({"CA1"}), tail)


class Shell:
    """What the hub does around the machine, with the reading left to the test."""

    def __init__(self, lines: list[Event]) -> None:
        self.lines = lines
        self.room = Room("CA1", EPOCH)
        self.got: dict[int, list[int]] = {}
        self.ended: dict[int, Ended] = {}
        self.reads: list[Read] = []

    def tell(self, news: Input) -> list[Command]:
        self.room, commands = step(self.room, news)
        for command in commands:
            match command:
                case Deliver(receivers, events):
                    for receiver in receivers:
                        assert receiver not in self.ended
                        self.got.setdefault(receiver, []).extend(line.seq for line in events)
                case End(receiver, reason):
                    self.ended[receiver] = reason
                case Read():
                    self.reads.append(command)
        return commands

    def answer(self, limit: int = 500) -> None:
        read = self.reads.pop(0)
        self.tell(PageRead(read.epoch, read.after, tuple(self.lines[read.after : read.after + limit])))

    def see(self, seq: int, tail: int, *, done: bool = False) -> None:
        self.tell(HeadSeen(head(seq, tail=tuple(self.lines[max(0, seq - tail) : seq]), done=done)))


@settings(max_examples=300)
@given(st.data())
def test_everyone_sees_every_event_once_and_in_order(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40), "events")
    completed = data.draw(st.booleans(), "completed")
    shell = Shell(journal(n, completed=completed))
    since: dict[int, int] = {}
    left: set[int] = set()
    for _ in range(data.draw(st.integers(0, 40), "steps")):
        match data.draw(st.sampled_from(["head", "join", "leave", "answer", "page"])):
            case "head":
                seq = data.draw(st.integers(0, n))
                shell.see(seq, data.draw(st.integers(0, 8)), done=completed and seq == n)
            case "join":
                since[len(since)] = data.draw(st.integers(0, n))
                receiver = len(since) - 1
                shell.tell(Joined(receiver, Cursor(since[receiver], data.draw(st.sampled_from([None, EPOCH])))))
            case "leave" if since:
                receiver = data.draw(st.sampled_from(sorted(since)))
                left.add(receiver)
                shell.tell(Left(receiver))
            case "answer" if shell.reads:
                shell.answer(data.draw(st.integers(1, 10)))
            case "page":
                after = data.draw(st.integers(0, n))
                shell.tell(PageRead(EPOCH, after, tuple(shell.lines[after : after + 3])))
    shell.see(n, data.draw(st.integers(0, 8)), done=completed)
    while shell.reads:
        shell.answer(data.draw(st.integers(1, 10)))
    for receiver, seq in since.items():
        got = shell.got.get(receiver, [])
        if receiver in left:
            assert got == list(range(seq + 1, seq + 1 + len(got)))
        else:
            assert got == list(range(seq + 1, n + 1))
            assert (shell.ended.get(receiver) is Ended.COMPLETED) == completed


def test_one_read_serves_all_who_wait_for_it() -> None:
    shell = Shell(journal(30))
    shell.see(30, 8)
    for receiver in range(100):
        shell.tell(Joined(receiver, START))
    assert shell.reads == [Read(EPOCH, 0, 0)]
    shell.answer()
    assert shell.reads == []
    assert all(shell.got[receiver] == list(range(1, 31)) for receiver in range(100))
    shell.tell(Joined(100, START))
    assert shell.got[100] == list(range(1, 31))


def test_a_newcomers_replay_does_not_hold_up_who_is_up_to_date() -> None:
    shell = Shell(journal(20))
    shell.see(19, 8)
    shell.tell(Joined(1, None))
    shell.tell(Joined(2, START))
    assert len(shell.reads) == 1  # under way for the newcomer
    shell.see(20, 1)
    assert shell.got == {1: [20]}


def test_from_now_on_means_after_the_head() -> None:
    shell = Shell(journal(9))
    shell.see(8, 8)
    shell.tell(Joined(1, None))
    assert 1 not in shell.got
    shell.see(9, 8)
    assert shell.got[1] == [9]


def test_a_receiver_of_all_calls_stays_after_the_completion_and_gets_what_follows() -> None:
    lines = [*journal(3, completed=True), event(4, EventType.ANALYSIS_READY)]
    shell = Shell(lines)
    shell.tell(Joined(1, START, once=False))
    shell.tell(Joined(2, START, once=True))
    shell.see(3, 8, done=True)
    shell.see(4, 8, done=True)
    assert shell.got == {1: [1, 2, 3, 4], 2: [1, 2, 3]}
    assert shell.ended == {2: Ended.COMPLETED}


def test_who_comes_back_after_the_end_is_told_that_it_is_over() -> None:
    shell = Shell(journal(3, completed=True))
    shell.see(3, 8, done=True)
    shell.tell(Joined(1, Cursor(3, EPOCH)))
    assert shell.got == {}
    assert shell.ended == {1: Ended.COMPLETED}


def test_a_cursor_of_another_log_is_refused_and_a_new_log_ends_everybody() -> None:
    shell = Shell(journal(3))
    shell.see(3, 8)
    shell.tell(Joined(1, Cursor(2, "older")))
    shell.tell(Joined(2, START))
    shell.tell(HeadSeen(head(1, epoch="newer")))
    assert shell.ended == {1: Ended.EPOCH_CHANGED, 2: Ended.EPOCH_CHANGED}
    assert shell.room.head == 1
    assert shell.room.log == {}


def test_events_that_have_expired_end_the_subscription_instead_of_a_silent_gap() -> None:
    shell = Shell(journal(12))
    shell.see(12, 4)
    shell.tell(Joined(1, START))
    shell.tell(Joined(2, Cursor(8)))
    for _ in range(MISSES):
        read = shell.reads.pop()
        shell.tell(PageRead(EPOCH, read.after, tuple(shell.lines[5:])))  # 1 to 5 are gone
    assert shell.ended == {1: Ended.LOG_EXPIRED}
    assert shell.got == {2: [9, 10, 11, 12]}
    assert shell.reads == []


def test_a_room_keeps_a_bounded_window_and_still_replays_a_long_call() -> None:
    shell = Shell(journal(3 * WINDOW))
    shell.see(3 * WINDOW, 8)
    shell.tell(Joined(1, START))
    while shell.reads:
        shell.answer()
        assert len(shell.room.log) <= WINDOW
    assert shell.got[1] == list(range(1, 3 * WINDOW + 1))


def test_a_head_is_parsed_without_what_must_be_resolved_first() -> None:
    pointer = {"ref": {"path": "x", "parts": 2}}
    lines = (event(1), msgspec.structs.replace(event(2, EventType.CALL_COMPLETED), data=pointer))
    call = Call(call_id="CA1", conversation_id="conv_1", epoch=EPOCH, seq=2, status=Status.COMPLETED)
    parsed = Head.parse({**call.to_dict(), "tail": [line.to_dict() for line in lines]})
    assert parsed == Head("CA1", "default", EPOCH, 2, True, frozenset({"CA1", "conv_1"}), (lines[0],))


def test_a_line_of_the_tail_that_cannot_be_read_is_left_to_the_journal() -> None:
    tail = [event(1).to_dict(), {"seq": 2}, {**event(3).to_dict(), "type": "of a newer revision"}, event(4).to_dict()]
    parsed = Head.parse({**Call(call_id="CA1", epoch=EPOCH, seq=4).to_dict(), "tail": tail})
    assert [line.seq for line in parsed.tail] == [1, 4]


@pytest.mark.parametrize("poison", [{}, {"call_id": "x"}, {"status": "dancing"}, {"tail": 7}, {"seq": None}])
def test_a_poison_head_is_an_error_of_its_own(poison: dict[str, object]) -> None:
    good = Call(call_id="CA1", epoch=EPOCH).to_dict()
    with pytest.raises((KeyError, TypeError, ValueError)):
        Head.parse({**good, **poison} if len(poison) and "call_id" not in poison else poison)
