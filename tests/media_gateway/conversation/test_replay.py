"""A journal replayed gives the same states and the same tool calls; a flow that has changed shows where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import HeardText, Input, Quiet, Started, ToolCall, ToolReturned, VoicemailReached
from media_gateway.conversation.replay import NotReplayable, replay, unmatched
from tests.media_gateway.conversation.calls import JOHN, NOW, Book, changed, flows

DIALOGUES: Sequence[tuple[str, tuple[str, ...]]] = [
    ("inbound_new", ("oil change tomorrow at two", "no monday", "yes", "actually make that three", "yes", "bye")),
    ("inbound_existing", ("cancel my appointment", "smith", "yes", "can i leave a message", "hello bob", "no")),
    ("inbound_general", ("what are your hours", "purple", "monkeys", "dishwasher")),
    ("outbound_reminder", ("yes", "move it to monday at ten", "yes")),
    ("outbound_followup", ("yes", "it was terrible")),
    ("driver_check", ("yes", "will do", "no", "i already sent them", "")),
]
ABOUT = {
    "first_name": "John",
    "appointment": {"appointment_id": "a9", "date": "2026-11-21", "time": "14:00", "service_type": "oil_change"},
    "items": [{"type": "violation", "description": "Too warm"}, {"type": "reminder", "description": "Send pictures"}],
}


def journal(flow: str, lines: Sequence[str], extra: Sequence[Input] = ()) -> list[dict[str, Any]]:
    """What a call writes of its conversation, in its wire form."""
    manager, book = Manager(flows()[flow]), Book()
    state = manager.start()
    events: list[dict[str, Any]] = []

    def note(kind: str, data: Mapping[str, Any]) -> None:
        events.append({"seq": len(events) + 1, "type": kind, "data": data})

    inputs: list[Input] = [Started(NOW.isoformat(), "+15550100", JOHN, ABOUT)]
    inputs += [HeardText(line, NOW.isoformat()) if line else Quiet(NOW.isoformat()) for line in lines]
    inputs += extra
    while inputs:
        event = inputs.pop(0)
        step = manager.step(state, event)
        state = step.state
        about: dict[str, Any] = {"state": state.state.value, "intent": state.intent, "slots": dict(state.slots)}
        told = {"kind": type(event).__name__, **asdict(event)}
        about |= {"path": state.memory["path"], "tools": [asdict(call) for call in step.directive.tools]}
        note("state_changed", {**about, "why": step.directive.why, "input": told})
        inputs[:0] = [ran(call, book, note) for call in step.directive.tools]
    return events


def ran(call: ToolCall, book: Book, note: Any) -> ToolReturned:
    ok, data = book(call.name, call.arguments, NOW)
    note("tool_call", {"tool": call.name, "arguments": dict(call.arguments), "ok": ok, "result": dict(data)})
    return ToolReturned(call.name, call.arguments, ok, data, NOW.isoformat())


@pytest.mark.parametrize(("flow", "lines"), DIALOGUES)
def test_every_flow_replays_as_it_was(flow: str, lines: tuple[str, ...]) -> None:
    events = journal(flow, lines)
    found = replay(Manager(flows()[flow]), events)
    assert found.same, [step for step in found.steps if not step.same]
    assert len(found.steps) > len(lines)
    assert found.tools_replayed == found.tools_recorded
    assert found.to_dict()["same"] is True


def test_an_answering_machine_replays_too() -> None:
    events = journal("outbound_reminder", (), [VoicemailReached(NOW.isoformat())])
    found = replay(Manager(flows()["outbound_reminder"]), events)
    assert found.same
    assert found.final.ended


def test_what_a_model_asked_for_by_itself_counts_on_both_sides() -> None:
    times = {"times": ["09:00"], "open": True}
    own = ToolReturned("get_available_slots", {"date": "2026-11-25"}, True, times, NOW.isoformat())
    events = journal("inbound_new", ("oil change tomorrow",), [own])
    events.append({"seq": 99, "type": "tool_call", "data": {"tool": own.name, "arguments": own.arguments}})
    found = replay(Manager(flows()["inbound_new"]), events)
    assert found.same
    assert len(found.tools_replayed) == 2


def test_a_flow_that_has_changed_shows_where_it_goes_otherwise() -> None:
    events = journal("inbound_new", ("oil change tomorrow at two", "yes"))
    found = replay(Manager(changed("inbound_new", closed_days=["2026-11-21"])), events)
    assert not found.same
    first = next(step for step in found.steps if not step.same)
    assert (first.recorded["slots"]["preferred_date"], first.replayed["slots"].get("preferred_date")) == (
        "2026-11-21",
        None,
    )
    assert (len(first.recorded["tools"]), first.replayed["tools"]) == (1, [])


def test_a_tool_call_that_is_missing_in_the_journal_is_seen() -> None:
    events = [event for event in journal("inbound_new", ("oil change tomorrow",)) if event["type"] != "tool_call"]
    assert not replay(Manager(flows()["inbound_new"]), events).same


def test_an_input_of_another_revision_is_named() -> None:
    event = {"seq": 1, "type": "state_changed", "data": {"input": {"kind": "Telepathy"}}}
    with pytest.raises(NotReplayable, match="Telepathy"):
        replay(Manager(flows()["inbound_new"]), [event])


def test_what_matched_nothing_is_listed() -> None:
    events = journal("inbound_new", ("purple", "oil change", "monkeys on the roof", "tomorrow"))
    assert unmatched(events) == ["purple", "monkeys on the roof"]
