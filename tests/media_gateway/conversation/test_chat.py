"""What a line of `chat` answers."""

from __future__ import annotations

import json
from datetime import UTC

from media_gateway.conversation.chat import Chat
from tests.media_gateway.conversation.calls import NOW, Book, flows, talk


def test_a_line_has_these_fields_and_is_json() -> None:
    answer = talk("inbound_new", "oil change tomorrow at two")[-1]
    assert list(answer) == ["say", "state", "intent", "slots", "tools", "escalation", "ended", "why"]
    assert json.loads(json.dumps(answer)) == answer
    assert answer["tools"][0]["name"] == "get_available_slots"
    assert answer["tools"][0]["result"]["open"] is True


def test_days_are_the_shops_days_wherever_the_clock_stands() -> None:
    chat = Chat(flows()["inbound_new"], Book())
    evening = NOW.replace(hour=22).astimezone(UTC)  # already tomorrow in UTC
    chat.open(evening, "+15550100")
    assert chat.say("oil change tomorrow at two", evening)["slots"]["preferred_date"] == "2026-11-21"


def test_a_tool_that_never_stops_failing_ends_with_a_person() -> None:
    answer = talk("inbound_new", "oil change tomorrow at two", book=Book(fails=100))[-1]
    assert answer["escalation"] == "tool_failed"
    assert len(answer["tools"]) == 2
