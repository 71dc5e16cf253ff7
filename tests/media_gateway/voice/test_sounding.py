"""Which words a moment of the sound belongs to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.voice.sounding import Pace, Sounding, joined
from media_gateway.voice.spoken_form import to_spoken


def clause(text: str, ms: int = 0, *, done: bool = False) -> Sounding:
    one = Sounding(1, 1, to_spoken(text), Pace())
    one.add(bytes(ms * 8), ())
    if done:
        one.end()
    return one


def test_alignment_says_which_words_were_heard() -> None:
    one = clause("one two three")
    one.add(bytes(8 * 1_000), ((3, 700.0), (7, 900.0), (13, 1_000.0)))
    one.end()
    heard = []
    for ms in (699, 701, 899, 901, 1_000):
        one.heard_ms = ms
        heard.append(one.heard_text())
    assert heard == ["", "one", "one", "one two", "one two three"]


def test_timings_go_on_over_chunks() -> None:
    one = clause("one two three")
    one.add(bytes(8 * 500), ((3, 500.0),))
    one.add(bytes(8 * 500), ((7, 100.0),))
    one.heard_ms = 601
    assert one.heard_text() == "one two"


def test_what_was_heard_is_told_as_it_is_written() -> None:
    one = clause("That is $49.95 for today.", 4_000, done=True)
    assert one.said.text != one.text
    one.heard_ms = 1_500
    assert one.heard_text() == "That is", "half a price is none of it"
    one.heard_ms = 4_000
    assert one.heard_text() == "That is $49.95 for today."


def test_the_rest_begins_with_the_word_that_broke_off() -> None:
    one = clause("one two three four")
    one.add(bytes(8 * 900), ((3, 300.0), (7, 600.0), (13, 1_000.0)))
    assert one.rest() == "three four"
    one.again()
    one.add(bytes(8 * 800), ((5, 500.0), (10, 800.0)))
    one.end()
    one.heard_ms = 900 + 501
    assert one.heard_text() == "one two three"
    one.heard_ms = 1_700
    assert one.heard_text() == "one two three four"


def test_a_pace_that_was_learned_is_used() -> None:
    pace = Pace()
    for _ in range(20):
        slow = Sounding(1, 1, to_spoken("a b c d e f"), pace)
        slow.add(bytes(8 * 2_200), ())
        slow.end()
    one = Sounding(1, 2, to_spoken("one two three four five six"), pace)
    one.add(bytes(8 * 700), ())
    one.heard_ms = 640
    assert one.heard_text() == "one"


QUIET = b"\xff"


def test_a_pause_in_the_sound_is_the_one_at_the_comma() -> None:
    """What stands before it is said faster than what follows; without the pause the estimate would be a word late."""
    one = Sounding(1, 1, to_spoken("yes of course we can, tomorrow at four in the afternoon."), Pace())
    one.add(bytes(8 * 1_100) + QUIET * 8 * 300 + bytes(8 * 2_600) + QUIET * 8 * 200, ())
    one.end()
    heard = []
    for ms in (1_060, 1_110, 1_390, 3_960, 4_010):
        one.heard_ms = ms
        heard.append(one.heard_text())
    assert heard[1:3] == ["yes of course we can,"] * 2
    assert heard[0] == "yes of course we"
    assert heard[3:] == ["yes of course we can, tomorrow at four in the", one.text]


def test_a_silent_consonant_is_no_pause() -> None:
    """Nor is a pause where nothing stands taken for one at the next comma, far away."""
    text = "we can do that for you whenever you like, of course."
    one, other = (Sounding(1, 1, to_spoken(text), Pace()) for _ in range(2))
    one.add(bytes(8 * 800) + QUIET * 8 * 120 + bytes(8 * 2_500), ())
    other.add(bytes(8 * 3_420), ())
    for each in (one, other):
        each.end()
        assert text.index(",") + 1 not in dict(each._anchored())
    assert one.spoken_at(810) == one.spoken_at(910), "nothing is said in it"
    assert one.spoken_at(2_900) - one.spoken_at(2_900 - 120) > 0


def test_what_is_all_silence_is_spread_as_it_is() -> None:
    one = Sounding(1, 1, to_spoken("one two, three four."), Pace())
    one.add(QUIET * 8 * 2_000, ())
    one.end()
    one.heard_ms = 1_000
    assert 1 <= len(one.heard_text().split()) <= 3


def test_clauses_that_sound_together_are_one_text() -> None:
    one = clause("It is $5.")
    one.join(clause("Or $6.50, if you like."))
    assert one.text == "It is $5. Or $6.50, if you like."
    assert one.said == to_spoken(one.text)


@given(st.text("ab 1$.,", min_size=1, max_size=20), st.text("ab 1$.,", min_size=1, max_size=20))
def test_joining_keeps_the_map(first: str, second: str) -> None:
    both = joined(to_spoken(first), to_spoken(second))
    assert both.written == f"{first} {second}"
    assert both.written_at(len(both.text)) == len(both.written)
    offsets = [both.written_at(n) for n in range(len(both.text) + 1)]
    assert offsets == sorted(offsets)


PIECE = st.tuples(st.integers(0, 900), st.lists(st.tuples(st.integers(-2, 90), st.floats(-50, 2_000)), max_size=4))


@given(st.lists(PIECE, max_size=12), st.integers(0, 9_000), st.booleans(), st.booleans())
def test_any_timing_is_survived(
    pieces: list[tuple[int, list[tuple[int, float]]]], heard: int, done: bool, again: bool
) -> None:
    """A voice may tell anything: what comes of it is a beginning of the text, and more of it the more was heard."""
    one = clause("one two $3.50 four, five six seven")
    for n, (ms, timing) in enumerate(pieces):
        if again and n == 3:
            one.again()
        one.add(bytes(8 * ms), tuple(timing))
    if done:
        one.end()
    before = ""
    for ms in sorted({0, heard // 3, heard // 2, heard}):
        one.heard_ms = one.safe_ms = min(float(ms), one.ms)
        text = one.heard_text()
        assert one.text.startswith(text)
        assert len(text) >= len(before)
        before = text
        assert 0 <= one.resume_byte() <= len(one.audio)
    assert one.said.text.endswith(one.rest())
