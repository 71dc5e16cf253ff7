"""Thinking ahead: a guess is adopted or dropped, never both, and only for the words that were said in the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.voice.speculation import (
    MOST,
    Adopt,
    Begin,
    Command,
    Committed,
    Drop,
    Eager,
    Event,
    Lost,
    Moved,
    Resumed,
    Speculation,
    step,
    words,
)

TEXTS = st.sampled_from(["", "...", "yes", "Yes.", "yes please", "oil change", "Oil change?"])
EVENTS = st.lists(
    st.one_of(
        st.builds(Eager, TEXTS),
        st.builds(Committed, TEXTS),
        st.just(Resumed()),
        st.just(Moved()),
        st.builds(Lost, st.integers(1, 6)),
    ),
    max_size=40,
)


def ran(*events: Event) -> list[Command]:
    now, commands = Speculation(), list[Command]()
    for event in events:
        now, more = step(now, event)
        commands += more
    return commands


def test_the_same_words_adopt_the_guess() -> None:
    assert ran(Eager("oil change"), Committed("Oil change.")) == [Begin(1, "oil change"), Adopt(1)]


def test_other_words_drop_it() -> None:
    assert ran(Eager("oil change"), Committed("oil change tomorrow")) == [Begin(1, "oil change"), Drop(1)]


def test_who_goes_on_speaking_is_thought_about_anew() -> None:
    assert ran(Eager("oil"), Resumed(), Eager("oil change"), Committed("oil change")) == [
        Begin(1, "oil"),
        Drop(1),
        Begin(2, "oil change"),
        Adopt(2),
    ]


def test_a_caller_who_hesitates_costs_no_more_than_so_much() -> None:
    hesitating = [event for n in range(MOST + 3) for event in (Eager(f"word {n}"), Resumed())]
    assert sum(isinstance(command, Begin) for command in ran(*hesitating)) == MOST
    assert isinstance(ran(*hesitating, Committed("word"), Eager("more"))[-1], Begin)


@given(EVENTS)
def test_adopted_or_dropped_and_never_both(events: list[Event]) -> None:
    now = Speculation()
    alive: dict[int, tuple[str, ...]] = {}
    begun: set[int] = set()
    for event in events:
        now, commands = step(now, event)
        for command in commands:
            match command:
                case Begin(guess, text):
                    assert isinstance(event, Eager)
                    assert guess not in begun
                    begun.add(guess)
                    alive[guess] = words(text)
                    assert words(text)
                case Adopt(guess):
                    assert isinstance(event, Committed)
                    assert alive.pop(guess) == words(event.text)
                case Drop(guess):
                    alive.pop(guess)  # it was there, and it is gone now
        if isinstance(event, Lost):
            alive.pop(event.guess, None)
        if isinstance(event, Committed | Moved | Resumed):
            assert not alive
        assert len(alive) <= 1
