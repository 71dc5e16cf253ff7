"""Where a `clear` caught the caller, by what comes back after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from media_gateway.voice.clearing import Clearing, Mark
from media_gateway.voice.playout import Clear, Playout
from media_gateway.voice.playout import Mark as Sent
from media_gateway.voice.ports import BYTES_PER_MS
from media_gateway.voice.spoken_form import Spoken

AHEAD = tuple(Mark(f"0.{n}", n, n * 320.0, 2_000.0) for n in range(5, 12))
"""Sound that was sent long before its turn."""
LATE = tuple(replace(mark, lead_ms=30.0) for mark in AHEAD)


def clearing(marks: tuple[Mark, ...] = AHEAD) -> Clearing:
    """Sent at 1500 of a clock that began to play at 0; echoes take 70 ms; four marks were heard."""
    return Clearing(
        sent_at=1_500,
        origin=0,
        position=1_500,
        heard_ms=1_280,
        length_ms=3_520,
        marks=marks,
        usual_ms=70,
        least_ms=50,
        slack_ms=90,
        spread_ms=20,
        many=True,
    )


def test_when_the_line_is_as_usual_the_clock_was_right() -> None:
    one = clearing()
    assert not one.echoed(1_565, "0.5") or one.settled
    for mark in AHEAD[1:]:
        one.echoed(1_570, mark.name)
    assert one.settled
    assert one.position == pytest.approx(1_500, abs=10)


def test_while_a_clear_is_held_up_more_is_heard() -> None:
    """It arrives 400 ms late; the mark at 1600 is played meanwhile and comes back in its own time."""
    one = clearing()
    assert not one.echoed(1_670, "0.5")
    assert not one.echoed(1_970, "0.6"), "due just then"
    assert one.echoed(1_970, "0.7"), "this one comes sooner than it can have been played"
    assert one.position == pytest.approx(1_900, abs=30)


def test_what_only_the_way_back_holds_up_was_not_heard_longer() -> None:
    """Marks that were due long ago come with the `clear`'s own."""
    one = clearing(AHEAD)
    one.origin, one.position, one.sent_at = -300, 1_800, 1_500
    for mark in AHEAD:
        one.echoed(1_990, mark.name)
    one.arrived(1_990)
    assert one.position == pytest.approx(1_800, abs=30)


def test_sound_that_came_too_late_may_not_have_been_heard() -> None:
    """The same, and the sound was sent just before its turn: it may have been held up instead. The middle of both."""
    one = clearing(LATE)
    one.origin, one.position, one.sent_at = -300, 1_800, 1_500
    for mark in LATE:
        one.echoed(1_990, mark.name)
    one.arrived(1_990)
    assert one.position == pytest.approx((1_800 + 1_600) / 2, abs=1)


def test_a_clear_that_is_there_sooner_than_echoes_take_says_that_playing_began_later() -> None:
    one = clearing()
    one.usual_ms, one.least_ms = 470, 450
    one.arrived(1_560)
    assert one.position == pytest.approx(1_280, abs=200)
    assert one.position < 1_300


@pytest.mark.parametrize(("spread", "moved"), [(5.0, 40), (45.0, 20), (90.0, 8)])
def test_of_a_small_lateness_less_is_believed_where_echoes_vary(spread: float, moved: float) -> None:
    one = clearing()
    one.spread_ms = spread
    one.arrived(1_500 + 70 + 40)
    assert one.position == pytest.approx(1_500 + moved, abs=1)


def test_sooner_than_the_soonest_of_many_echoes_is_no_jitter() -> None:
    """The first sound was held up, which every echo's delay has in it since; the `clear` was not."""
    one, few = clearing(), clearing()
    for each in (one, few):
        each.usual_ms, each.least_ms, each.slack_ms, each.spread_ms = 300, 260, 180, 60
        each.many = each is one
        each.arrived(1_500 + 180)
    assert one.position == 1_380
    assert few.position == pytest.approx(1_457, abs=1), "of two echoes nobody knows what is soon"


def test_while_the_clear_is_overdue_the_line_stands_still_one_way_or_the_other() -> None:
    one = clearing()
    assert one.so_far(1_650) == 1_500, "not yet"
    assert one.so_far(1_970) == 1_600, "the mark at 1600 has not come back: no more than that was heard"
    one.echoed(1_670, "0.5")
    assert one.so_far(1_970) == 1_500 + 100 + 150, "the way back was open 100 ms after the `clear` was due; then: half"
    one.echoed(1_960, "0.6")
    assert one.so_far(1_970) == 1_920, "open all the time, so it is the way out; and a mark more was heard"
    one.arrived(1_980)
    assert one.so_far(3_000) == one.position


def test_before_any_echo_an_overdue_clear_says_nothing() -> None:
    one = clearing()
    one.usual_ms = None
    assert one.so_far(3_000) == 1_500


def test_an_echo_that_is_soon_for_once_is_not_the_clears() -> None:
    """Two echoes took long, and the third, of a mark that was due before the `clear` went out, did not. It comes a
    moment after that: sooner than an echo can be as an answer to the `clear`, and only soon as one of its own."""
    one = clearing()
    one.origin, one.position, one.usual_ms, one.least_ms, one.slack_ms = -300, 1_800, 380, 370, 200
    assert not one.echoed(1_530, "0.5"), "due 200 ms before the clear"
    for mark in AHEAD[1:]:
        one.echoed(1_900, mark.name)
    assert one.settled
    assert one.position == pytest.approx(1_800, abs=30)


def test_never_more_than_there_was_and_never_less_than_was_proven() -> None:
    one = clearing()
    one.length_ms = 1_300
    assert one.arrived(1_570)
    assert one.position == 1_300
    other = clearing()
    other.origin, other.position = 900, 600
    assert other.arrived(1_570)
    assert other.position == 1_280


def test_it_is_settled_once() -> None:
    one = clearing()
    assert one.arrived(1_570)
    before = one.position
    assert not one.arrived(2_500)
    assert not one.echoed(2_600, "0.5")
    assert one.position == before


def test_what_was_heard_is_put_right_while_the_sound_is_held() -> None:
    """The `clear` was held up for 600 ms: two marks more were played."""
    playout = Playout()
    playout.begin(1, 1, Spoken("one two three four five six", "one two three four five six"))
    sends = playout.audio(0, 1, 1, bytes(4_000 * BYTES_PER_MS))
    marks = [item.name for item in sends if isinstance(item, Sent)]
    for n, name in enumerate(marks[:4], 1):
        playout.echoed(50 + n * 320 + 60, name)
    clear, probe = playout.hold(1_450)
    assert clear == Clear()
    assert isinstance(probe, Sent)
    before = playout.heard(1_450, 1).ms
    playout.echoed(50 + 5 * 320 + 60, marks[4])
    playout.echoed(50 + 6 * 320 + 60, marks[5])
    playout.echoed(2_110, marks[6])
    playout.echoed(2_110, probe.name)
    assert playout.heard(2_200, 1).ms == pytest.approx(before + 600, abs=30)
    playout.cut(2_300)
    assert playout.heard(2_300, 1).ms == pytest.approx(before + 600, abs=30)
