"""A caller who was handed over and is back: the conversation goes on, and they are offered a message."""

from __future__ import annotations

from typing import Any

import pytest

from media_gateway.conversation.frame import RINGS
from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import ConversationState, Directive, HeardText, Quiet, Started, State, Step
from tests.media_gateway.conversation.calls import NOW, flows

AT = NOW.isoformat()
UNREACHED = ["no_answer", "busy", "machine", "refused", "failed", "unavailable"]


class Talk:
    """A flow's conversation, step by step."""

    def __init__(self, flow: str = "inbound_new") -> None:
        self.manager = Manager(flows()[flow])
        self.state = self.manager.start()
        self._do(Started(AT, "+15550100"))

    def _do(self, event: Any) -> Directive:
        step: Step = self.manager.step(self.state, event)
        # Every state survives the head of the call.
        self.state = ConversationState.from_dict(step.state.to_dict())
        return step.directive

    def say(self, text: str) -> Directive:
        return self._do(HeardText(text, AT))

    def quiet(self) -> Directive:
        return self._do(Quiet(AT))

    def back(self, outcome: str, attempt: int = 1) -> Directive:
        variables = {"handoff": outcome, "handoff_attempt": attempt}
        return self._do(Started(AT, "+15550100", variables=variables))


@pytest.mark.parametrize("outcome", UNREACHED)
def test_nobody_took_the_call_a_message_is_offered_and_the_history_is_whole(outcome: str) -> None:
    talk = Talk()
    talk.say("i need an oil change tomorrow at two")
    slots = dict(talk.state.slots)
    assert talk.say("let me speak to a manager").after == "handoff"
    back = talk.back(outcome)
    assert (back.after, back.interruptible) == ("listen", True)
    assert "nobody can take your call" in back.say
    assert f"handoff: {outcome}" in back.why
    assert talk.state.state is State.INTENT_DETECTION
    assert talk.state.slots == slots
    assert talk.state.escalation_reason == "manager_request", "the summary still says that it was escalated"
    asked = talk.say("yes please")
    assert talk.state.asked == "message"
    assert asked.after == "listen"
    talk.say("please tell the manager that my brakes still squeak")
    assert talk.state.pending == ("take_message",)


def test_no_message_and_the_conversation_goes_on() -> None:
    talk = Talk()
    talk.say("manager please")
    talk.back("busy")
    assert "anything else" in talk.say("no").say.lower()
    talk.say("i need an oil change")
    assert talk.state.slots["service_type"] == "oil_change"


def test_the_person_has_hung_up_and_the_caller_is_still_there() -> None:
    talk = Talk()
    talk.say("manager please")
    assert talk.back("ended").say == "Is there anything else I can do for you?"
    assert talk.say("no thank you").after == "hangup"


def test_who_asks_again_is_put_through_again_and_then_no_more() -> None:
    talk = Talk()
    for attempt in range(1, RINGS + 1):
        assert talk.say("i want to speak to a manager").after == "handoff"
        assert talk.quiet().after == "handoff", "on the way out nothing else is talked about"
        talk.back("no_answer", attempt)
    assert talk.say("i want to speak to a manager").after == "listen"
    assert talk.state.asked == "offer_message"


def test_a_stream_that_breaks_afterwards_is_not_another_return() -> None:
    talk = Talk()
    talk.say("manager please")
    talk.back("busy")
    talk.say("no")
    again = talk.back("busy")
    assert "nobody can take" not in again.say
    assert "anything else" in again.say.lower()


def test_silence_after_the_return_ends_politely() -> None:
    talk = Talk()
    talk.say("manager please")
    talk.back("busy")
    assert [talk.quiet().after for _ in range(3)] == ["listen", "listen", "hangup"]


def test_an_assistant_that_could_not_even_begin_says_so_too() -> None:
    manager = Manager(flows()["inbound_new"])
    event = Started(AT, "+15550100", variables={"handoff": "no_answer", "handoff_attempt": 1})
    assert "nobody can take your call" in manager.step(manager.start(), event).directive.say
