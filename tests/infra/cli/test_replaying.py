"""`replay`, `flows check --calls`, and `chat` with the calls that we place, as scripts use them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from media_gateway.conversation.flow import SHIPPED, load_flows
from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import HeardText, Input, Started
from realtime.call import Call
from realtime.clock import iso, utcnow
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from tests.infra.cli.test_cli import callboard

NOW = "2026-11-20T10:00:00-05:00"
LINES = "yes\nwill do\nno\ni already sent them\nno\n"


async def _written(folder: Path, call_id: str, lines: tuple[str, ...]) -> None:
    """A call's conversation in the journal, as a session writes it."""
    store = EmbeddedStore(folder / "callboard.db")
    journal = Journal(store)
    await journal.open(Call(call_id=call_id, call_sid=call_id, flow="inbound_new"))
    manager = Manager(load_flows(SHIPPED)["inbound_new"])
    state = manager.start()
    inputs: list[Input] = [Started(NOW, "+15550100"), *(HeardText(line, NOW) for line in lines)]
    drafts: list[Draft] = []
    for number, told in enumerate(inputs):
        step = manager.step(state, told)
        state = step.state
        data: dict[str, Any] = {
            "state": state.state.value,
            "intent": state.intent,
            "slots": dict(state.slots),
            "why": step.directive.why,
            "input": {"kind": type(told).__name__, **asdict(told)},
        }
        drafts.append(Draft(EventType.STATE_CHANGED, data, str(number), iso(utcnow())))
    await journal.append(call_id, drafts)
    await store.aclose()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    asyncio.run(_written(tmp_path, "CA1", ("purple monkeys", "i need an oil change", "what are your hours")))
    return tmp_path


def test_a_finished_call_is_replayed(shop: Path) -> None:
    done = callboard("replay", "CA1", "--json", CALLBOARD_DATA_DIR=str(shop))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["call_id"], answer["flow"], answer["same"]) == ("CA1", "inbound_new", True)
    assert [step["replayed"]["state"] for step in answer["steps"]] == [
        "greeting", "intent_detection", "slot_collection", "execution",
    ]  # fmt: skip
    assert "the same states and tool calls" in " ".join(
        callboard("replay", "CA1", CALLBOARD_DATA_DIR=str(shop)).stdout.split()
    )


def test_a_flow_that_has_changed_fails_the_replay(shop: Path, tmp_path: Path) -> None:
    mine = tmp_path / "flows"
    mine.mkdir()
    text = (SHIPPED / "inbound_new.yaml").read_text()
    (mine / "inbound_new.yaml").write_text(text.replace("i need service\n", "purple monkeys\n"))
    done = callboard("replay", "CA1", CALLBOARD_DATA_DIR=str(shop), CALLBOARD_FLOWS_DIR=str(mine))
    assert done.returncode == 1
    assert "it goes otherwise now" in " ".join(done.stdout.split())


def test_a_call_that_there_is_not_is_a_usage_error(shop: Path) -> None:
    done = callboard("replay", "CA2", CALLBOARD_DATA_DIR=str(shop))
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no call CA2" in done.stderr


def test_what_matched_nothing_is_listed(shop: Path) -> None:
    done = callboard("flows", "check", "--calls", "--json", CALLBOARD_DATA_DIR=str(shop))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"inbound_new": [{"said": "purple monkeys", "times": 1}]}


def test_chat_plays_a_call_that_we_place(tmp_path: Path) -> None:
    done = callboard("chat", "--flow", "driver_check", "--json", stdin=LINES, CALLBOARD_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["slots"]["item_1"], last["slots"]["item_2"], last["ended"]) == ("acknowledged", "disputed", True)
    mine = json.dumps({"first_name": "Ann", "items": [{"type": "reminder", "description": "Call your dispatcher"}]})
    done = callboard(
        "chat", "--flow", "driver_check", "--variables", mine, "--json", stdin="yes\n", CALLBOARD_DATA_DIR=str(tmp_path)
    )
    assert "Call your dispatcher. Will you do that?" in done.stdout
    wrong = callboard("chat", "--flow", "driver_check", "--variables", "[", CALLBOARD_DATA_DIR=str(tmp_path))
    assert wrong.returncode == 2
    assert "--variables is no JSON object" in wrong.stderr


def test_chat_on_the_known_callers_flow_knows_its_caller(tmp_path: Path) -> None:
    done = callboard("chat", "--flow", "inbound_existing", "--json", stdin="Hi, I need brake service\n",
                     CALLBOARD_DATA_DIR=str(tmp_path))  # fmt: skip
    opened, answered = map(json.loads, done.stdout.splitlines())
    assert opened["say"].startswith("Hi John,")
    assert (answered["state"], answered["intent"]) == ("slot_collection", "schedule_appointment")
