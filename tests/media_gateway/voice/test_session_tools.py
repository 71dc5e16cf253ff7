"""Tools in a call: their effects, their failures, and what the model is shown of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from realtime.events import EventType
from realtime.journal import Fenced
from tests.media_gateway.voice.stage import call, until

pytestmark = pytest.mark.anyio


async def test_an_effect_that_lost_is_decided_anew(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.tools.conflicts = 2
        stage.say("book")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "Let me see. book is done."
        assert stage.tools.ran == ["book"] * 3
        assert [event["ok"] for event in await stage.kept(EventType.TOOL_CALL)] == [True]


async def test_an_effect_that_always_loses_is_refused(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.tools.conflicts = 9
        stage.say("book")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "Let me see. book conflict."
        assert [event["ok"] for event in await stage.kept(EventType.TOOL_CALL)] == [False]


async def test_two_tools_side_by_side_and_one_breaks(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.tools.gate.clear()
        stage.say("book look crash")
        await until(lambda: stage.tools.running == 3, "side by side")
        stage.tools.gate.set()
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "Let me see. book is done. look is done. crash broken."
        assert len(await stage.kept(EventType.TOOL_CALL)) == 3


async def test_tools_in_a_circle_are_stopped(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("again")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        await stage.phase("listening")
        assert len(stage.tools.ran) == 6
        (event,) = await stage.kept(EventType.PROVIDER_FAULT)
        assert event["stage"] == "tools"


async def test_a_cut_does_not_cancel_a_tool_and_the_history_stays_valid(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.tools.gate.clear()
        stage.say("book")
        await until(lambda: stage.tools.running == 1, "the tool")
        stage.say("hello there")
        stage.tools.gate.set()
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 3)
        assert replies[-1]["text"] == "You said hello there."
        assert await stage.store.get("slots/14") != [None]
        history = stage.mind.thoughts[-1].history
        roles = [line.role for line in history]
        assert roles[:4] == ["assistant", "user", "assistant", "tool"]
        assert (roles[-1], history[-1].text) == ("user", "hello there")
        assert history[2].tool_calls[0].call_id == history[3].tool_call_id


async def test_an_effect_that_is_not_kept_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with call(tmp_path) as stage:
        stage.patience = replace(stage.patience, effect=0.03)
        session = stage.begin()
        await stage.greeted()

        async def slow(*_: object) -> None:
            await asyncio.sleep(60)

        monkeypatch.setattr(session._scribe, "commit", slow)
        stage.say("book")
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 2))[1]["text"] == "Let me see. book unavailable."


async def test_a_commit_of_a_call_that_is_not_ours_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()

        async def fenced(*_: object) -> None:
            raise Fenced("theirs")

        monkeypatch.setattr(session._scribe, "commit", fenced)
        stage.say("book")
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 2))[1]["text"] == "Let me see. book unavailable."
