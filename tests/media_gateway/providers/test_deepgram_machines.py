"""The two machines on the vendor's documented messages, and on what no vendor should ever say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers import deepgram_messages as wire
from media_gateway.providers import deepgram_v1, deepgram_v2
from media_gateway.providers.deepgram_hearing import State, advance
from media_gateway.providers.hearing_steps import (
    At,
    Command,
    Dropped,
    Force,
    GaveUp,
    Lifecycle,
    Listen,
    Opened,
    Wait,
    Waited,
)
from media_gateway.voice.ports import EagerFinal, Final, Partial, SpeechEnded, SpeechStarted, TurnResumed


class Run:
    """A machine, and what it has asked for."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.told: list[Command] = []
        self.wait: float | None = None

    def take(self, event: wire.Message | Lifecycle | dict[str, Any], at_ms: float) -> list[Command]:
        """One event when so much of the call's sound has been sent."""
        if isinstance(event, dict):
            decoded = wire.decode(json.dumps(event).encode())
            assert decoded
            event = decoded
        self.state, commands = advance(self.state, event, At(at_ms, at_ms))
        for command in commands:
            if isinstance(command, Wait):
                self.wait = command.ms
        new: list[Command] = [command for command in commands if not isinstance(command, Wait)]
        self.told += new
        return new


def results(text: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    """As the vendor's documentation shows it; the words share the time evenly."""
    words = text.split()
    step = (end - start) / max(len(words), 1)
    said = [
        {"word": word, "start": start + n * step, "end": start + (n + 1) * step, "confidence": 0.9}
        for n, word in enumerate(words)
    ]
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "start": start,
        "duration": end - start,
        "is_final": False,
        "speech_final": False,
        "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": said}]},
        "metadata": {"request_id": "r", "model_info": {}, "model_uuid": "m"},
        **more,
    }


def ended(last_word_end: float) -> dict[str, Any]:
    return {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last_word_end}


def turn(event: str, text: str, index: int = 0, end: float = 1.0) -> dict[str, Any]:
    words = [{"word": word, "confidence": 0.9} for word in text.split()]
    return {
        "type": "TurnInfo",
        "request_id": "r",
        "sequence_id": 1,
        "event": event,
        "turn_index": index,
        "audio_window_start": 0.0,
        "audio_window_end": end,
        "transcript": text,
        "words": words,
        "end_of_turn_confidence": 0.8,
    }


DONE = {"is_final": True, "speech_final": True}


def test_pieces_are_gathered_and_the_turn_ends_once_though_both_signals_come() -> None:
    run = Run(deepgram_v1.Listening(300))
    assert run.take(results("i need", 0, 1), 1_000) == [SpeechStarted(), Partial("i need")]
    assert run.take(results("i need an", 0, 1.5, is_final=True), 1_500) == [Partial("i need an")]
    assert run.take(results("", 1.5, 1.8), 1_800) == []
    (partial, final) = run.take(results("oil change", 1.5, 2.5, **DONE), 2_900)
    assert partial == Partial("i need an oil change")
    assert isinstance(final, Final)
    assert (final.text, final.speech_end_ms) == ("i need an oil change", 400)
    assert final.confidence == pytest.approx(0.9)
    assert run.take(ended(2.5), 3_500) == []
    assert run.take(results("", 2.5, 5.5, is_final=True), 5_500) == []


def test_an_utterance_end_before_the_final_result_of_the_same_words_is_one_turn() -> None:
    """Whoever forgets what was said in the turn before says "oil change" twice."""
    run = Run(deepgram_v1.Listening(600))
    run.take(results("oil change", 0, 1), 1_000)
    assert run.take(ended(1.0), 2_050) == [Final("oil change", confidence=None, speech_end_ms=1050)]
    assert run.take(results("oil change", 0, 1.02, **DONE), 2_100) == []
    told = run.take(results("oil change tomorrow", 0, 1.5, is_final=True), 3_100)
    assert told == [SpeechStarted(), Partial("tomorrow")]  # the words that are new are not lost with the old ones


def test_sound_alone_is_no_turn_and_ends() -> None:
    run = Run(deepgram_v1.Listening(600))
    assert run.take({"type": "SpeechStarted", "channel": [0], "timestamp": 0.5}, 600) == [SpeechStarted()]
    assert run.take({"type": "SpeechStarted", "channel": [0], "timestamp": 0.7}, 800) == []
    assert run.take(results("", 0, 1.5, **DONE), 1_500) == [SpeechEnded()]


def test_sound_while_a_turn_is_about_to_end_waits_for_its_words_but_not_for_ever() -> None:
    run = Run(deepgram_v1.Listening(600))
    run.take(results("my number is", 0, 1, **DONE), 1_300)
    assert run.wait == 300
    for n in range(5):
        run.take({"type": "SpeechStarted", "channel": [0], "timestamp": 1.4}, 1_400 + 600 * n)
    assert run.wait == 600
    assert isinstance(run.state, deepgram_v1.Listening)
    assert run.state.extensions == deepgram_v1.MAX_EXTENSIONS
    assert [type(event) for event in run.take(Waited(), 2_000)] == [Final]


def test_more_patience_in_the_middle_of_a_turn_counts_from_its_last_word() -> None:
    run = Run(deepgram_v1.Listening(400))
    run.take(results("five five five", 0, 1, **DONE), 1_300)
    assert run.wait == 100
    run.take(Listen(1_500), 1_300)
    assert run.wait == 1_200


def test_words_after_which_nothing_comes_are_a_turn_all_the_same() -> None:
    run = Run(deepgram_v1.Listening(600))
    run.take(results("hello", 0, 1), 1_000)
    assert run.wait == 1_000 + deepgram_v1.STUCK_MS
    assert [type(event) for event in run.take(Waited(), 6_000)] == [Final]


def test_flux_turns_are_said_once_and_an_early_end_that_was_wrong_is_taken_back() -> None:
    run = Run(deepgram_v2.Listening(600))
    assert run.take(turn("StartOfTurn", "yes"), 1_000) == [SpeechStarted(), Partial("yes")]
    assert run.take(turn("EagerEndOfTurn", "yes"), 1_200)[-1] == EagerFinal("yes", 0.8, 200)
    # The vendor promises a TurnResumed before an end with another text. Should it forget:
    assert run.take(turn("EndOfTurn", "yes please"), 1_600) == [
        TurnResumed(),
        Final("yes please", confidence=0.8, speech_end_ms=600),
    ]
    assert run.take(turn("EndOfTurn", "yes please"), 1_700) == []
    assert run.take(turn("Update", "", index=1), 1_900) == []


def test_flux_is_asked_to_end_a_turn_that_it_leaves_open_and_then_it_is_ended_for_it() -> None:
    run = Run(deepgram_v2.Listening(600))
    run.take(turn("StartOfTurn", "hello"), 1_000)
    assert run.take(Waited(), 9_000) == [Force()]
    assert run.take(Waited(), 13_000)[0] == Final("hello", confidence=None, speech_end_ms=12_000)
    assert run.take(turn("EndOfTurn", "hello"), 14_000) == []


def test_speculation_does_not_outlive_its_connection() -> None:
    run = Run(deepgram_v2.Listening(600))
    run.take(turn("EagerEndOfTurn", "yes"), 1_000)
    assert run.take(Dropped(), 1_100) == [TurnResumed(), SpeechEnded()]
    run.take(Opened(1_000), 1_500)
    assert run.wait is not None
    assert run.take(Waited(), 9_000) == [Final("yes", confidence=None, speech_end_ms=8_000)]


HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{",
    b'{"type":7}',
    b'{"type":"Results"}',
    b'{"type":"Results","start":"0","duration":1,"channel":{}}',
    b'{"type":"Results","start":0,"duration":1,"channel":{"alternatives":[{"transcript":5}]}}',
    b'{"type":"TurnInfo","event":"EndOfTurn","turn_index":1.5,"audio_window_end":0}',
    b'{"type":"UtteranceEnd","last_word_end":NaN}',
    b"\xff\xfe",
    b"[" * 100_000,
]


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_message_is_refused_as_such(raw: bytes) -> None:
    with pytest.raises(wire.Garbled):
        wire.decode(raw)


def test_a_message_of_tomorrow_is_no_fault() -> None:
    assert wire.decode(b'{"type":"FromTheFuture","deep":[1,{"a":2}]}') is None
    known = wire.decode(b'{"type":"UtteranceEnd","last_word_end":1,"channel":[0],"new":{"x":1}}')
    assert known == wire.UtteranceEnd(1.0)


times = st.one_of(st.floats(-1e308, 1e308), st.floats(0, 20))
texts = st.sampled_from(["", " ", "yes", "oil change", "one two three"])
words = st.lists(
    st.builds(wire.Word, word=st.sampled_from(["a", "b"]), start=st.none() | times, end=st.none() | times), max_size=3
).map(tuple)
alternatives = st.builds(wire.Alternative, transcript=texts, confidence=st.floats(0, 1), words=words)
events = st.one_of(
    st.builds(
        wire.Results,
        start=times,
        duration=times,
        channel=st.builds(wire.Channel, alternatives=st.lists(alternatives, max_size=1).map(tuple)),
        is_final=st.booleans(),
        speech_final=st.booleans(),
        from_finalize=st.booleans(),
    ),
    st.builds(wire.SpeechBegan, timestamp=times),
    st.builds(wire.UtteranceEnd, last_word_end=times),
    st.builds(
        wire.TurnInfo,
        event=st.sampled_from(["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn", "Else"]),
        turn_index=st.integers(-2, 3),
        audio_window_end=times,
        transcript=texts,
        words=words,
        end_of_turn_confidence=st.floats(0, 1),
    ),
    st.builds(Opened, offset_ms=st.floats(0, 20_000)),
    st.just(Dropped()),
    st.just(Waited()),
    st.builds(Listen, patience_ms=st.integers(100, 10_000)),
)


@pytest.mark.parametrize("first", [deepgram_v1.Listening(), deepgram_v2.Listening()], ids=["v1", "v2"])
@settings(max_examples=150, deadline=None, derandomize=True)
@given(told=st.lists(st.tuples(events, st.integers(0, 400)), max_size=25))
def test_whatever_is_said_turns_are_whole_and_nothing_is_left_hanging(
    first: State, told: list[tuple[wire.Message | Lifecycle, int]]
) -> None:
    run, at = Run(first), 0
    for event, later in told:
        at += later
        if isinstance(event, Opened):  # no connection begins in the future
            event = Opened(min(event.offset_ms, at))
        run.take(event, at)
    run.take(GaveUp(), at)
    assert not run.state.pending
    early: str | None = None
    for heard in run.told:
        if isinstance(heard, Partial | EagerFinal | Final):
            assert heard.text.strip()
        if isinstance(heard, EagerFinal):
            assert early is None
            early = heard.text
        elif isinstance(heard, TurnResumed):
            assert early is not None
            early = None
        elif isinstance(heard, Final):
            assert early in (None, heard.text)
            assert heard.speech_end_ms is not None
            assert 0 <= heard.speech_end_ms <= at
            early = None
    assert early is None
    assert 0 <= run.state.resume_ms <= at


def test_how_patient_a_state_is_says_how_sure_flux_must_be() -> None:
    def sure(patience_ms: int) -> dict[str, float | int]:
        return wire.thresholds(ListeningProfile(patience_ms=patience_ms))

    assert sure(600) == {"eot_threshold": 0.7, "eager_eot_threshold": 0.5, "eot_timeout_ms": 2_200}
    assert sure(1_500) == {"eot_threshold": 0.9, "eager_eot_threshold": 0.7, "eot_timeout_ms": 4_000}
    for patience in range(100, 10_001, 100):
        limits = sure(patience)
        assert 0.5 <= limits["eot_threshold"] <= 1.0
        assert 0.3 <= limits["eager_eot_threshold"] <= min(0.9, limits["eot_threshold"])
        assert 500 <= limits["eot_timeout_ms"] <= 60_000


def test_keyterms_are_as_many_as_the_vendor_takes() -> None:
    terms = wire.keyterms(ListeningProfile(keyterms=(" brakes ", "brakes", "", *(f"part {n:04}" for n in range(500)))))
    assert terms[:2] == ("brakes", "part 0000")
    assert len(terms) <= wire.MAX_KEYTERMS
    assert sum(map(len, terms)) <= wire.MAX_KEYTERM_LETTERS
