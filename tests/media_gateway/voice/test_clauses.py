"""Text becomes clauses: on the terminator itself, and never inside a word, a number or an abbreviation."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.voice.clauses import FIRST, LONG, LONGEST, Clauser


def cut(text: str, size: int) -> list[str]:
    """The clauses of a text that streams in pieces of `size` characters."""
    clauser, clauses = Clauser(), list[str]()
    for at in range(0, len(text), size):
        clauses += clauser.feed(text[at : at + size])
    return clauses + clauser.flush()


@pytest.mark.parametrize("size", [1, 3, 1_000])
@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello. How are you?", ["Hello.", "How are you?"]),
        ("Dr. Jones is in. Mr. Smith is not.", ["Dr. Jones is in.", "Mr. Smith is not."]),
        ("At 2.30 p.m. tomorrow. Is that OK?", ["At 2.30 p.m. tomorrow.", "Is that OK?"]),
        ("It is $5.99. Anything else?", ["It is $5.99.", "Anything else?"]),
        ("No. We open at 9. Come then!", ["No.", "We open at 9.", "Come then!"]),
        ("Take no. 5, please.", ["Take no. 5, please."]),
        ("See you on Nov. 23 at 2 p.m. Bye!", ["See you on Nov. 23 at 2 p.m.", "Bye!"]),
        ("It is on Main St. Louis knows it.", ["It is on Main St. Louis knows it."]),
        ("It is 3.5 quarts. Fine?", ["It is 3.5 quarts.", "Fine?"]),
        ("Oil, filters, etc. Then we talk.", ["Oil, filters, etc.", "Then we talk."]),
        ("Write to joe@shop.co.uk today. Thanks.", ["Write to joe@shop.co.uk today.", "Thanks."]),
        ("See www.shop.com for it. Bye.", ["See www.shop.com for it.", "Bye."]),
        ("Ask Mrs. Li vs. Mr. Wu, e.g. Monday.", ["Ask Mrs. Li vs. Mr. Wu, e.g. Monday."]),
        ("One thing: it works", ["One thing:", "it works"]),
        ("  ", []),
        ("no end in sight", ["no end in sight"]),
    ],
)
def test_clauses(text: str, clauses: list[str], size: int) -> None:
    assert cut(text, size) == clauses


def test_a_clause_is_given_on_its_terminator_without_waiting() -> None:
    assert Clauser().feed("That is booked.") == ["That is booked."]


def test_a_number_waits_for_what_follows() -> None:
    clauser = Clauser()
    assert clauser.feed("At 2.") == []
    assert clauser.feed("30") == []
    assert clauser.feed(" sharp.") == ["At 2.30 sharp."]


def test_a_long_clause_ends_on_a_comma() -> None:
    words = "word " * (LONG // 5) + "word, "
    clauser = Clauser()
    assert clauser.feed("Well. " + words + "and") == ["Well.", words.strip()]
    assert Clauser().feed("short, and") == []


def test_the_first_clause_ends_sooner_for_the_caller_waits_for_it() -> None:
    words = "word " * (FIRST // 5) + "word, "
    clauser = Clauser()
    assert clauser.feed(words + "and") == [words.strip()]
    assert clauser.feed(" " + words + "and") == []


def test_a_date_is_one_thing_to_say() -> None:
    text = "Your appointment is on March 3, 2026 at two, and it takes an hour. Bye."
    clauses = ["Your appointment is on March 3, 2026 at two,", "and it takes an hour.", "Bye."]
    assert cut(text, 1) == cut(text, 99) == clauses


@pytest.mark.parametrize("size", [1, 1_000])
def test_marks_without_words_are_not_said(size: int) -> None:
    said = [clause.strip('.!"') for clause in cut('Really?! Yes... He said "stop." "Bye." ...', size)]
    assert [clause.removesuffix("?") for clause in said] == ["Really", "Yes", 'He said "stop', "Bye"]


@given(st.text("ab .,;:!?2\"'", max_size=200), st.integers(1, 20))
def test_no_word_is_lost_or_added(text: str, size: int) -> None:
    assert re.findall(r"\w", "".join(cut(text, size))) == re.findall(r"\w", text)


@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_who_never_stops_is_given_in_breaths_of_whole_words(size: int) -> None:
    words = ["pneumonia"] * 100
    clauses = cut(" ".join(words), size)
    assert len(clauses) > 3
    assert max(map(len, clauses)) <= LONGEST
    assert " ".join(clauses).split() == words


TEXTS = st.lists(
    st.sampled_from(
        [
            "Dr.",
            "Jones",
            "3.5",
            "2",
            "p.m.",
            "Nov.",
            "23",
            "is",
            "fine.",
            "Yes!",
            "and",
            "etc.",
            "$5.99",
            "no.",
            "a@b.co",
        ]
    ),
    max_size=30,
).map(" ".join)


@given(TEXTS, st.integers(1, 12))
def test_whatever_the_pieces_words_are_whole_and_in_order(text: str, size: int) -> None:
    assert " ".join(cut(text, size)).split() == text.split()
