"""What a process remembers of calls is bounded, and of calls that are over it is little."""

from __future__ import annotations

from dataclasses import replace

from realtime.append import ENDED, Heads
from realtime.call import Call, Status


def call(number: int, status: Status = Status.IN_PROGRESS) -> Call:
    return replace(Call(call_id=f"CA{number}", org="shop"), status=status)


def test_calls_that_are_over_go_and_those_that_are_not_stay() -> None:
    heads = Heads()
    for number in range(10):
        heads.put(call(number), "1")
    for number in range(1_000, 2_000):
        heads.put(call(number), "1")
        heads.put(call(number, Status.COMPLETED), "2")
    assert len(heads) == 10 + ENDED
    assert heads.get("CA0") == (call(0), "1")
    assert heads.get("CA1999") == (call(1_999, Status.COMPLETED), "2")
    assert heads.get("CA1000") is None


def test_what_was_dropped_is_not_counted_twice() -> None:
    heads = Heads(size=2)
    for number in range(3):
        heads.put(call(number, Status.COMPLETED), "1")
    heads.drop("CA2")
    assert len(heads) == 1
    for number in range(3, 3 + ENDED):
        heads.put(call(number), "1")
    assert len(heads) == 2
