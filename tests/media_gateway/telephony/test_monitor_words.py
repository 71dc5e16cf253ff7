"""What was said, from the monitor's events."""

from __future__ import annotations

from typing import Any

import pytest

from media_gateway.telephony.monitor_words import Line, Words, end, step


def user(text: str) -> dict[str, Any]:
    return {"type": "user_transcript", "user_transcription_event": {"user_transcript": text}}


def agent(text: str) -> dict[str, Any]:
    return {"type": "agent_response", "agent_response_event": {"agent_response": text}}


def corrected(whole: str, heard: str) -> dict[str, Any]:
    event = {"original_agent_response": whole, "corrected_agent_response": heard}
    return {"type": "agent_response_correction", "agent_response_correction_event": event}


def said(*events: dict[str, Any]) -> list[Line]:
    words, lines = Words(), list[Line]()
    for event in events:
        words, more = step(words, event)
        lines += more
    return [*lines, *end(words)[1]]


def test_both_sides_in_order() -> None:
    lines = said(agent("Hello Kim."), user(" Hi. "), agent("The temperature is too high."), user("I see."))
    assert [(line.turn, line.speaker, line.text) for line in lines] == [
        (0, "assistant", "Hello Kim."),
        (1, "user", "Hi."),
        (1, "assistant", "The temperature is too high."),
        (2, "user", "I see."),
    ]


def test_an_interrupted_answer_is_what_was_heard_of_it() -> None:
    lines = said(
        agent("Please send pictures of the trailer."), corrected("Please send pictures of the trailer.", "Please")
    )
    assert [(line.text, line.full_text) for line in lines] == [("Please", "Please send pictures of the trailer.")]


def test_a_correction_of_something_else_changes_nothing() -> None:
    assert [line.text for line in said(corrected("a", "b"), agent("Hello."), corrected("a", "b"))] == ["Hello."]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "ping"},
        {"type": "user_transcript"},
        {"type": "user_transcript", "user_transcription_event": "x"},
        {"type": "agent_response", "agent_response_event": {"agent_response": None}},
        {"type": "agent_response", "agent_response_event": {"agent_response": " "}},
    ],
)
def test_what_says_nothing_is_nothing(event: dict[str, Any]) -> None:
    assert said(event) == []


def test_the_same_words_twice_are_two_lines_and_again_the_same_two() -> None:
    events = (user("yes"), user("yes"))
    keys = [line.key for line in said(*events)]
    assert len(set(keys)) == 2
    assert [line.key for line in said(*events)] == keys
