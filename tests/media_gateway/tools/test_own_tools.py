"""A shop's own tools: named in a flow, offered to the model, and refused at the start when they are not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from media_gateway.conversation.flow import FlowError, load_flows
from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import HeardText, Started, ToolReturned
from media_gateway.conversation.shipped import FLOWS, check_tools
from media_gateway.tools.router import Router
from tests.infra.cli.test_cli import callboard
from tests.media_gateway.tools.scene import NOW


def own_flows(tmp_path: Path, tool: str) -> Path:
    """Our flows, and the one for new callers with a tool of its own."""
    for file in FLOWS.glob("*.yaml"):
        text = file.read_text()
        (tmp_path / file.name).write_text(text + (f"\ntools: [{tool}]\n" if file.stem == "inbound_new" else ""))
    return tmp_path


def test_a_tool_that_a_flow_names_is_offered_to_the_model(tmp_path: Path) -> None:
    flows = load_flows(own_flows(tmp_path, "decode_vin"))
    check_tools(flows, Router().names)
    manager = Manager(flows["inbound_new"])
    begun = manager.step(manager.start(), Started(NOW.isoformat())).state
    step = manager.step(begun, HeardText("I need an oil change", NOW.isoformat()))
    assert "decode_vin" in step.directive.allowed_tools
    (schema,) = Router().schemas(["decode_vin"])
    assert schema["function"]["name"] == "decode_vin"


@pytest.mark.parametrize(
    ("ok", "data", "said"),
    [
        (True, {"day": "2026-11-23"}, "What day works for you?"),
        (False, {"reason": "taken", "message": "The car is taken."}, "The car is taken. What day works for you?"),
        (False, {"reason": "verification_needed", "message": "Your last name, please?"}, "Your last name, please?"),
    ],
)
def test_its_result_is_said_and_the_conversation_stays_where_it_was(
    tmp_path: Path, ok: bool, data: dict[str, str], said: str
) -> None:
    manager = Manager(load_flows(own_flows(tmp_path, "reserve_loaner"))["inbound_new"])
    begun = manager.step(manager.start(), Started(NOW.isoformat())).state
    asked = manager.step(begun, HeardText("I need an oil change", NOW.isoformat())).state
    step = manager.step(asked, ToolReturned("reserve_loaner", {}, ok, data, NOW.isoformat()))
    assert step.directive.say == said
    assert (step.state.state, dict(step.state.slots)) == (asked.state, dict(asked.slots))


def test_a_tool_that_is_not_there_stops_the_start_and_the_check(tmp_path: Path) -> None:
    folder = own_flows(tmp_path, "reserve_loaner")
    with pytest.raises(FlowError, match="there is no reserve_loaner"):
        check_tools(load_flows(folder), Router().names)
    done = callboard("flows", "check", "--json", CALLBOARD_FLOWS_DIR=str(folder), CALLBOARD_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "there is no reserve_loaner; there are: book_appointment" in json.loads(done.stdout)["problems"][0]
