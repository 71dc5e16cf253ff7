"""The manager in real sessions with real tools: what the journal keeps of a call replays, is in the call's record while
it runs and afterwards, and survives another instance taking the call over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import Started
from media_gateway.conversation.replay import ReplayedCall, replay
from media_gateway.tools.router import Router
from media_gateway.voice.parts import Conversing
from media_gateway.wiring import Desk
from realtime.call import Call
from realtime.events import EventType
from realtime.records.demo import seed
from tests.media_gateway.conversation.calls import changed
from tests.media_gateway.voice.stage import CALL, Line, Stage, call

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answered(path: Path, flow: str = "inbound_new") -> AsyncIterator[Stage]:
    """A call on a flow as it is shipped (but open every day), with the tools of the shop."""
    async with call(path) as stage:
        await seed(stage.store)
        router = Router()
        desk = Desk(changed(flow, closed_days=[]), Manager(changed(flow, closed_days=[])), frozenset(router.names))
        stage.manager, stage.tools = cast(Any, desk), cast(Any, router)
        stage.begin()
        await stage.greeted()
        await stage.written(EventType.AI_RESPONSE_COMPLETE)
        yield stage


async def said(stage: Stage, *lines: str) -> None:
    """Each line once the answer to the one before was heard."""
    for line in lines:
        answers = len(await stage.kept(EventType.AI_RESPONSE_COMPLETE))
        stage.say(line)
        await stage.written(EventType.AI_RESPONSE_COMPLETE, answers + 1)


async def head(stage: Stage) -> Call:
    found = await stage.journal.find(CALL)
    assert found
    return found


async def replayed(stage: Stage, flow: str = "inbound_new") -> ReplayedCall:
    return replay(Manager(changed(flow, closed_days=[])), [event.to_dict() for event in await stage.events()])


async def test_a_booking_replays_and_its_record_says_what_it_was(tmp_path: Path) -> None:
    async with answered(tmp_path) as stage:
        await said(stage, "hi i need to schedule an oil change", "as soon as possible")
        running = await head(stage)
        state = running.conversation_state or {}
        assert (state["state"], state["intent"], state["turn_count"]) == ("confirmation", "schedule_appointment", 2)
        assert state["slots"]["service_type"] == "oil_change"
        await said(stage, "yes", "no thank you")
        await stage.ended()
        found = await replayed(stage)
        assert found.same, [step for step in found.steps if not step.same]
        assert [name for name, _ in found.tools_recorded][-1] == "book_appointment"
        path = [event["path"] for event in await stage.kept(EventType.STATE_CHANGED)][1]
        assert path == [["intent_detection", "schedule_appointment"], ["slot_collection", "schedule_appointment"]]
        assert (await head(stage)).conversation_summary == {
            "call_type": "inbound_new",
            "state": "closing",
            "intent": "schedule_appointment",
            "turn_count": 4,
            "collected_slots": state["slots"],
            "escalation_triggered": False,
        }


async def test_an_escalation_is_in_the_journal_the_head_and_the_summary(tmp_path: Path) -> None:
    async with answered(tmp_path) as stage:
        await said(stage, "i want to speak to a manager")
        await stage.ended()
        assert await stage.kept(EventType.ESCALATION) == [{"turn": 1, "reason": "manager_request"}]
        state = (await head(stage)).conversation_state or {}
        assert (state["state"], state["escalation_reason"]) == ("escalation", "manager_request")
        assert (await replayed(stage)).same


async def test_a_call_that_another_instance_takes_over_goes_on_and_replays_whole(tmp_path: Path) -> None:
    async with answered(tmp_path) as stage:
        await said(stage, "i need an oil change as soon as possible")
        before = (await head(stage)).conversation_state or {}
        stage.session.move()
        await stage.ended()
        stage.resumed, stage.line = True, Line()
        answers = len(await stage.kept(EventType.AI_RESPONSE_COMPLETE))
        stage.begin()
        await stage.written(EventType.AI_RESPONSE_COMPLETE, answers + 1)
        await stage.phase("listening")
        await said(stage, "yes")
        after = (await head(stage)).conversation_state or {}
        assert after["slots"] == before["slots"]
        assert (after["state"], after["turn_count"]) == ("closing", before["turn_count"] + 1)
        stage.session.on_stop()
        await stage.ended()
        found = await replayed(stage)
        assert [step.kind for step in found.steps].count("Started") == 2
        assert found.same, [step for step in found.steps if not step.same]


async def test_with_the_language_model_gone_the_booking_is_finished_by_the_script(tmp_path: Path) -> None:
    async with answered(tmp_path) as stage:
        await said(stage, "i need an oil change as soon as possible")
        stage.mind.fails = [RuntimeError("gone")] * 9
        await said(stage, "yes")
        tools = [event["tool"] for event in await stage.kept(EventType.TOOL_CALL)]
        assert tools[-1] == "book_appointment"
        faults = await stage.kept(EventType.PROVIDER_FAULT)
        assert faults[-1]["stage"] == "thinking"
        assert (await replayed(stage)).same


async def test_a_caller_who_could_not_be_looked_up_is_greeted_by_the_general_flow(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.lookup = lambda org, phone: asyncio.sleep(60)
        chosen: list[str | None] = []

        def choose(wanted: str | None, started: Started) -> Conversing:
            chosen.append(wanted)
            return cast(Conversing, stage.manager)

        session = stage.begin()
        session._parts = replace(session._parts, choose=choose)
        await stage.greeted()
        assert chosen == ["inbound_general"]
