"""What is written is said as people say it, and what was heard of that is found again in what was written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.voice.spoken_form import Spoken, to_spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("See you then.", "See you then."),
        ("It is $49.95 today.", "It is forty-nine dollars and ninety-five cents today."),
        ("That is $1,250.", "That is one thousand two hundred fifty dollars."),
        ("About $1.5 million.", "About one point five million dollars."),
        ("$0.01, $1.01, $5.00", "one cent, one dollar and one cent, five dollars"),
        ("£20 or €1.50", "twenty pounds or one euro and fifty cents"),
        ("At 2 p.m. on Monday", "At two PM on Monday"),
        ("Come at 2 p.m.", "Come at two PM."),
        ("At 2:05 PM. Fine?", "At two oh five PM. Fine?"),
        ("from 9am-5:30pm", "from nine AM to five thirty PM"),
        ("at 14:30 or 09:00", "at two thirty in the afternoon or nine in the morning"),
        ("at 9:00 or 10:30", "at nine o'clock or ten thirty"),
        ("Call 555-123-4567 now", "Call five five five, one two three, four five six seven now"),
        ("Call (407) 555-0100.", "Call four zero seven, five five five, zero one zero zero."),
        ("+14075550100", "one, four zero seven, five five five, zero one zero zero"),
        ("on 2026-11-23", "on November twenty-third, twenty twenty-six"),
        ("on 2/3/2026", "on February third, twenty twenty-six"),
        ("on Nov. 23 or May 3rd", "on November twenty-third or May third"),
        ("your 2019 Honda", "your twenty nineteen Honda"),
        ("2000 miles", "two thousand miles"),
        ("at 60,000 miles", "at sixty thousand miles"),
        ("12000 miles", "twelve thousand miles"),
        ("Reference 407112.", "Reference four zero seven, one one two."),
        ("VIN 1HGCM82633A004352", "VIN one H G C M eight two six three three A zero zero four three five two"),
        ("3.5 quarts, 5 qt. of oil", "three point five quarts, five quarts of oil"),
        ("1 hr and 20 mins", "one hour and twenty minutes"),
        ("10% off", "ten percent off"),
        ("70°F, 5 mph", "seventy degrees Fahrenheit, five miles an hour"),
        ("the 21st of 3", "the twenty-first of three"),
        ("Dr. Jones and Mrs. Smith", "Doctor Jones and Missus Smith"),
        ("5 Elm Dr. and 6 Main St.", "five Elm Drive and six Main Street."),
        ("St. Louis", "Saint Louis"),
        ("oil, filters, etc.", "oil, filters, et cetera."),
        ("e.g. brakes & tires", "for example brakes and tires"),
        ("no. 5 or #6", "number five or number six"),
        ("2 1/2 hours, 24/7", "two and a half hours, twenty-four seven"),
        ("3-4 days", "three to four days"),
        ("**Great!** `ok` 😀 done", "Great! ok done"),
        ("joe_b@shop.co.uk", "joe underscore b at shop dot co dot uk"),
        ("it is -5 outside", "it is minus five outside"),
        ("99/99, 25:99, v1.2.3", "99/99, 25:99, v1.2.3"),
    ],
)
def test_as_people_say_it(written: str, spoken: str) -> None:
    assert to_spoken(written).text == spoken


def heard(spoken: Spoken, words: int) -> str:
    """The written text after so many spoken words were heard."""
    ends = [found.end() for found in re.finditer(r"\S+", spoken.text)]
    return spoken.written[: spoken.written_at(ends[words - 1])]


def test_what_was_heard_is_found_in_what_was_written() -> None:
    spoken = to_spoken("It is $49.95 at 2 p.m. today.")
    assert spoken.text == "It is forty-nine dollars and ninety-five cents at two PM today."
    assert heard(spoken, 2) == "It is"
    assert heard(spoken, 3) == heard(spoken, 6) == "It is "
    assert heard(spoken, 7) == "It is $49.95"
    assert heard(spoken, 8) == "It is $49.95 at"
    assert heard(spoken, 9) == "It is $49.95 at "
    assert heard(spoken, 10) == "It is $49.95 at 2 p.m."
    assert heard(spoken, 11) == spoken.written


WRITTEN = st.lists(
    st.one_of(
        st.sampled_from(
            ["It", "is", "at", "Dr.", "$5.99", "2 p.m.", "3-4", "**", "1/2", "&", "5%", "no. 7", "Nov. 3,"]
        ),
        st.text("a1.,:$/-+ #%*@&p_", max_size=8),
        st.integers(0, 10**20).map(str),
    ),
    max_size=12,
).map(" ".join)


@given(WRITTEN)
def test_the_map_runs_forward_and_covers_all(text: str) -> None:
    spoken = to_spoken(text)
    assert spoken.written == text
    places = [spoken.written_at(offset) for offset in range(len(spoken.text) + 1)]
    assert places == sorted(places)
    assert places[-1] == len(text)
    assert places[0] == 0 or spoken.spans[0].spoken == (0, 0)
    assert spoken.written_at(-1) <= places[0]
    assert spoken.written_at(10**6) == len(text)
    written = said = 0
    for span in spoken.spans:
        assert span.written[0] < span.written[1]
        assert text[written : span.written[0]] == spoken.text[said : span.spoken[0]]
        written, said = span.written[1], span.spoken[1]
    assert text[written:] == spoken.text[said:]


@given(st.text("abcdefghijklmnopqrstuvwxyz ,.!?'", max_size=80))
def test_plain_words_are_left_alone(text: str) -> None:
    plain = to_spoken(text)
    if not re.search(r"\.", text):
        assert plain == Spoken(text, text)
