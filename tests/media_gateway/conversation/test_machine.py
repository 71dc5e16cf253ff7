"""What holds for every conversation, whatever is heard, pressed, returned or not said."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    HeardDigits,
    HeardText,
    Input,
    Quiet,
    Started,
    State,
    ToolReturned,
)
from tests.media_gateway.conversation.calls import JOHN, NOW, TIMES, flows

SAID = (
    "i need an oil change", "tomorrow at two", "monday", "half past nine", "yes", "no", "no thursday", "the time",
    "actually make that three", "the first one", "what are your hours", "how much is it", "never mind", "sunday",
    "i want to speak to a manager", "what did you say", "goodbye", "hello", "in the morning", "as soon as possible",
    "i'm not sure", "purple", "thank you", "cancel the appointment", "february thirtieth", "not the brakes the tires",
)  # fmt: skip
NOWS = st.sampled_from([NOW.isoformat(), "2026-11-01T00:30:00-04:00", "2026-12-31T23:59:00-05:00"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DAYS = st.sampled_from(["2026-11-21", "2026-11-23", "2026-11-22", "nonsense"])
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "date": DAYS,
        "times": st.lists(st.sampled_from([*TIMES, "25:99", "soon"]), max_size=8) | JSON,
        "open": st.booleans() | JSON,
        "reason": st.sampled_from(["slot_taken", "closed", "in_the_past", "unavailable"]),
        "message": st.text(max_size=20) | JSON,
        "alternatives": st.lists(st.sampled_from(TIMES), max_size=3) | JSON,
        "time": st.sampled_from(TIMES) | JSON,
        "service_type": st.sampled_from(["oil_change", "nonsense"]) | JSON,
        "name": st.text(max_size=20),
    },
)
ARGUMENTS = st.fixed_dictionaries({}, optional={"date": DAYS, "time": st.sampled_from(TIMES)})
TOOLS = st.sampled_from(["get_available_slots", "book_appointment", "lookup_customer", "unknown"])
INPUTS: st.SearchStrategy[Input] = st.one_of(
    st.builds(
        HeardText, st.sampled_from(SAID) | st.text(max_size=30), NOWS, st.sampled_from([True, True, True, False])
    ),
    st.builds(HeardDigits, st.text("0123456789#*", max_size=4), NOWS),
    st.builds(ToolReturned, TOOLS, ARGUMENTS, st.booleans(), RESULTS, NOWS),
    st.builds(Quiet, NOWS),
    st.builds(Started, NOWS, st.none() | st.just("+15550100"), st.none() | st.just(JOHN)),
)
LENIENT = settings(deadline=None, max_examples=60)  # a busy machine is no failure
CALLS = st.tuples(st.sampled_from(sorted(flows())), st.lists(INPUTS, max_size=14), st.booleans())


def played(flow: str, inputs: list[Input], *, answer_tools: bool) -> list[tuple[ConversationState, Directive]]:
    """The call stepped through its inputs; the state goes through JSON between any two steps. With `answer_tools` a
    tool that was asked for returns at once, as in a real call."""
    manager = Manager(flows()[flow])
    state = manager.start()
    steps: list[tuple[ConversationState, Directive]] = []
    waiting: list[Input] = [Started(NOW.isoformat(), "+15550100"), *inputs]
    while waiting and len(steps) < 60:
        step = manager.step(state, waiting.pop(0))
        steps.append((step.state, step.directive))
        state = ConversationState.from_dict(json.loads(json.dumps(step.state.to_dict())))
        assert state.to_dict() == step.state.to_dict()
        if answer_tools:
            waiting[:0] = [
                ToolReturned(call.name, call.arguments, True, {"times": list(TIMES), "open": True}, NOW.isoformat())
                for call in step.directive.tools
            ]
    return steps


@LENIENT
@given(CALLS)
def test_every_step_says_something_runs_something_ends_or_waits_for_a_tool(call: tuple[str, list[Input], bool]) -> None:
    flow, inputs, answer = call
    for state, directive in played(flow, inputs, answer_tools=answer):
        assert directive.say or directive.tools or directive.after != "listen" or state.pending
        assert directive.why


@LENIENT
@given(CALLS)
def test_the_same_inputs_give_the_same_steps(call: tuple[str, list[Input], bool]) -> None:
    flow, inputs, answer = call
    assert played(flow, inputs, answer_tools=answer) == played(flow, inputs, answer_tools=answer)


@LENIENT
@given(CALLS)
def test_an_ended_call_stays_ended_and_an_escalation_is_never_lost(call: tuple[str, list[Input], bool]) -> None:
    flow, inputs, answer = call
    reason, ended = None, None
    for state, directive in played(flow, inputs, answer_tools=answer):
        if ended is not None:
            assert state == ended
            assert (directive.after, directive.say, directive.tools) == ("hangup", "", ())
        if reason is not None:
            assert state.escalation_reason == reason
            assert state.state is State.ESCALATION or state.ended
        reason = state.escalation_reason
        ended = state if state.ended else None


@LENIENT
@given(CALLS)
def test_nothing_is_booked_that_was_not_read_back_and_agreed_to(call: tuple[str, list[Input], bool]) -> None:
    flow, inputs, answer = call
    before = ConversationState(flow=flow)
    for state, directive in played(flow, inputs, answer_tools=answer):
        for tool in directive.tools:
            if tool.name == "book_appointment" and "failed" not in directive.why and "resumed" not in directive.why:
                assert before.asked == "confirm"
                assert tool.arguments == {
                    "service_type": before.slots["service_type"],
                    "date": before.slots["preferred_date"],
                    "time": before.slots["preferred_time"],
                }
        before = state


@LENIENT
@given(st.lists(INPUTS, max_size=8))
def test_silence_always_ends_the_call(inputs: list[Input]) -> None:
    steps = played("inbound_new", [*inputs, *[Quiet(NOW.isoformat())] * 3], answer_tools=True)
    assert steps[-1][0].ended or steps[-1][0].escalation_reason
