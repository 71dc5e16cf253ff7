"""Appointments that stand, the second fact, and errands."""

from __future__ import annotations

import pytest

from tests.media_gateway.conversation.calls import APPOINTMENT, JOHN, Book, talk

OTHER = {"appointment_id": "a8", "date": "2026-11-25", "time": "10:00", "service_type": "oil_change"}


def test_an_appointment_is_moved_once_the_caller_has_shown_who_they_are() -> None:
    book = Book()
    lines = ("i need to reschedule my appointment", "smith", "tuesday at ten", "yes", "no thanks")
    turns = talk("inbound_existing", *lines, book=book, customer=JOHN)
    assert [turn["state"] for turn in turns[1:]] == [
        "slot_collection", "slot_collection", "confirmation", "closing", "closing",
    ]  # fmt: skip
    assert turns[1]["say"] == "Please tell me your last name."
    assert "Monday" not in turns[1]["say"]
    assert turns[4]["tools"][0]["name"] == "reschedule_appointment"
    assert turns[4]["tools"][0]["arguments"] == {"appointment_id": "a7", "date": "2026-11-24", "time": "10:00"}
    assert turns[4]["say"].startswith("It is moved: a brake service, on Tuesday the twenty-fourth, at ten")
    assert turns[5]["ended"]


def test_an_appointment_is_cancelled_after_it_was_read_back() -> None:
    book = Book(verified=True)
    turns = talk("inbound_existing", "please cancel my appointment", "yes", book=book, customer=JOHN)
    assert turns[1]["say"].startswith("That is a brake service, on Monday the twenty-third, at two in the afternoon.")
    assert (turns[1]["state"], turns[1]["intent"]) == ("confirmation", "cancel_appointment")
    assert book.ran[-1] == ("cancel_appointment", {"appointment_id": "a7"})
    assert turns[2]["slots"]["outcome"] == "cancelled"
    kept = talk("inbound_existing", "please cancel my appointment", "no", book=Book(verified=True), customer=JOHN)
    assert kept[2]["say"].startswith("All right, it stays as it is.")


def test_of_several_appointments_the_caller_says_which() -> None:
    for answer in ("the second one", "the oil change", "the one on wednesday", "ten"):
        book = Book(verified=True, appointments=[APPOINTMENT, OTHER])
        turns = talk("inbound_existing", "cancel my appointment", answer, "yes", book=book, customer=JOHN)
        assert "Which one do you mean?" in turns[1]["say"]
        assert book.ran[-1] == ("cancel_appointment", {"appointment_id": "a8"}), answer


def test_a_caller_hears_when_their_appointment_is_or_that_there_is_none() -> None:
    told = talk("inbound_existing", "when is my appointment", book=Book(verified=True), customer=JOHN)[-1]
    assert (told["state"], told["intent"]) == ("execution", "check_appointment")
    assert told["say"].startswith("You have a brake service, on Monday the twenty-third, at two in the afternoon.")
    none = talk("inbound_existing", "cancel my appointment", book=Book(verified=True, appointments=[]))[-1]
    assert none["say"].startswith("I do not find an appointment")


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        ("smith", {"last_name": "smith"}),
        ("my last name is smith", {"last_name": "smith"}),
        ("it's zero one nine nine", {"last_four": "0199"}),
        ("o one nine nine", {"last_four": "0199"}),
        ("#0199", {"last_four": "0199"}),
        ("four oh seven one one two", {"reference": "407112"}),
        ("407112 and my last name is smith", {"reference": "407112", "last_name": "smith"}),
    ],
)
def test_a_second_fact_is_read_from_what_is_said_or_pressed(said: str, facts: dict[str, str]) -> None:
    book = Book()
    talk("inbound_existing", "when is my appointment", said, book=book, customer=JOHN)
    assert book.ran[1] == ("verify_caller", facts)


def test_what_is_not_enough_is_asked_on_and_what_is_wrong_twice_goes_to_a_person() -> None:
    more = talk("inbound_new", "when is my appointment", "four zero seven one one two", "smith")
    assert more[2]["say"] == "Thank you. And your last name, please?"
    assert more[3]["state"] == "execution"
    wrong = talk("inbound_new", "when is my appointment", "jones", "brown")
    assert wrong[2]["say"] == "That does not match. Once more, please?"
    assert (wrong[3]["state"], wrong[3]["escalation"]) == ("escalation", "policy")


def test_while_one_is_being_booked_cancel_means_this_one() -> None:
    turns = talk("inbound_new", "oil change tomorrow", "cancel the appointment")
    assert turns[2]["say"].startswith("All right, I have not booked anything.")
    assert turns[2]["tools"] == []


def test_a_message_is_taken_word_for_word() -> None:
    book = Book()
    said = "tell the manager that I want to speak with him about my transmission"
    turns = talk("inbound_new", "can i leave a message", said, book=book)
    assert book.ran == [("take_message", {"text": said})]
    assert turns[2]["say"].startswith("I have passed it on.")


@pytest.mark.parametrize(
    ("answer", "arguments"),
    [
        ("five five five zero one zero zero", {"text": "please hurry up", "callback": "5550100"}),
        ("bob at example dot com", {"text": "please hurry up (reach me at: bob at example dot com)"}),
        ("no", {"text": "please hurry up"}),
    ],
)
def test_who_calls_without_a_number_is_asked_for_one(answer: str, arguments: dict[str, str]) -> None:
    book = Book()
    talk("inbound_general", "take a message", "please hurry up", answer, book=book)
    assert book.ran == [("take_message", arguments)]


def test_a_vehicle_number_is_decoded_and_the_booking_goes_on() -> None:
    turns = talk("inbound_new", "oil change", "my vin is 1 h g c m 8 2 6 3 3 a 0 0 4 3 5 2", "tomorrow at two")
    assert turns[2]["say"] == "That is a 2003 Honda. What day works for you?"
    assert turns[2]["slots"]["vin"] == "1HGCM82633A004352"
    assert turns[3]["state"] == "confirmation"


def test_a_wrong_vehicle_number_is_asked_for_once_more_and_then_left() -> None:
    wrong = "1 h g c m 8 2 6 3 3 a 0 0 4 3 5 3"
    turns = talk("inbound_new", "oil change", "i have the vin", wrong, wrong)
    assert turns[3]["say"].startswith("That VIN does not add up. Please read me")
    assert turns[4]["say"].endswith("our service advisor will look it up. What day works for you?")


def test_a_text_message_is_sent_about_what_was_booked() -> None:
    book = Book()
    talk("inbound_new", "text me that", "oil change tomorrow at two", "yes", "text me that", book=book)
    assert [name for name, _ in book.ran] == ["get_available_slots", "book_appointment", "send_sms_confirmation"]
    assert book.ran[-1][1] == {"appointment_id": "a1"}
