"""`call`, `calls`, `show`, `tail`: the plan, the refusals, and the readers on a store while nothing runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from infra.cli.calling import line_of, variables_of
from infra.local.system import free_port
from infra.mistakes import Usage
from realtime.call import Call, Status
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from tests.infra.cli.test_cli import callboard

CALL = ("call", "+14155550123", "--flow", "inbound_new")


def here(folder: Path) -> dict[str, str]:
    """An environment in which nothing runs."""
    return {"CALLBOARD_DATA_DIR": str(folder), "PORT": str(free_port()), "COLUMNS": "200"}


def test_a_dry_run_shows_the_plan_and_its_price_and_calls_nobody(tmp_path: Path) -> None:
    done = callboard(*CALL, "--var", "first_name=John", "--dry-run", "--json", **here(tmp_path))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    plan = answer["plan"]
    assert answer["dry_run"] is True
    assert (plan["to"], plan["flow"], plan["variables"]) == ("+14155550123", "inbound_new", {"first_name": "John"})
    assert (plan["countries"], plan["per_day"]) == (["CA", "US"], 200)
    price = plan["estimate_usd"]
    assert price["total"] == pytest.approx(sum(value for name, value in price.items() if name != "total"))
    assert price["total"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("call", "4155550123", "--flow", "inbound_new", "--dry-run"), 2, "no number in E.164"),
        (("call", "+442079460000", "--flow", "inbound_new", "--dry-run"), 2, "CALLBOARD_CALL_COUNTRIES"),
        (("call", "+14155550123", "--flow", "no_such_flow", "--dry-run"), 2, "there is no flow"),
        ((*CALL, "--variables", "[1]", "--dry-run"), 2, "must be a JSON object"),
        ((*CALL, "--json"), 2, "--yes"),
        ((*CALL, "--yes"), 1, "python3 run.py"),
        (("calls",), 1, "Nothing runs here"),
        (("show", "CA1"), 1, "Nothing runs here"),
        (("tail", "--url", "http://127.0.0.1:9"), 1, "Nothing answers"),
    ],
)
def test_one_clear_line(arguments: tuple[str, ...], code: int, words: str, tmp_path: Path) -> None:
    done = callboard(*arguments, **here(tmp_path))
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_readers_read_the_store_while_nothing_runs(tmp_path: Path) -> None:
    async def write() -> None:
        store = EmbeddedStore(tmp_path / "callboard.db")
        journal = Journal(store)
        now = "2026-11-20T10:00:00.000Z"
        await journal.open(Call(call_id="CA1", call_sid="CA1", flow="inbound_new", caller_phone="+14155550123"))
        heard = Draft(EventType.FINAL_TRANSCRIPT, {"turn": 1, "speaker": "user", "text": "hello [there]"}, "t", now)
        await journal.append("CA1", (heard,))
        await journal.complete("CA1", Status.BUSY, call_data={"status": "busy"}, key="end", ts=now)
        await store.aclose()

    asyncio.run(write())
    environment = here(tmp_path)
    (listed,) = json.loads(callboard("calls", "--json", "--status", "busy", **environment).stdout)["calls"]
    assert (listed["call_id"], listed["status"]) == ("CA1", "busy")
    assert not {"tail", "owner_term"} & listed.keys()
    assert json.loads(callboard("calls", "--json", "--status", "completed", **environment).stdout)["calls"] == []
    shown = json.loads(callboard("show", "CA1", "--json", **environment).stdout)
    types = ["final_transcript", "call_status", "call_completed"]
    assert [event["type"] for event in shown["events"]] == types
    tailed = callboard("tail", "CA1", "--json", **environment).stdout.splitlines()
    assert [json.loads(line)["type"] for line in tailed] == types
    assert "caller: hello [there]" in callboard("show", "CA1", **environment).stdout
    missing = callboard("show", "CA2", **environment)
    assert (missing.returncode, "There is no call CA2" in missing.stderr) == (1, True)


def test_variables() -> None:
    assert variables_of(["a=1", "b=x=y"], '{"c": {"d": 2}}') == {"a": "1", "b": "x=y", "c": {"d": 2}}
    for pairs, text in ((["a"], None), (["=1"], None), ([], "{")):
        with pytest.raises(Usage):
            variables_of(pairs, text)


@pytest.mark.parametrize(
    ("type_", "data", "words"),
    [
        ("call_status", {"status": "ringing"}, "ringing"),
        ("ai_response_complete", {"text": "Hi."}, "assistant:[/] Hi."),
        ("tool_call", {"tool": "book_appointment", "ok": False}, "book_appointment no"),
        ("state_changed", {"state": "closing", "intent": None}, "closing"),
        ("dtmf", {"digit": "1"}, "dtmf"),
    ],
)
def test_a_line_of_the_journal(type_: str, data: dict[str, object], words: str) -> None:
    event = {"call_id": "CA1", "seq": 1, "ts": "2026-11-20T10:00:00.000Z", "type": type_, "data": data}
    assert words in line_of(event)
