"""Lines of a flow's file that decide who answers: closed days, after hours, the switch to people, emergencies."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from media_gateway.conversation.chat import Chat
from media_gateway.conversation.flow import LISTENED_AS, Flow, choose_flow
from media_gateway.conversation.model import EscalationReason, Started
from tests.media_gateway.conversation.calls import NOW, Book, changed, flows, talk

NIGHT = NOW.replace(hour=22)


def said(flow: Flow, *lines: str, now: datetime = NOW) -> list[dict[str, Any]]:
    chat = Chat(flow, Book())
    return [chat.open(now, "+15550100"), *(chat.say(line, now) for line in lines)]


def test_on_a_closed_day_nothing_is_booked_and_nobody_is_asked() -> None:
    flow = changed("inbound_new", closed_days=["2026-11-21"])
    last = said(flow, "oil change tomorrow at two")[-1]
    assert last["say"].startswith("I am sorry, we are closed tomorrow")
    assert last["tools"] == []
    assert said(flow, "oil change as soon as possible", now=NOW.replace(hour=19))[-1]["tools"][0]["arguments"] == {
        "date": "2026-11-22"
    }
    christmas = said(changed("inbound_new", closed_days=["12-25"]), "oil change on december 25th at two")[-1]
    assert "we are closed" in christmas["say"]


def test_after_hours_the_caller_is_told_and_still_served() -> None:
    turns = said(flows()["inbound_new"], "I want to speak to a manager", now=NIGHT)
    assert "We are closed right now, but I can help you." in turns[0]["say"]
    assert turns[1]["escalation"] == "manager_request"
    assert "closed right now" not in said(flows()["inbound_new"])[0]["say"]


def test_after_hours_a_flow_may_take_messages_instead_of_ringing_people() -> None:
    flow = changed("inbound_new", after_hours={"people": "message"})
    turns = said(flow, "I want to speak to a manager", "please call me about my brakes", now=NIGHT)
    assert turns[1]["say"] == "Our people are not here right now. I can take a message. What should I tell them?"
    assert (turns[1]["intent"], turns[1]["escalation"]) == ("manager_request", None)
    assert turns[2]["tools"][0]["name"] == "take_message"
    assert said(flow, "my car is on fire", now=NIGHT)[-1]["escalation"] == "emergency"
    assert said(flow, "I want to speak to a manager")[-1]["escalation"] == "manager_request"


def test_after_hours_every_call_may_go_to_people() -> None:
    flow = changed("inbound_new", after_hours={"calls": "people"})
    assert said(flow, now=NIGHT)[0]["escalation"] == "after_hours"
    assert said(flow)[0]["escalation"] is None


@pytest.mark.parametrize("name", sorted(flows()))
def test_one_line_sends_everything_to_people(name: str) -> None:
    opened = said(changed(name, send_everything_to_people=True))[0]
    assert (opened["state"], opened["escalation"]) == ("escalation", "human_switch")
    assert opened["say"].endswith("Let me connect you with our service advisor.")


def test_an_emergency_is_told_whom_to_call() -> None:
    last = talk("inbound_new", "my car is on fire")[-1]
    assert last["escalation"] == "emergency"
    assert last["say"].startswith("If anyone is in danger, please hang up and call nine one one now. Let me connect")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("i want to speak to a manager", "manager_request"),
        ("this is ridiculous", "anger"),
        ("i have a complaint", "complaint"),
        ("i had an accident", "emergency"),
        ("i want a refund", "policy"),
        ("this is ridiculous i want to speak to a manager", "manager_request"),
    ],
)
def test_each_reason_has_its_words(words: str, reason: str) -> None:
    assert talk("inbound_new", words)[-1]["escalation"] == reason


def test_reasons_are_an_enum_and_every_flow_uses_only_these() -> None:
    for flow in flows().values():
        for intent in flow.spec.intents.values():
            assert intent.reason is None or isinstance(intent.reason, EscalationReason)


@pytest.mark.parametrize("name", sorted(flows()))
def test_every_flow_says_that_it_is_a_machine_and_that_it_records(name: str) -> None:
    opened = said(flows()[name])[0]
    assert "I am an automated assistant, and this call may be recorded." in opened["say"]


def test_a_known_caller_hears_what_is_on_file_and_no_empty_sentence() -> None:
    john = {"name": "John Miller", "vehicle": "2019 Honda Civic", "customer_since": "2021-03-15"}
    opened = talk("inbound_existing", customer={**john, "last_service": "2026-05-04"})[0]["say"]
    assert opened.startswith("Hi John, welcome back to Sunrise Auto Service. You have been with us since March twenty")
    assert "Your 2019 Honda Civic was last here on Monday, May fourth." in opened
    assert "was last here" not in talk("inbound_existing", customer=john)[0]["say"]
    assert "You have been" not in talk("inbound_existing", customer={"name": "John"})[0]["say"]


def test_listening_fits_what_is_asked() -> None:
    profiles = flows()["inbound_new"].profiles
    assert set(LISTENED_AS) < set(profiles)
    assert profiles["confirm"].patience_ms < profiles["second_fact"].patience_ms < profiles["callback"].patience_ms
    assert profiles["second_fact"].dtmf
    assert not profiles["message"].dtmf


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"appointment": {}}, "outbound_reminder"),
        ({"items": []}, "driver_check"),
        ({"violations": []}, "driver_check"),
    ],
)
def test_a_call_that_we_place_has_the_flow_of_what_it_is_about(variables: dict[str, Any], name: str) -> None:
    assert choose_flow(flows(), Started(NOW.isoformat(), "+1", None, variables, "outbound")) == name
    assert flows()[choose_flow(flows(), Started(NOW.isoformat(), "+1", direction="outbound"))].spec.direction == (
        "outbound"
    )


def test_an_inbound_call_never_gets_a_flow_that_calls_people() -> None:
    some = {name: flows()[name] for name in ("driver_check", "inbound_general")}
    assert choose_flow(some, Started(NOW.isoformat(), "+15550100")) == "inbound_general"


def test_open_is_by_the_shops_clock() -> None:
    flow = changed("inbound_new", closed_days=["12-25"])
    assert flow.is_open(NOW)
    assert not flow.is_open(NIGHT)
    assert not flow.is_open(datetime(2026, 12, 25, 12, tzinfo=flow.zone))
    assert flow.opens_on((NOW + timedelta(days=1)).date()) == flow.opens(5)
