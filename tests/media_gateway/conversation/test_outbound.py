"""Calls that we place: reminders, follow-ups, drivers."""

from __future__ import annotations

from typing import Any

import pytest

from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import Started, VoicemailReached
from tests.media_gateway.conversation.calls import NOW, Book, flows, talk

APPOINTMENT = {"appointment_id": "a9", "date": "2026-11-21", "time": "14:00", "service_type": "oil_change"}
JOHN = {"first_name": "John", "appointment": APPOINTMENT}
MIKE = {
    "driverName": "Mike Ross",
    "violations": [
        {"type": "violation", "description": "Temperature is at 45 degrees but needs to be 38 degrees"},
        {"type": "reminder", "description": "Please send loaded trailer pictures."},
    ],
}
OUTBOUND = ("outbound_reminder", "outbound_followup", "driver_check")


def remind(*lines: str, book: Book | None = None, variables: Any = JOHN) -> list[dict[str, Any]]:
    return talk("outbound_reminder", *lines, book=book, variables=variables)


def test_nothing_is_told_before_the_right_person_is_there() -> None:
    opened, answered = remind("yes speaking")
    assert opened["say"].startswith("Hello, this is Sunrise Auto Service. I am an automated assistant")
    assert opened["say"].endswith("Am I speaking with John?")
    assert "tomorrow, Saturday the twenty-first, at two in the afternoon" in answered["say"]


@pytest.mark.parametrize("said", ["no", "you have the wrong number", "he's not here", "there is no john here"])
def test_anybody_else_hears_a_goodbye(said: str) -> None:
    last = remind(said)[-1]
    assert last["ended"]
    assert last["slots"] == {"outcome": "wrong_person"}
    assert "two" not in last["say"]


def test_who_asks_who_is_calling_is_told_and_asked_again() -> None:
    turns = remind("who is this", "yes")
    assert turns[1]["say"].startswith("This is the automated assistant of Sunrise Auto Service")
    assert turns[1]["say"].endswith("Am I speaking with John?")
    assert "Will you be there?" in turns[2]["say"]


def test_a_reminder_is_confirmed() -> None:
    book = Book()
    turns = remind("yes", "yes i'll be there", "no", book=book)
    assert book.ran == [("confirm_appointment", {"appointment_id": "a9"})]
    assert (turns[2]["state"], turns[2]["intent"]) == ("closing", "confirm_appointment")
    assert turns[2]["slots"] == {"outcome": "confirmed"}
    assert turns[3]["ended"]
    failed = remind("yes", "i'll be there", book=Book(fails=1))[-1]
    assert failed["slots"] == {"outcome": "confirmed"}, "they will come, whether or not the book could be reached"


@pytest.mark.parametrize(
    "lines",
    [
        ("can we move it to monday at three",),
        ("no", "i'd like to reschedule", "monday at three"),
        ("i can't make it", "monday at three"),
        ("how about monday at three",),
    ],
)
def test_a_reminder_is_moved(lines: tuple[str, ...]) -> None:
    book = Book()
    turns = remind("yes", *lines, "yes", book=book)
    assert book.ran[-1] == ("reschedule_appointment", {"appointment_id": "a9", "date": "2026-11-23", "time": "15:00"})
    assert turns[-1]["slots"]["outcome"] == "moved"


@pytest.mark.parametrize("lines", [("please cancel it",), ("no", "cancel it"), ("i need to cancel",)])
def test_a_reminder_is_cancelled(lines: tuple[str, ...]) -> None:
    book = Book()
    turns = remind("yes", *lines, "yes", book=book)
    assert book.ran == [("cancel_appointment", {"appointment_id": "a9"})]
    assert turns[-1]["slots"]["outcome"] == "cancelled"


def test_a_reminder_of_nothing_says_so() -> None:
    assert "I do not have the details" in remind("yes", variables={"first_name": "John"})[-1]["say"]


@pytest.mark.parametrize("flow", OUTBOUND)
def test_an_answering_machine_gets_a_message_that_anybody_may_hear(flow: str) -> None:
    heard = talk(flow, "you have reached john please leave a message after the beep", variables={**JOHN, **MIKE})[-1]
    manager = Manager(flows()[flow])
    started = Started(NOW.isoformat(), "+15550100", variables={**JOHN, **MIKE}, direction="outbound")
    told = manager.step(manager.step(manager.start(), started).state, VoicemailReached(NOW.isoformat()))
    assert told.directive.say == heard["say"]
    assert (told.directive.after, told.directive.interruptible) == ("hangup", False)
    assert told.state.slots["outcome"] == "voicemail"
    for private in ("John", "Mike", "oil", "two", "45"):
        assert private not in told.directive.say


def test_a_good_word_is_noted_and_a_complaint_goes_to_a_person() -> None:
    happy = talk("outbound_followup", "yes", "it was great", "no", variables=JOHN)
    assert happy[2]["slots"] == {"outcome": "happy", "feedback": "it was great"}
    assert happy[3]["ended"]
    for lines in (("no", "my brakes still squeak"), ("they still make a noise",), ("it was terrible",)):
        last = talk("outbound_followup", "yes", *lines, variables=JOHN)[-1]
        assert (last["state"], last["escalation"]) == ("escalation", "complaint")
        assert last["slots"]["feedback"] == lines[-1]
        assert last["say"].endswith("Let me connect you with our service advisor.")


@pytest.mark.parametrize(
    ("said", "status", "note"),
    [
        ("yes", "acknowledged", None),
        ("will do", "acknowledged", None),
        ("ten four", "acknowledged", None),
        ("okay i'll turn it down right now", "acknowledged", "okay i'll turn it down right now"),
        ("that's not true it is at 38", "disputed", "that's not true it is at 38"),
        ("the reefer unit broke down in ohio", "explained", "the reefer unit broke down in ohio"),
        ("no because i was stuck in traffic", "explained", "no because i was stuck in traffic"),
    ],
)
def test_an_item_is_acknowledged_explained_or_disputed(said: str, status: str, note: str | None) -> None:
    turns = talk("driver_check", "yes", said, variables=MIKE)
    assert "I have two items for you. Temperature is at 45 degrees but needs to be 38 degrees." in turns[1]["say"]
    assert turns[2]["slots"].get("item_1") == status
    assert turns[2]["slots"].get("item_1_note") == note
    assert "Please send loaded trailer pictures. Will you do that?" in turns[2]["say"]


def test_a_bare_no_is_asked_about_and_all_is_reported_back() -> None:
    turns = talk("driver_check", "yes", "will do", "no", "i already sent them", "no", variables=MIKE)
    assert turns[3]["say"] == "All right. What should I tell dispatch?"
    assert turns[4]["slots"] == {
        "item_1": "acknowledged",
        "item_2": "disputed",
        "item_2_note": "i already sent them",
        "outcome": "reported",
        "report": "Temperature is at 45 degrees but needs to be 38 degrees: acknowledged. "
        "Please send loaded trailer pictures: disputed",
    }
    assert turns[4]["say"].startswith("To sum up. Temperature is at 45 degrees")
    assert turns[5]["ended"]


def test_a_driver_may_add_something_and_is_not_sold_an_oil_change() -> None:
    lines = ("yes", "will do", "will do", "tell them the brakes on the trailer are making noise", "no")
    turns = talk("driver_check", *lines, variables=MIKE)
    assert turns[4]["slots"]["remark"].startswith("tell them the brakes")
    assert turns[4]["tools"] == []
    assert turns[5]["ended"]


def test_what_is_not_understood_is_asked_again_with_the_item() -> None:
    last = talk("driver_check", "yes", "purple", variables=MIKE)[-1]
    assert "Temperature is at 45 degrees but needs to be 38 degrees. Will you take care of it" in last["say"]


@pytest.mark.parametrize("flow", OUTBOUND)
@pytest.mark.parametrize("before", [(), ("yes",)])
def test_a_manager_is_fetched_in_these_flows_too(flow: str, before: tuple[str, ...]) -> None:
    last = talk(flow, *before, "I want to speak to a manager", variables={**JOHN, **MIKE})[-1]
    assert (last["state"], last["intent"], last["escalation"]) == ("escalation", "manager_request", "manager_request")
    assert last["say"] == "Let me connect you with our service advisor."


def test_keys_answer_yes_and_no_here_too() -> None:
    book = Book()
    remind("#1", "#1", book=book)
    assert book.ran == [("confirm_appointment", {"appointment_id": "a9"})]
    assert talk("driver_check", "#1", "#1", variables=MIKE)[-1]["slots"] == {"item_1": "acknowledged"}


STOP = [
    "stop calling me",
    "please take me off your list",
    "don't call me again",
    "remove my number from your list please",
    "put this number on the do not call list",
    "no more calls please",
    "yes but do not ever call here again",
]


@pytest.mark.parametrize("flow", OUTBOUND)
@pytest.mark.parametrize("said", STOP)
def test_whoever_wants_no_more_calls_gets_none(flow: str, said: str) -> None:
    """Before it is known who they are; done first, then confirmed, then goodbye."""
    book = Book()
    last = talk(flow, said, book=book, variables=MIKE if flow == "driver_check" else JOHN)[-1]
    assert book.ran == [("stop_calling", {})]
    assert last["ended"]
    assert last["slots"]["outcome"] == "do_not_call"
    assert "will not call it again" in last["say"]


def test_in_the_middle_of_the_talk_too() -> None:
    book = Book()
    last = remind("yes", "stop calling me", book=book)[-1]
    assert [name for name, _ in book.ran] == ["stop_calling"]
    assert last["ended"]


def test_where_the_list_cannot_be_written_the_team_gets_a_message() -> None:
    book = Book(fails=1)
    last = remind("stop calling me", book=book)[-1]
    assert [name for name, _ in book.ran] == ["stop_calling", "take_message"]
    assert last["ended"]
    assert "could not note that" in last["say"]


@pytest.mark.parametrize("said", ["stop", "call me again tomorrow", "take it off my list of things to do"])
def test_what_only_sounds_like_it_stops_nothing(said: str) -> None:
    book = Book()
    remind(said, book=book)
    assert ("stop_calling", {}) not in book.ran


def test_a_caller_of_ours_is_not_taken_at_that_word() -> None:
    book = Book()
    talk("inbound_new", "stop calling me", book=book)
    assert ("stop_calling", {}) not in book.ran
