"""From the flows to what the gateway is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_gateway.conversation.flow import SHIPPED, FlowError, load_flow
from media_gateway.telephony.directory import person_of
from media_gateway.telephony.handoff import Person


def flow_with(folder: Path, escalation: str) -> Path:
    """The shipped flow, and one that takes it over and changes who takes its callers."""
    (folder / "inbound_new.yaml").write_text((SHIPPED / "inbound_new.yaml").read_text("utf-8"), "utf-8")
    file = folder / "trucks.yaml"
    file.write_text(f"extends: inbound_new\nname: trucks\nescalation:\n{escalation}", "utf-8")
    return file


def test_a_flow_may_have_a_person_of_its_own(tmp_path: Path) -> None:
    flow = load_flow(flow_with(tmp_path, '  number: "+15551230000"\n  mode: cold\n'))
    assert person_of(flow) == Person("+15551230000", "cold")
    assert flow.spec.escalation.say == "Let me connect you with our service advisor."


def test_without_a_number_of_its_own_it_is_handoff_number() -> None:
    assert person_of(load_flow(SHIPPED / "inbound_new.yaml")) == Person("", "warm")


@pytest.mark.parametrize("wrong", ['  number: "5551230000"\n', "  mode: hot\n", "  numbr: x\n"])
def test_a_mistake_is_named_with_its_line(tmp_path: Path, wrong: str) -> None:
    file = flow_with(tmp_path, wrong)
    with pytest.raises(FlowError) as refused:
        load_flow(file)
    assert "trucks.yaml:4: escalation." in refused.value.problems[0]
