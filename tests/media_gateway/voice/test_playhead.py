"""Where the caller is in what was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.voice.playhead import BUFFER_MS, ECHO_GRACE_MS, Playhead


def playing(ms: float = 3_200, every: float = 320) -> Playhead:
    """Sound that is sent all at once at 0."""
    head = Playhead()
    for n in range(1, int(ms / every) + 1):
        head.queue(0, every)
        head.mark(str(n), n)
    return head


def in_time() -> Playhead:
    """Sound that is sent just before its turn: what the line holds up is late for it."""
    head = Playhead()
    for n in range(7):
        head.queue(max(0, n * 320 - 60), 320)
        head.mark(str(n + 1), n + 1)
    return head


@pytest.mark.parametrize("way", [0, 40, 150, 400])
def test_the_echos_own_delay_is_no_news(way: float) -> None:
    head = playing()
    for n in range(1, 6):
        head.echoed(BUFFER_MS + n * 320 + way, str(n))
        assert head.position(BUFFER_MS + n * 320 + way) == pytest.approx(n * 320 + way)


def test_before_any_echo_the_clock_counts() -> None:
    head = playing()
    assert head.position(0) == 0
    assert head.position(BUFFER_MS + 200) == 200


def test_an_echo_that_is_long_overdue_says_that_it_stands_still() -> None:
    head = in_time()
    for n in (1, 2, 3):
        head.echoed(BUFFER_MS + n * 320 + 50, str(n))
    assert head.position(BUFFER_MS + 4 * 320 + 100) == 4 * 320 + 100
    assert head.position(BUFFER_MS + 4 * 320 + 500) == 4 * 320


def test_sound_that_was_sent_long_before_its_turn_does_not_stand_still() -> None:
    """Its echo is lost, or held up on the way back."""
    head = playing()
    for n in (1, 2, 3):
        head.echoed(BUFFER_MS + n * 320 + 50, str(n))
    assert head.position(BUFFER_MS + 4 * 320 + 500) == 4 * 320 + 500


def test_after_a_standstill_it_is_so_much_later() -> None:
    head = in_time()
    for n in (1, 2, 3):
        head.echoed(BUFFER_MS + n * 320 + 50, str(n))
    for n in (4, 5, 6):
        head.echoed(BUFFER_MS + n * 320 + 50 + 600, str(n))
    now = BUFFER_MS + 6 * 320 + 50 + 600 + 100
    assert head.position(now) == pytest.approx(now - BUFFER_MS - 600)


def test_echoes_that_only_came_late_put_it_back() -> None:
    """The way back stood still, not the playing: the echoes come in a burst, and those after them in time."""
    head = playing(6_400)
    for n in (1, 2, 3):
        head.echoed(BUFFER_MS + n * 320 + 50, str(n))
    for n in (4, 5, 6):
        head.echoed(BUFFER_MS + 6 * 320 + 200, str(n))
    for n in (7, 8, 9):
        head.echoed(BUFFER_MS + n * 320 + 50, str(n))
    now = BUFFER_MS + 9 * 320 + 60
    assert head.position(now) == pytest.approx(now - BUFFER_MS, abs=70)


def test_a_peer_that_loses_echoes_is_trusted_less() -> None:
    head = playing()
    head.echoed(BUFFER_MS + 320 + 50, "1")
    head.echoed(BUFFER_MS + 3 * 320 + 50, "3")
    late = BUFFER_MS + 4 * 320 + 50 + 200
    assert head.position(late) == pytest.approx(late - BUFFER_MS)


def test_nothing_hangs_on_an_echo() -> None:
    head = playing()
    assert head.position(BUFFER_MS + 3_200 + ECHO_GRACE_MS + 1) == 3_200
    assert not head.marks


STEP = st.tuples(st.sampled_from(["wait", "queue", "mark", "echo", "renew"]), st.integers(1, 900))


@given(st.lists(STEP, max_size=60))
def test_any_use(steps: list[tuple[str, int]]) -> None:
    head, now, marks = Playhead(), 0.0, 0
    for step, n in steps:
        if step == "wait":
            now += n
        elif step == "queue":
            head.queue(now, n)
        elif step == "mark":
            marks += 1
            head.mark(str(marks), marks)
        elif step == "echo":
            head.echoed(now, str(n % (marks + 1)))
        else:
            head.renew(now)
        assert head.acked_ms <= head.position(now) <= head.queued_ms
        assert head.doubt_ms > 0
