"""What the caller hears when a part of the call fails."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from media_gateway.conversation.model import Started
from media_gateway.voice import turns as machine
from media_gateway.voice.ports import (
    ProviderFault,
    TextDelta,
    ToolRequest,
    Usage,
)
from realtime.call import Call
from realtime.events import EventType
from realtime.stores.port import StoreUnavailable
from tests.media_gateway.voice.stage import APOLOGY, CALL, GREETING, Stage, call, tone, until

pytestmark = pytest.mark.anyio


async def test_a_manager_that_raises_costs_the_turn(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("boom")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == APOLOGY
        await stage.phase("listening")
        stage.say("hello")
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 3))[2]["text"] == "You said hello."


@pytest.mark.parametrize("fault", [ProviderFault("mind", "busy"), RuntimeError("a bug"), None])
async def test_the_script_stands_in_for_the_mind(tmp_path: Path, fault: Exception | None) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        if fault:
            stage.mind.fails = [fault]
        else:
            stage.mind.delay = 5.0
        stage.say("hello there")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "You said hello there."
        (event,) = await stage.kept(EventType.PROVIDER_FAULT)
        assert event["stage"] == "thinking"


async def test_a_voice_that_fails_once_says_it_again(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.voice.breaks = 1
        stage.say("hello there")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "You said hello there."
        assert stage.voice.asked == ["You said hello there."] * 2
        assert [voice.closed for voice in stage.voice.opened] == [True, False]


async def test_a_voice_that_does_not_open_at_first(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.voice.refusals = 1
        stage.prerendered.pop(GREETING)
        stage.begin()
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE)
        assert replies[0]["text"] == GREETING


async def test_a_voice_that_stays_dumb_is_opened_again(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.voice.dumb = 1
        stage.say("hello there")
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 2))[1]["text"] == "You said hello there."
        (event,) = await stage.kept(EventType.PROVIDER_FAULT)
        assert (event["stage"], event["kind"]) == ("speaking", "timeout")


async def test_a_voice_that_says_nothing_is_no_answer(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.voice.empty = 1
        stage.say("hello there")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert (replies[1]["text"], replies[1]["interrupted"]) == ("You said hello there.", False)


async def test_a_cached_line_does_not_overtake_the_voice(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("order")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert stage.voice.asked == ["The cache must wait for this.", GREETING]


@pytest.mark.parametrize("items", [[], [TextDelta(" ")], [ToolRequest("x", "not_allowed", {})], [Usage(1, 1, 0)]])
async def test_a_mind_that_says_nothing_is_stood_in_for(
    tmp_path: Path, items: list[TextDelta | ToolRequest | Usage]
) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.mind.items = items
        stage.say("hello there")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "You said hello there."
        assert stage.tools.ran == []


async def test_a_hang_up_while_the_call_is_being_made_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with call(tmp_path) as stage:
        own, owning = stage.journal.own, asyncio.Event()

        async def slow(call_id: str, owner: str) -> Call:
            owning.set()
            await asyncio.sleep(0.05)
            return await own(call_id, owner)

        monkeypatch.setattr(stage.journal, "own", slow)
        session = stage.begin()
        await owning.wait()
        session.on_stop()
        await stage.ended()
        await stage.completed()
        assert (await stage.events())[0].data["status"] == "in_progress"


async def _handed_over(stage: Stage) -> None:
    await stage.ended()
    replies = await stage.kept(EventType.AI_RESPONSE_COMPLETE)
    assert replies[-1]["text"] == APOLOGY
    head = await stage.journal.find(CALL)
    assert head
    assert head.next == "handoff"


async def test_a_voice_that_is_gone_for_good(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.voice.breaks = 9
        stage.say("hello there")
        await _handed_over(stage)


async def test_ears_that_are_gone_for_good(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.break_ears()
        await until(lambda: len(stage.ears.opened) == 2, "open again")
        assert stage.ears.opened[0].closed
        stage.ears.refusals = 9
        stage.break_ears()
        await _handed_over(stage)


async def test_a_broken_call_does_not_send_its_caller_to_nobody_twice(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        regret = stage.parts().regret
        stage.prerendered[regret] = tone(regret)
        stage.ears.refusals = 9
        stage.begin(handoff="no_answer", handoff_attempt=1)
        await stage.ended()
        replies = await stage.kept(EventType.AI_RESPONSE_COMPLETE)
        assert replies[-1]["text"] == regret
        head = await stage.journal.find(CALL)
        assert head
        assert head.status.terminal


async def test_ears_that_come_back_have_their_tries_again(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        for n in range(4):
            stage.break_ears()
            await until(lambda n=n: len(stage.ears.opened) == n + 2, "open again")  # type: ignore[misc]
            stage.say("hello")
            await stage.written(EventType.AI_RESPONSE_COMPLETE, n + 2)
            await stage.phase("listening")


async def test_ears_that_hang_on_opening(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.ears.hang = True
        stage.begin()
        await _handed_over(stage)


async def test_what_is_said_while_the_ears_open_is_heard_by_them(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.ears.hang = True
        session = stage.begin()
        await asyncio.sleep(0)
        for _ in range(500):  # the newest four seconds are kept
            session.on_media(b"\x2a" * 160)
        stage.ears.hang = False
        await until(lambda: bool(stage.ears.opened), "open")
        await until(lambda: stage.ears.opened[0].fed == 200 * 160, "fed")
        session.on_media(b"\x2a" * 160)
        assert stage.ears.opened[0].fed == 201 * 160


async def test_an_answer_that_never_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, ms in (("FILLER_MS", 10), ("APOLOGY_MS", 60), ("APOLOGY_AGAIN_MS", 60), ("WORKING_MS", 20)):
        monkeypatch.setattr(machine, name, ms)
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.tools.gate.clear()
        stage.say("look")
        await asyncio.wait_for(asyncio.shield(stage.running), 8)
        head = await stage.journal.find(CALL)
        assert head
        assert head.next == "handoff"
        kinds = [event["stage"] for event in await stage.kept(EventType.PROVIDER_FAULT)]
        assert kinds.count("answering") == 2


async def test_a_peer_that_never_echoes(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.line.echo = False
        stage.begin()
        (reply,) = await stage.written(EventType.AI_RESPONSE_COMPLETE)
        assert reply["text"] == GREETING
        await stage.phase("listening")


async def test_the_store_is_away_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with call(tmp_path) as stage:

        async def away(call_id: str, owner: str) -> Call:
            raise StoreUnavailable("away")

        monkeypatch.setattr(stage.journal, "own", away)
        stage.begin()
        await stage.ended()
        assert stage.line.closed


async def test_a_bug_of_ours_ends_the_call_in_order(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:

        async def broken(org: str, phone: str) -> None:
            raise RuntimeError("a bug")

        stage.lookup = broken
        stage.begin()
        await stage.ended()
        await stage.completed()


async def test_a_slow_look_up_greets_a_stranger(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.lookup = lambda org, phone: asyncio.sleep(60)
        stage.begin()
        await stage.greeted()
        (started,) = stage.manager.told
        assert isinstance(started, Started)
        assert started.customer is None


async def test_a_look_up_that_we_held_up_ourselves_gets_its_time_once_more(tmp_path: Path) -> None:
    async def found(org: str, phone: str) -> dict[str, object]:
        time.sleep(0.2)  # noqa: ASYNC251 - engines that are started hold the loop on a small machine
        await asyncio.sleep(0.01)
        return {"first_name": "John"}

    async with call(tmp_path) as stage:
        stage.patience = replace(stage.patience, lookup=0.05)
        stage.lookup = found
        stage.begin()
        await stage.greeted()
        (started,) = stage.manager.told
        assert isinstance(started, Started)
        assert started.customer == {"first_name": "John"}


async def test_a_greeting_that_takes_its_time_begins_with_what_is_at_hand(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.opener = "Hello there!"
        stage.prerendered["Hello there!"] = stage.prerendered[GREETING]
        stage.lookup = lambda org, phone: asyncio.sleep(60)
        stage.patience = replace(stage.patience, opener=0.01)
        stage.begin()
        (reply,) = await stage.written(EventType.AI_RESPONSE_COMPLETE)
        assert reply["text"] == f"Hello there! {GREETING}"


async def test_a_greeting_that_is_there_begins_with_nothing_else(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.opener = "Hello there!"
        stage.prerendered["Hello there!"] = stage.prerendered[GREETING]
        stage.patience = replace(stage.patience, opener=0.5)
        stage.begin()
        (reply,) = await stage.written(EventType.AI_RESPONSE_COMPLETE)
        assert reply["text"] == GREETING


async def test_engines_that_are_gone_before_the_greeting(tmp_path: Path) -> None:
    """They are opened while the caller is looked up; the call is still made ours, and the caller is handed over."""
    async with call(tmp_path) as stage:
        stage.patience = replace(stage.patience, lookup=2.0)
        stage.voice.refusals = 9
        gone = asyncio.Event()

        async def slow(org: str, phone: str) -> None:
            await gone.wait()

        stage.lookup = slow
        session = stage.begin()
        await until(lambda: session.turns.phase == "leaving", "leaving")
        gone.set()
        await _handed_over(stage)
        assert stage.manager.told == []


async def test_a_manager_that_keeps_failing_gives_the_caller_to_a_person(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("boom")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == APOLOGY
        await stage.phase("listening")
        stage.say("boom again please")
        await stage.ended()
        (command,) = await stage.kept(EventType.COMMAND)
        assert command["kind"] == "stream_handoff"
        assert [fault["stage"] for fault in await stage.kept(EventType.PROVIDER_FAULT)] == ["manager", "manager"]


async def test_what_the_ears_missed_before_they_failed_is_heard_by_the_next(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.ears.opened[0].missed = b"what was said" * 100
        stage.break_ears()
        await until(lambda: len(stage.ears.opened) == 2 and stage.ears.opened[1].fed > 0, "ears again")
        assert stage.ears.opened[1].fed == 1_300
