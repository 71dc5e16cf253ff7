"""Who answered a call of ours, and what the session does about it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media_gateway.conversation.model import VoicemailReached
from media_gateway.voice.ports import Partial, SpeechStarted
from realtime.events import EventType
from tests.media_gateway.voice.stage import CALL, GREETING, MESSAGE, Stage, call

pytestmark = pytest.mark.anyio


async def say_who(stage: Stage, answered_by: str) -> None:
    """As the applier does when the carrier's verdict has come."""
    await stage.journal.append(CALL, (), change={"answered_by": answered_by})


async def test_a_machine_gets_the_message_and_nothing_interrupts_it(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.direction = "outbound"
        stage.begin()
        await stage.greeted()
        stage.say("you have reached the mailbox of")
        await say_who(stage, "voicemail")
        await stage.phase("speaking")
        stage.hear(SpeechStarted())
        stage.hear(Partial("at the tone please wait"))
        await stage.ended()
        await stage.completed()
        said = await stage.kept(EventType.AI_RESPONSE_COMPLETE)
        assert said[0]["text"] == GREETING
        assert (said[-1]["text"], said[-1]["interrupted"]) == (MESSAGE, False)
        assert isinstance(stage.manager.told[-1], VoicemailReached)
        assert sum(isinstance(told, VoicemailReached) for told in stage.manager.told) == 1
        head = await stage.journal.find(CALL)
        assert head
        assert (head.answered_by, head.next) == ("voicemail", "hangup")


@pytest.mark.parametrize("answered_by", ["human", "unknown"])
async def test_a_human_is_talked_to(tmp_path: Path, answered_by: str) -> None:
    async with call(tmp_path) as stage:
        stage.direction = "outbound"
        stage.begin()
        await stage.greeted()
        await say_who(stage, answered_by)
        await asyncio.sleep(0.1)
        stage.say("hello")
        (_, answer) = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert answer["text"] == "You said hello."
        stage.session.on_stop()
        await stage.ended()


async def test_a_fax_is_hung_up_on(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.direction = "outbound"
        stage.begin()
        await stage.greeted()
        await say_who(stage, "fax")
        await stage.ended()
        await stage.completed()


async def test_nobody_looks_when_it_is_they_who_call(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        await say_who(stage, "voicemail")
        await asyncio.sleep(0.1)
        assert len(stage.manager.told) == 1
        stage.session.on_stop()
        await stage.ended()


async def test_a_call_ends_without_its_verdict(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.direction = "outbound"
        stage.begin()
        await stage.greeted()
        stage.session.on_stop()
        await stage.ended()
        await stage.completed()
