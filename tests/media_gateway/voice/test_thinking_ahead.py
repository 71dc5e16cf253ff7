"""A turn that is probably over is thought about before it is; nothing of that is heard, written or done before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media_gateway.conversation.model import HeardText
from media_gateway.voice.ports import EagerFinal, Final, Partial, ProviderFault, TextDelta, TurnResumed, Usage
from realtime.events import EventType
from tests.media_gateway.voice.stage import Stage, call, until

pytestmark = pytest.mark.anyio


async def ready(stage: Stage) -> None:
    stage.begin()
    await stage.greeted()
    await stage.written(EventType.AI_RESPONSE_COMPLETE)


async def test_the_answer_is_there_when_the_turn_is_over(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        before = len(await stage.events())
        stage.hear(Partial("hello there"))
        stage.hear(EagerFinal("hello there"))
        await until(lambda: len(stage.mind.thoughts) == 1 and not stage.mind.running, "the thought")
        await asyncio.sleep(0.02)
        assert stage.voice.asked == [], "heard before the turn was over"
        assert len(await stage.events()) == before
        stage.hear(Final("hello there", 0.9))
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "You said hello there."
        assert len(stage.mind.thoughts) == 1, "thought twice"
        (_, metrics) = await stage.written(EventType.TURN_METRICS, 2)
        assert metrics["tokens"] == {"prompt": 10, "completion": 5, "cached": 2}


async def test_it_is_adopted_in_the_middle_of_being_thought(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        stage.mind.delay = 0.05
        stage.hear(EagerFinal("hello there"))
        await until(lambda: stage.mind.running == 1, "the thought")
        stage.hear(Final("hello there", 0.9))
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 2))[1]["text"] == "You said hello there."
        assert len(stage.mind.thoughts) == 1


async def test_who_goes_on_speaking_is_answered_to_the_whole(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        stage.mind.delay = 0.03
        stage.hear(EagerFinal("hello"))
        await until(lambda: stage.mind.running == 1, "the thought")
        stage.hear(TurnResumed())
        await until(lambda: stage.mind.running == 0, "it goes on for nobody")
        stage.hear(EagerFinal("hello there"))
        stage.hear(Final("hello there", 0.9))
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 2))[1]["text"] == "You said hello there."
        told = [event.text for event in stage.manager.told if isinstance(event, HeardText)]
        assert list(dict.fromkeys(told)) == ["hello", "hello there"]  # the second is foreseen, and taken as it was
        assert len(await stage.kept(EventType.STATE_CHANGED)) == 2


async def test_side_effects_wait_until_the_turn_is_real(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        stage.hear(EagerFinal("book"))
        await until(lambda: len(stage.mind.thoughts) == 1 and not stage.mind.running, "the thought")
        await asyncio.sleep(0.02)
        assert stage.tools.ran == []
        stage.hear(Final("book", 0.9))
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 2))[1]["text"] == "Let me see. book is done."
        assert stage.tools.ran == ["book"]
        assert len(stage.mind.thoughts) == 2  # the guess, and the tool's result


async def test_tokens_of_a_guess_that_nobody_wanted_are_paid_all_the_same(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        stage.mind.items = [TextDelta("Right."), Usage(7, 3, 0)]
        stage.hear(EagerFinal("hello"))
        await until(lambda: len(stage.mind.thoughts) == 1 and not stage.mind.running, "the thought")
        stage.hear(Final("hello to you", 0.9))
        (_, metrics) = await stage.written(EventType.TURN_METRICS, 2)
        assert metrics["tokens"] == {"prompt": 7, "completion": 3, "cached": 0}
        await until(lambda: stage.session.floor.tokens == 20, "both are counted")


async def test_a_guess_that_broke_is_thought_anew_and_not_told(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        stage.mind.fails = [ProviderFault("mind", "broken")]
        stage.hear(EagerFinal("hello there"))
        await until(lambda: not stage.mind.fails and not stage.mind.running, "the guess broke")
        stage.hear(Final("hello there", 0.9))
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 2))[1]["text"] == "You said hello there."
        assert await stage.kept(EventType.PROVIDER_FAULT) == []


@pytest.mark.parametrize("how", ["stop", "key", "doubt", "typed", "idle"])
async def test_whatever_comes_instead_drops_it(tmp_path: Path, how: str) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        stage.mind.delay = 0.2
        stage.hear(EagerFinal("hello there"))
        await until(lambda: stage.mind.running == 1, "the thought")
        match how:
            case "stop":
                stage.session.on_stop()
            case "doubt":  # the recogniser doubts its own words now: another question
                stage.mind.delay = 0
                stage.hear(Final("hello there", 0.1, understood=False))
            case "typed":
                stage.session.on_text("something else")
            case "key":
                stage.session.on_digit("1")
                stage.session.floor._timer_fired("keys")
            case "idle":
                stage.session.floor._timer_fired("idle")
        if how == "stop":
            await stage.ended()
        await until(lambda: stage.mind.running <= (how not in ("stop", "doubt")), "it goes on for nobody")


async def test_a_guess_that_is_not_wanted_at_the_end_leaves_nothing(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        stage.mind.delay = 5
        stage.hear(EagerFinal("hello there"))
        await until(lambda: stage.mind.running == 1, "the thought")
        stage.session.on_lost()
        await stage.ended()
        assert stage.mind.running == 0


@pytest.mark.parametrize("steps", range(4))
async def test_an_adopted_guess_that_is_cut_at_once_goes_on_for_nobody(tmp_path: Path, steps: int) -> None:
    async with call(tmp_path) as stage:
        await ready(stage)
        stage.mind.delay = 5
        stage.hear(EagerFinal("hello there"))
        await until(lambda: stage.mind.running == 1, "the thought")
        stage.hear(Final("hello there", 0.9))
        for _ in range(steps):  # one of them is before the first step of the answer
            await asyncio.sleep(0)
        stage.mind.delay = 0
        stage.session.on_text("something else")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "You said something else."
        assert stage.mind.running == 0
