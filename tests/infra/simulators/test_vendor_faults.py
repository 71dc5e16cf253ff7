"""When a vendor's fault strikes, and whom."""

from __future__ import annotations

from infra.simulators.vendor_faults import GARBAGE, Fault, Faults, Kind


class Clock:
    now = 10.0

    def __call__(self) -> float:
        return self.now


def test_faults_befall_connections_in_turn_and_then_no_more() -> None:
    faults = Faults(Fault(kind=Kind.BUSY, times=2), Fault(kind=Kind.CUT, after_messages=1))
    troubles = [faults.take() for _ in range(4)]
    assert [trouble.refusal for trouble in troubles] == [429, 429, None, None]
    assert [trouble.fault and trouble.fault.kind for trouble in troubles] == [Kind.BUSY, Kind.BUSY, Kind.CUT, None]
    assert len(faults.met) == 3


def test_a_fault_for_every_connection_stays_until_it_is_cleared() -> None:
    faults = Faults(Fault(kind=Kind.UNAUTHORIZED, times=None))
    assert [faults.take().refusal for _ in range(3)] == [401, 401, 401]
    faults.clear()
    faults.add(Fault(kind=Kind.BUSY))
    assert [faults.take().refusal for _ in range(2)] == [429, None]


def test_it_strikes_after_both_time_and_messages() -> None:
    clock = Clock()
    trouble = Faults(Fault(kind=Kind.HUNG, after_ms=500, after_messages=2)).take(clock)
    assert [trouble.strikes(), trouble.strikes(), trouble.strikes()] == [None, None, None]
    clock.now += 0.5
    assert trouble.strikes() is Kind.HUNG
    assert trouble.sent == 3


def test_garbage_comes_in_turn_and_comes_round_again() -> None:
    trouble = Faults(Fault(kind=Kind.GARBAGE)).take()
    assert [trouble.garbage() for _ in range(len(GARBAGE) + 1)] == [*GARBAGE, GARBAGE[0]]


def test_what_happens_without_a_message_has_a_time() -> None:
    assert Faults(Fault(kind=Kind.CLOSE, after_ms=250)).take().wakes_after == 0.25
    assert Faults(Fault(kind=Kind.CUT, after_messages=3)).take().wakes_after is None
    assert Faults(Fault(kind=Kind.HUNG)).take().wakes_after is None
    assert Faults().take().wakes_after is None


def test_what_breaks_an_open_connection_breaks_it_now() -> None:
    faults, woken = Faults(), list[str]()
    trouble = faults.take()
    trouble.woken = lambda: woken.append("now")
    faults.strike(Fault(kind=Kind.HUNG))
    faults.strike(Fault(kind=Kind.CUT, after_messages=2))
    assert woken == []
    faults.strike(Fault(kind=Kind.CUT))
    assert woken == ["now"]
    assert trouble.strikes() is Kind.CUT
