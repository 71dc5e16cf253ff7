"""What callers' words mean to the shipped flow: intents, yes and no, services. And what means nothing."""

from __future__ import annotations

import pytest

from tests.media_gateway.conversation.calls import NOW, flows

EAR = flows()["inbound_new"].ear

INTENTS = {
    "i'd like to book an appointment please": "schedule_appointment",
    "can you fit me in": "schedule_appointment",
    "hi can i bring my car in": "schedule_appointment",
    "i need to make an appointment for my truck": "schedule_appointment",
    "um i need service": "schedule_appointment",
    "what are your hours": "check_hours",
    "What time do you close on Friday?": "check_hours",
    "are you guys open on sundays": "check_hours",
    "when do you open": "check_hours",
    "could you tell me your opening hours": "check_hours",
    "where are you located": "check_location",
    "hi where are you please": "check_location",
    "what's the address": "check_location",
    "how much is an oil change": "check_prices",
    "what do you charge for brakes": "check_prices",
    "i want to speak to a manager": "manager_request",
    "get me your manager now": "manager_request",
    "let me talk to a real person": "manager_request",
    "are you a robot": "who_are_you",
    "am i talking to a real person": "who_are_you",
    "are you a real person": "who_are_you",
    "i want a real person": "manager_request",
    "can i come in tomorrow": "schedule_appointment",
    "operator": "manager_request",
    "can i speak with someone": "manager_request",
    "this is ridiculous": "anger",
    "i am so angry right now": "anger",
    "my car is on fire": "emergency",
    "i want to cancel my appointment": "cancel_appointment",
    "never mind": "abandon_booking",
    "what did you say": "repeat",
    "sorry can you repeat that": "repeat",
    "i didn't catch that": "repeat",
    "okay bye": "goodbye",
    "hello": "hello",
    "no that's all": "done",
    "no thank you so much": "done",
}


@pytest.mark.parametrize("said", sorted(INTENTS))
def test_an_intent(said: str) -> None:
    assert EAR.hear(said, NOW).intents[:1] == (INTENTS[said],)


@pytest.mark.parametrize(
    ("said", "yes"),
    [
        ("yes", True),
        ("yeah that works", True),
        ("sure go ahead", True),
        ("no problem", True),
        ("why not", True),
        ("that's right", True),
        ("no", False),
        ("that's not right", False),
        ("no thanks", False),
        ("that doesn't work", False),
        ("i don't know", None),
        ("my car", None),
        ("a bright light", None),
    ],
)
def test_yes_and_no(said: str, yes: bool | None) -> None:
    assert EAR.hear(said, NOW).yes is yes


@pytest.mark.parametrize(
    ("said", "service"),
    [
        ("i need an oil change", "oil_change"),
        ("my brakes are squeaking", "brake_service"),
        ("can you rotate my tires", "tire_rotation"),
        ("the check engine light is on", "diagnostics"),
        ("not the brakes the oil change", "oil_change"),
        ("oil change no sorry brake service", "brake_service"),
        ("i need a haircut", None),
    ],
)
def test_a_service(said: str, service: str | None) -> None:
    assert EAR.hear(said, NOW).service == service


@pytest.mark.parametrize(
    "said",
    [
        "the number you have dialed is not in service",
        "please enter your password followed by the pound key",
        "you have no messages",
        "all of our representatives are busy",
        "do you sell flowers",
        "what is the weather like",
        "the quick brown fox jumps over the lazy dog",
        "my sister lives in boston",
        "these shoes do not fit",
        "i was only joking",
    ],
)
def test_what_has_nothing_to_do_with_the_shop_means_nothing(said: str) -> None:
    heard = EAR.hear(said, NOW)
    assert (heard.intents, heard.service, bool(heard.when)) == ((), None, False)
