"""Mark and clear semantics in virtual time."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from infra.simulators.playout import US_PER_BYTE, Mark, Playout

MS = 1000
BYTES = 8
LOUD = b"\x20"


def test_plays_at_real_time_rate_and_echoes_a_mark_to_the_byte() -> None:
    playout = Playout()
    playout.feed(5 * MS, LOUD * 100 * BYTES)
    assert playout.mark(6 * MS, "a") == ()
    assert playout.next_mark_us() == 105 * MS
    assert playout.advance(105 * MS - 1) == ()
    assert playout.played_bytes == 100 * BYTES - 1
    assert playout.advance(105 * MS) == (Mark("a", 6 * MS, 105 * MS, "played"),)
    (span,) = playout.spans
    assert (span.start_us, span.end_us, span.first_byte, span.end_byte) == (5 * MS, 105 * MS, 0, 800)
    assert (span.mark, span.cut) == ("a", False)


def test_a_mark_seen_late_was_still_due_when_its_audio_ended() -> None:
    playout = Playout()
    playout.feed(0, LOUD * 80)
    playout.mark(0, "a")
    assert playout.advance(900 * MS)[0].settled_us == 10 * MS


def test_an_idle_mark_comes_back_at_once() -> None:
    playout = Playout()
    assert playout.mark(7, "first") == (Mark("first", 7, 7, "idle"),)
    playout.feed(10, LOUD * 8)
    assert playout.mark(5000, "later") == (Mark("later", 5000, 5000, "idle"),)


def test_clear_drops_the_buffer_and_returns_outstanding_marks_in_order() -> None:
    playout = Playout()
    for name in "abc":
        playout.feed(0, LOUD * 100 * BYTES)
        playout.mark(0, name)
    due, cleared = playout.clear(150 * MS)
    assert [mark.name for mark in due] == ["a"]
    assert [(mark.name, mark.outcome) for mark in cleared.marks] == [("b", "cleared"), ("c", "cleared")]
    assert cleared.dropped_bytes == 150 * BYTES
    assert [(span.mark, span.cut, span.end_byte) for span in playout.spans] == [("a", False, 800), ("b", True, 1200)]
    assert playout.advance(10_000 * MS) == ()
    assert playout.next_mark_us() is None


def test_audio_after_a_clear_starts_at_once_and_keeps_its_place_in_what_was_sent() -> None:
    playout = Playout()
    playout.feed(0, LOUD * 800)
    playout.clear(10 * MS)
    playout.feed(20 * MS, LOUD * 80)
    playout.mark(20 * MS, "new")
    playout.advance(40 * MS)
    last = playout.spans[-1]
    assert (last.start_us, last.end_us, last.first_byte, last.end_byte) == (20 * MS, 30 * MS, 800, 880)


def test_an_underrun_is_two_spans() -> None:
    playout = Playout()
    playout.feed(0, LOUD * 80)
    playout.feed(25 * MS, LOUD * 80)
    playout.advance(100 * MS)
    assert [(span.start_us, span.end_us) for span in playout.spans] == [(0, 10 * MS), (25 * MS, 35 * MS)]


def test_a_clear_of_nothing_is_nothing() -> None:
    playout = Playout()
    _, cleared = playout.clear(5)
    assert (cleared.dropped_bytes, cleared.marks) == (0, ())
    assert playout.spans == []


def test_a_peer_that_does_not_echo_cleared_marks() -> None:
    playout = Playout(echo_cleared=False)
    playout.feed(0, LOUD * 800)
    playout.mark(0, "a")
    _, cleared = playout.clear(1)
    assert [mark.outcome for mark in cleared.marks] == ["dropped"]


def test_the_end_drops_what_was_not_heard() -> None:
    playout = Playout()
    playout.feed(0, LOUD * 80)
    playout.mark(0, "heard")
    playout.feed(0, LOUD * 800)
    playout.mark(0, "unheard")
    due, dropped = playout.finish(20 * MS)
    assert [mark.name for mark in due] == ["heard"]
    assert [(mark.name, mark.outcome) for mark in dropped.marks] == [("unheard", "dropped")]
    assert playout.played_bytes == 160


def test_the_last_sound_is_the_last_that_is_heard() -> None:
    playout = Playout()
    playout.feed(0, LOUD * 80 + b"\xff" * 8000)
    sounds = [playout.last_sound_us]
    playout.advance(500 * MS)
    sounds.append(playout.last_sound_us)
    assert sounds == [None, 10 * MS]
    assert playout.buffered_bytes


def test_kept_audio_is_what_was_played_where_it_was_played() -> None:
    playout = Playout(keep_audio=True)
    playout.feed(0, bytes(range(16)))
    playout.advance(1 * MS)
    playout.clear(1 * MS)
    assert playout.audio == [(0, bytes(range(8)))]


@dataclass(frozen=True)
class Do:
    what: str
    wait_us: int
    size: int


DOINGS = st.lists(
    st.builds(
        Do,
        what=st.sampled_from(("feed", "feed", "mark", "mark", "clear", "advance")),
        wait_us=st.one_of(st.just(0), st.integers(0, 3000), st.integers(0, 60_000)),
        size=st.integers(1, 400),
    ),
    max_size=60,
)


@given(DOINGS, st.booleans())
def test_what_holds_whatever_comes(doings: list[Do], echo_cleared: bool) -> None:
    playout = Playout(echo_cleared=echo_cleared, keep_audio=True)
    now, sent, names = 0, b"", []
    came: list[Mark] = []
    for number, do in enumerate(doings):
        now += do.wait_us
        before = playout.buffered_bytes
        if do.what == "feed":
            audio = bytes((len(sent) + n) % 251 for n in range(do.size))
            sent += audio
            came += playout.feed(now, audio)
        elif do.what == "mark":
            names.append(f"m{number}")
            came += playout.mark(now, names[-1])
        elif do.what == "advance":
            came += playout.advance(now)
            assert before - playout.buffered_bytes <= do.wait_us // US_PER_BYTE + 1, "faster than real time"
        else:
            due, cleared = playout.clear(now)
            came += [*due, *cleared.marks]
            assert playout.buffered_bytes == 0
            assert all(mark.settled_us == now for mark in cleared.marks)
        assert playout.sent_bytes == len(sent)
        assert playout.played_bytes <= now // US_PER_BYTE, "more was played than there was time for"
    due, dropped = playout.finish(now)
    came += [*due, *dropped.marks]
    check_books(playout, sent, names, came)


def check_books(playout: Playout, sent: bytes, names: list[str], came: list[Mark]) -> None:
    assert [mark.name for mark in came] == names, "every mark once, in order"
    assert came == playout.marks
    settled = [mark.settled_us for mark in came]
    assert settled == sorted(settled)
    assert all(mark.settled_us >= mark.received_us for mark in came)
    heard = b"".join(audio for _, audio in playout.audio)
    spans = b"".join(sent[span.first_byte : span.end_byte] for span in playout.spans)
    assert heard == spans, "the spans say which bytes of what was sent were heard"
    assert len(heard) == playout.played_bytes <= playout.sent_bytes
    for span in playout.spans:
        assert span.end_us - span.start_us == (span.end_byte - span.first_byte) * US_PER_BYTE
    for one, two in zip(playout.spans, playout.spans[1:], strict=False):
        assert one.end_us <= two.start_us
        assert one.end_byte <= two.first_byte
