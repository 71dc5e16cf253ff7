"""VINs as they are said, and the rules that need no service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.records.vin import check_digit, from_speech, model_year, problem

HONDA = "1HGCM82633A004352"


@pytest.mark.parametrize("vin", [HONDA, "1M8GDM9AXKP042788", "11111111111111111", "5YJSA1E27HF000337"])
def test_real_ones_pass(vin: str) -> None:
    assert problem(vin) is None


@pytest.mark.parametrize(
    ("vin", "wrong"),
    [
        ("1HGCM82633A004353", "check_digit"),
        ("1HGCM8263A3004352", "check_digit"),
        ("1HGCM82633A00435", "length"),
        ("", "length"),
        ("1HGCM82633A0043522", "length"),
        ("1HGCM82633A00435!", "characters"),
        ("1HGCM826?3A004352", "characters"),
    ],
)
def test_what_cannot_be_is_named(vin: str, wrong: str) -> None:
    assert problem(vin) == wrong


def test_positions_that_must_be_digits_or_a_year() -> None:
    letters = "1HGCM82603A00A352"
    assert problem(letters[:8] + check_digit(letters) + letters[9:]) == "positions"
    year = "1HGCM8260UA004352"
    assert problem(year[:8] + check_digit(year) + year[9:]) == "positions"


def test_europe_has_no_check_digit() -> None:
    assert problem("WVWZZZ1KZAW123456") is None
    assert model_year("WVWZZZ1KZAW123456") is None


@pytest.mark.parametrize(
    "said",
    [
        HONDA,
        "1hgcm82633a004352",
        "1 H G C M 8 2 6 3 3 A 0 0 4 3 5 2",
        "I H G C M 8 2 6 3 3 A O Q 4 3 5 2",
        "one H G C M eight two six three three A double zero four three five two",
        "1HGCM-82633-A004352",
        "one, hotel, golf, charlie, mike, eight, two, six, three, three, alpha, oh, oh, four, three, five, two.",
        "1 H as in hotel G for George C M 8 2 6 double 3 A 0 0 4 3 5 2",
    ],
)
def test_however_it_is_said(said: str) -> None:
    assert from_speech(said) == HONDA


@pytest.mark.parametrize(("vin", "year"), [(HONDA, 2003), ("5YJSA1E27HF000337", 2017), ("1M8GDM9AXKP042788", 1989)])
def test_the_model_year_is_in_it(vin: str, year: int) -> None:
    assert model_year(vin) == year


@given(st.text(max_size=60))
def test_nothing_that_is_said_breaks_it(said: str) -> None:
    vin = from_speech(said)
    assert problem(vin) is not None or len(vin) == 17


@given(st.integers(0, 16), st.sampled_from("0123456789ABCDEFGHJKLMNPRSTUVWXYZ"))
def test_one_wrong_character_is_noticed(at: int, character: str) -> None:
    """Any single wrong character, except where two have the same value or the first says: not from here."""
    wrong = HONDA[:at] + character + HONDA[at + 1 :]
    values = {one: check_digit("1" * 7 + one + "0" + "1" * 8) for one in (HONDA[at], character)}
    if at and at != 8 and values[HONDA[at]] != values[character]:
        assert problem(wrong) is not None
