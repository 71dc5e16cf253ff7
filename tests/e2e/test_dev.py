"""The system as a newcomer runs it: typed calls, an ordinary stop in the middle of a call, a start after a crash."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.cli.simulating import target_of
from infra.local.clients import Api
from infra.local.judge import booked, of, texts
from infra.local.system import LocalSystem, free_port

pytestmark = [pytest.mark.call, pytest.mark.timeout(150)]

Journal = Sequence[dict[str, Any]]


def a_system(folder: Path) -> LocalSystem:
    environment = {"LOG_LEVEL": "WARNING"}
    return LocalSystem(port=free_port(), functions_port=free_port(), data_dir=folder / "data", environment=environment)


def api_of(system: LocalSystem) -> Api:
    target = target_of(system)
    return Api(target.url, target.username, target.password)


async def until(api: Api, call_id: str, true_of: Callable[[Journal], bool], seconds: float = 30) -> Journal:
    """The journal, once it is as wanted."""
    journal: Journal = []
    async with asyncio.timeout(seconds):
        while not (journal and true_of(journal)):
            await asyncio.sleep(0.1)
            found = await api.get("/api/v1/calls", q=call_id)
            journal = await api.events(call_id) if any(c["call_id"] == call_id for c in found["calls"]) else []
    return journal


def said(journal: Journal) -> list[str]:
    return texts(journal, "ai_response_complete")


async def typed_booking(folder: Path) -> Journal:
    async with a_system(folder) as system, api_of(system) as api:
        first = "I need an oil change tomorrow at two"
        call_id = (await api.post("/api/v1/demo/call", {"scenario": None, "text": first}))["call_id"]
        await until(api, call_id, lambda journal: any("Shall I book" in line for line in said(journal)))
        await api.post("/api/v1/demo/say", {"call_id": call_id, "text": "yes please"})
        await until(api, call_id, lambda journal: any("anything else" in line for line in said(journal)))
        await api.post("/api/v1/demo/say", {"call_id": call_id, "text": "no thank you"})
        return await until(api, call_id, lambda journal: journal[-1]["type"] == "call_completed")


def test_a_call_that_is_typed_books_from_its_first_line(tmp_path: Path) -> None:
    journal = asyncio.run(typed_booking(tmp_path))
    assert texts(journal, "final_transcript") == ["I need an oil change tomorrow at two", "yes please", "no thank you"]
    greeting = of(journal, "ai_response_complete")[0]["data"]
    assert "may be recorded" in greeting["text"], "the first line waits for the greeting, which says what this is"
    assert not greeting["interrupted"]
    (made,) = booked(journal)
    assert (made["service_type"], made["time"]) == ("oil_change", "14:00")


async def running_call(api: Api) -> str:
    """A demo call in which the assistant has been heard."""
    call_id: str = (await api.post("/api/v1/demo/call", {"scenario": "book_oil_change"}))["call_id"]
    await until(api, call_id, lambda journal: bool(said(journal)))
    return call_id


async def stopped(folder: Path) -> list[Any]:
    async with a_system(folder) as system, api_of(system) as api:
        await running_call(api)
    async with a_system(folder) as system, api_of(system) as api:
        calls: list[Any] = (await api.get("/api/v1/calls"))["calls"]
        return calls


def test_an_ordinary_stop_ends_the_calls_in_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (call,) = asyncio.run(stopped(tmp_path))
    assert call["status"] == "completed"
    assert "Twilio would not take this" not in capfd.readouterr().err


async def crashed(folder: Path) -> Any:
    system = a_system(folder)
    async with system, api_of(system) as api:
        call_id = await running_call(api)
        gateway = next(child for child in system.children if child.name == "gateway")
        os.kill(gateway.process.pid, signal.SIGKILL)
        await gateway.process.wait()
    async with a_system(folder) as system, api_of(system) as api:
        call = await api.get(f"/api/v1/calls/{call_id}")
        return call, await api.events(call_id)


def test_a_call_that_lost_its_gateway_is_ended_at_the_next_start(tmp_path: Path) -> None:
    call, journal = asyncio.run(crashed(tmp_path))
    assert call["status"] == "failed"
    assert [event["type"] for event in journal[-2:]] == ["call_status", "call_completed"]
    assert journal[-1]["data"]["call_data"]["transcript"], "what was said is in its record"
