"""A human voice at phone quality (Debian's asterisk-core-sounds-en-wav), through the same recogniser. Reported, not
praised: single words come out half right at best, and what lies outside the booking words must be refused."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import jiwer
import numpy as np
import pytest

from media_gateway.providers import mulaw
from tests.conftest import require
from tests.media_gateway.providers.hearing import finals, hear, text_of

_FOLDER = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_HOURS = {"1": "one", "2": "two", "3": "three", "8": "eight", "9": "nine", "10": "ten", "11": "eleven", "12": "twelve"}
_IN_DOMAIN = {
    **{f"digits/day-{number}": day for number, day in enumerate(_DAYS)},
    **{f"digits/{number}": word for number, word in _HOURS.items()},
    **{"digits/today": "today", "digits/tomorrow": "tomorrow", "vm-goodbye": "goodbye", "hello": "hello"},
    **{"sorry": "sorry", "vm-no": "no", "hours": "hours"},
}
_OTHERS = (
    *("conf-getpin", "privacy-prompt", "vm-nobodyavail", "cannot-complete-as-dialed", "queue-periodic-announce"),
    *("vm-newuser", "demo-echotest", "pls-hold-while-try", "vm-isunavail", "demo-congrats", "vm-intro", "tt-weasels"),
    *("call-forwarding", "conf-onlyperson", "priv-recordintro", "demo-abouttotry", "something-terribly-wrong"),
)


def _clip(name: str) -> bytes:
    with wave.open(str(_FOLDER / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return mulaw.encode(np.frombuffer(file.readframes(file.getnframes()), dtype="<i2"))


@pytest.fixture(autouse=True)
def _recordings() -> None:
    require(_FOLDER.is_dir(), "recorded human speech", "apt-get install asterisk-core-sounds-en-wav")


def test_single_words_of_the_flow(record_property: Callable[[str, object], None]) -> None:
    heard = {name: text_of(hear(_clip(name))) for name in _IN_DOMAIN}
    rate = jiwer.wer(list(_IN_DOMAIN.values()), list(heard.values()))
    record_property("word_error_rate_human_single_words", round(rate, 3))
    print(f"word error rate, human voice, {len(heard)} single words: {rate:.1%} {heard}")
    exact = sum(heard[name] == word for name, word in _IN_DOMAIN.items())
    print(f"exactly right: {exact} of {len(heard)}")
    assert rate < 0.8
    assert exact >= len(heard) // 2


def test_what_no_booking_caller_says_is_mostly_refused(record_property: Callable[[str, object], None]) -> None:
    heard = [finals(hear(_clip(name))) for name in _OTHERS]
    turns = [final for turn in heard for final in turn]
    refused = sum(not final["understood"] for final in turns) / len(turns)
    record_property("human_out_of_domain_refused", round(refused, 3))
    print(f"human voice outside the domain: {refused:.0%} of {len(turns)} turns refused")
    assert refused > 0.75


def test_a_long_call_of_all_of_it_breaks_nothing() -> None:
    events = hear(*(_clip(name) for name in _OTHERS[:6]))
    kinds = [event["event"] for event in events]
    assert kinds.count("started") == kinds.count("final") + kinds.count("ended")
