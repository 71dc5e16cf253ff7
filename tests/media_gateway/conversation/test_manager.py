"""Dialogues as tables: what the caller says, and the state and intent after each line."""

from __future__ import annotations

import pytest

from tests.media_gateway.conversation.calls import JOHN, Book, talk

BOOK = "schedule_appointment"


def test_a_new_caller_who_needs_an_oil_change_goes_through_intent_detection_to_slot_collection() -> None:
    opened, answered = talk("inbound_new", "Hi, I need to schedule an oil change")
    assert (opened["state"], opened["intent"]) == ("greeting", None)
    assert "automated assistant" in opened["say"]
    assert (answered["state"], answered["intent"]) == ("slot_collection", BOOK)
    assert answered["slots"] == {"service_type": "oil_change"}
    assert answered["why"].endswith("intent_detection > slot_collection")


def test_a_known_caller_is_greeted_by_name() -> None:
    opened, answered = talk("inbound_existing", "Hi, I need brake service", customer=JOHN)
    assert opened["say"].startswith("Hi John,")
    assert (answered["state"], answered["intent"]) == ("slot_collection", BOOK)
    assert answered["slots"] == {"service_type": "brake_service"}


@pytest.mark.parametrize("flow", ["inbound_new", "inbound_existing", "inbound_general"])
@pytest.mark.parametrize(
    "before", [(), ("oil change",), ("oil change tomorrow at two",), ("oil change tomorrow at two", "yes")]
)
def test_a_manager_is_fetched_at_once_in_any_state(flow: str, before: tuple[str, ...]) -> None:
    last = talk(flow, *before, "I want to speak to a manager")[-1]
    assert (last["state"], last["intent"], last["escalation"]) == ("escalation", "manager_request", "manager_request")
    assert last["say"] == "Let me connect you with our service advisor."


def test_the_hours_are_answered_at_once() -> None:
    last = talk("inbound_new", "What are your hours?")[-1]
    assert (last["state"], last["intent"]) == ("execution", "check_hours")
    assert "from eight in the morning to six in the evening" in last["say"]


def test_a_booking_from_the_first_word_to_goodbye() -> None:
    book = Book()
    turns = talk("inbound_new", "i need an oil change", "tomorrow at two", "yes", "no thank you", book=book)
    assert [(turn["state"], turn["intent"]) for turn in turns] == [
        ("greeting", None),
        ("slot_collection", BOOK),
        ("confirmation", BOOK),
        ("closing", BOOK),
        ("closing", BOOK),
    ]
    assert book.booked == [{"service_type": "oil_change", "date": "2026-11-21", "time": "14:00"}]
    assert "tomorrow, Saturday the twenty-first, at two in the afternoon" in turns[2]["say"]
    assert [turn["ended"] for turn in turns] == [False, False, False, False, True]
