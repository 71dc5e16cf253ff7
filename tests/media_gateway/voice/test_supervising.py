"""What supervisors want of a call, on a real session: what the caller hears, what is kept, who may speak."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media_gateway.voice.ports import EarsFailed, Final, Partial, SpeechStarted
from media_gateway.voice.supervising import Supervising
from realtime import commands
from realtime.clock import utcnow
from realtime.commands import Kind
from realtime.events import EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from tests.media_gateway.voice.stage import CALL, FILLER, GREETING, Stage, call, tone, until

pytestmark = pytest.mark.anyio
TRANSFER = "One moment, please. I am putting you through to a colleague."


async def want(stage: Stage, kind: Kind, actor: str = "ann", **args: Any) -> str:
    """As the route does it on the call's own instance."""
    command = commands.new(CALL, kind, actor, args, utcnow())
    await commands.issue(stage.journal, command, "default", utcnow())
    stage.session.on_commands()
    return command.command_id


async def result(stage: Stage, command_id: str) -> Mapping[str, Any]:
    for _ in range(1_000):
        for line in await stage.kept(EventType.COMMAND):
            if line["command_id"] == command_id and line["ok"] is not None:
                return line
        await asyncio.sleep(0.003)
    raise AssertionError("it was never answered")


async def replies(stage: Stage) -> list[str]:
    return [reply["text"] for reply in await stage.kept(EventType.AI_RESPONSE_COMPLETE)]


async def test_say_is_a_turn_of_its_own(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        done = await result(stage, await want(stage, "say", text="Our winter sale begins on Monday. Come by!"))
        assert (done["kind"], done["actor"], done["ok"], done["detail"]) == ("say", "ann", True, "")
        lines = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert (lines[1]["text"], lines[1]["by"]) == ("Our winter sale begins on Monday. Come by!", "ann")
        assert lines[1]["turn"] > lines[0]["turn"]
        stage.say("hello there")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 3)
        assert [line.text for line in stage.mind.thoughts[-1].history][1] == lines[1]["text"]
        assert len(stage.mind.thoughts) == 1, "no model worded what the supervisor said"


async def test_say_waits_for_the_end_of_a_sentence_and_for_the_caller(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("long")
        await stage.phase("speaking")
        said = await want(stage, "say", text="By the way.")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 3)
        assert (await replies(stage))[1].endswith("end.")
        assert (await result(stage, said))["ok"]
        stage.hear(SpeechStarted())
        said = await want(stage, "say", text="And another thing.")
        stage.hear(Partial("well i"))
        stage.hear(Final("well i think"))
        await result(stage, said)
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 5)
        assert (await replies(stage))[3:] == ["You said well i think.", "And another thing."]


async def test_a_caller_may_interrupt_what_a_supervisor_says(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        said = await want(stage, "say", text="one two three four five six seven eight nine ten " * 5)
        await stage.phase("speaking")
        await asyncio.sleep(0.02)
        stage.say("wait stop please")
        assert (await result(stage, said))["detail"] == "the caller interrupted it"


async def test_a_fault_of_the_commands_is_not_the_caller_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take, faults = commands.take, [KeyError("a bug"), TypeError("another")]

    async def broken(*args: Any) -> list[commands.Command]:
        if faults:
            raise faults.pop()
        return await take(*args)

    monkeypatch.setattr(commands, "take", broken)
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        assert (await result(stage, await want(stage, "say", text="Still here.")))["ok"]
        assert not faults


async def test_whisper_is_told_to_the_conversation_and_never_said(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        assert (await result(stage, await want(stage, "whisper", text="Offer the discount")))["ok"]
        assert type(stage.manager.told[-1]).__name__ == "Guided"
        assert await replies(stage) == [GREETING]
        assert "Offer" not in " ".join(stage.voice.asked)
        inputs = [line["input"] for line in await stage.written(EventType.STATE_CHANGED, 2)]
        assert inputs[-1] == {"kind": "Guided", "text": "Offer the discount", "now": inputs[-1]["now"]}


async def test_hang_up_ends_the_call_and_is_answered(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("long")
        await stage.phase("speaking")
        wanted = await want(stage, "hangup")
        await stage.ended()
        assert (await result(stage, wanted))["ok"]
        head = await stage.journal.find(CALL)
        assert head
        assert (head.next, head.commands) == ("hangup", {})
        await stage.completed()


async def test_transfer_to_a_named_person(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.prerendered[TRANSFER] = tone(TRANSFER)
        stage.begin()
        await stage.greeted()
        stage.say("long")
        await stage.phase("speaking")
        wanted = await want(stage, "transfer", to="bob", number="+15550001002", mode="cold")
        await stage.ended()
        assert (await result(stage, wanted))["detail"] == "bob"
        metrics = [line["turn"] for line in await stage.kept(EventType.TURN_METRICS)]
        assert len(metrics) == len(set(metrics)), "one a turn"
        assert (await replies(stage))[-1] == TRANSFER
        head = await stage.journal.find(CALL)
        assert head
        assert (head.next, head.metadata["transfer"]) == ("handoff", {"number": "+15550001002", "mode": "cold"})


async def test_a_caller_who_hangs_up_first_is_not_put_through(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        wanted = await want(stage, "transfer")
        await stage.phase("speaking")
        stage.session.on_stop()
        await stage.ended()
        assert (await result(stage, wanted))["ok"] is False
        await stage.completed()


async def test_a_supervisor_speaks_with_the_caller_and_gives_them_back(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        assert session.microphone("ann") is None
        assert (await result(stage, await want(stage, "takeover", by="browser")))["ok"]
        head = await stage.journal.find(CALL)
        assert head
        assert head.supervisor
        assert (head.supervisor["user"], head.supervisor["by"]) == ("ann", "browser")
        assert session.microphone("bob") is None
        microphone = session.microphone("ann")
        assert microphone
        assert session.microphone("ann") is None, "one at a time"
        heard: list[tuple[int, bytes]] = []
        session.add_tap(lambda side, mulaw: heard.append((side, mulaw)))
        sent = stage.line.sent
        microphone.feed(b"\x11" * 160)
        assert stage.line.sent == sent + 160
        assert heard == [(1, b"\x11" * 160)]
        await until(lambda: len(stage.ears.opened) == 2, "the supervisor's words are recognised")
        stage.ears.opened[1].tell(Final("this is ann how can i help"))
        stage.ears.opened[0].tell(Final("my car is broken"))
        await stage.written(EventType.FINAL_TRANSCRIPT, 2)
        assert not stage.mind.thoughts, "nobody answers for the supervisor"
        assert (await result(stage, await want(stage, "say", text="no")))["ok"] is False
        assert (await result(stage, await want(stage, "release")))["ok"]
        assert not microphone.open
        microphone.feed(b"\x11" * 160)
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert session.floor.answering
        history = [(line.role, line.text) for line in session.floor.answering.history]
        assert history[1:3] == [("assistant", "this is ann how can i help"), ("user", "my car is broken")]
        speakers = [line["speaker"] for line in await stage.kept(EventType.FINAL_TRANSCRIPT)]
        assert speakers == ["supervisor", "user"]
        head = await stage.journal.find(CALL)
        assert head
        assert head.supervisor is None
        await until(lambda: stage.ears.opened[1].closed, "their recogniser is let go")


async def test_a_microphone_that_closes_or_never_comes_gives_the_caller_back(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.patience = replace(stage.patience, microphone=0.05)
        session = stage.begin()
        await stage.greeted()
        await result(stage, await want(stage, "takeover", by="browser"))
        (line,) = [one for one in await stage.written(EventType.COMMAND, 2) if one["kind"] == "release"]
        assert line["detail"] == "no microphone came"
        await stage.phase("listening")
        await result(stage, await want(stage, "takeover", by="browser"))
        microphone = session.microphone("ann")
        assert microphone
        await asyncio.sleep(0.1)
        assert session.turns.phase == "supervised"
        microphone.close()
        microphone.close()
        assert [one["kind"] for one in await stage.written(EventType.COMMAND, 4)] == ["takeover", "release"] * 2
        await stage.phase("listening")


async def test_sound_that_comes_faster_than_it_sounds_is_dropped(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        await result(stage, await want(stage, "takeover", by="browser"))
        microphone = session.microphone("ann")
        assert microphone
        sent = stage.line.sent
        for _ in range(1_000):
            microphone.feed(b"\x11" * 160)
        assert stage.line.sent - sent <= 1.2 * 8_000 + 160


async def test_the_call_ends_while_a_supervisor_speaks(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        await result(stage, await want(stage, "takeover", by="browser"))
        microphone = session.microphone("ann")
        assert microphone
        stage.session.on_stop()
        await stage.ended()
        assert not microphone.open
        await stage.completed()


async def test_an_engine_that_dies_meanwhile_is_missed_when_the_caller_is_back(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        await result(stage, await want(stage, "takeover", by="browser"))
        assert session.microphone("ann")
        stage.ears.refusals = 5
        stage.ears.opened[0].tell(EarsFailed("broken", "test"))
        await until(lambda: session.turns.lost, "the caller's recogniser is gone")
        assert session.turns.phase == "supervised"
        await want(stage, "release")
        await stage.ended()
        head = await stage.journal.find(CALL)
        assert head
        assert head.next == "handoff"


@pytest.mark.parametrize(("kind", "ran"), [("approve", ["book"]), ("refuse", [])])
async def test_a_tool_that_needs_approval(tmp_path: Path, kind: Kind, ran: list[str]) -> None:
    async with call(tmp_path) as stage:
        stage.manager.approval = ("book",)
        stage.begin()
        await stage.greeted()
        stage.say("book look")
        (asked,) = [line for line in await stage.written(EventType.COMMAND) if line["kind"] == "approval"]
        assert (asked["tool"], asked["arguments"], asked["ok"]) == ("book", {"for": "book"}, None)
        assert (await result(stage, await want(stage, kind, request_id="nonsense")))["ok"] is False
        assert (await result(stage, await want(stage, kind)))["detail"] == "book"
        (reply,) = (await stage.written(EventType.AI_RESPONSE_COMPLETE, 2))[1:]
        assert ("not_approved" in reply["text"]) is (not ran)
        assert [name for name in stage.tools.ran if name == "book"] == ran
        assert {line["tool"]: line["ok"] for line in await stage.kept(EventType.TOOL_CALL)} == {
            "book": bool(ran),
            "look": True,
        }


async def test_nobody_approves_in_time(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.manager.approval = ("book",)
        stage.patience = replace(stage.patience, approval=0.05)
        stage.begin()
        await stage.greeted()
        stage.say("book")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert "not_approved" in replies[1]["text"]
        assert stage.tools.ran == []
        assert [line["ok"] for line in await stage.kept(EventType.COMMAND)] == [None, False]


async def test_a_command_from_another_instance_is_taken_when_the_call_is_owned(tmp_path: Path) -> None:
    """It came while the call rang; and one that is too old is refused."""
    async with call(tmp_path) as stage:
        elsewhere = Journal(EmbeddedStore(tmp_path / "callboard.db"))
        said = commands.new(CALL, "say", "ann", {"text": "Welcome."}, utcnow())
        stale = replace(commands.new(CALL, "hangup", "ann", {}, utcnow()), expires="2020-01-01T00:00:00.000Z")
        for command in (said, stale):
            await commands.issue(elsewhere, command, "default", utcnow())
        stage.begin()
        assert (await result(stage, said.command_id))["ok"]
        late = await result(stage, stale.command_id)
        assert (late["ok"], late["detail"]) == (False, "it came too late")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert await replies(stage) == [GREETING, "Welcome."]
        await elsewhere._store.aclose()


async def test_what_the_instance_before_left_undone_is_told(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        head = await stage.journal.own(CALL, "before")
        lost = commands.new(CALL, "say", "ann", {"text": "hi"}, utcnow())
        await commands.issue(stage.journal, lost, "default", utcnow())
        await commands.take(stage.journal, stage.store, CALL, head.owner_term)
        await stage.journal.append(CALL, (), change={"supervisor": {**(head.supervisor or {}), "by": "browser"}})
        stage.resumed = True
        stage.begin()
        answer = await result(stage, lost.command_id)
        assert answer["ok"] is False
        await until(lambda: stage.session.turns.phase == "listening", "the assistant has the caller")
        await stage.session._scribe.flush()
        after = await stage.journal.find(CALL)
        assert after
        assert (after.supervisor, after.commands) == (None, {})


async def test_what_is_wanted_of_a_call_that_ends_is_refused_before_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        monkeypatch.setattr(Supervising, "wake", lambda self: None)  # nobody tells the session
        wanted = await want(stage, "whisper", text="hi")
        stage.session.on_stop()
        await stage.ended()
        assert (await result(stage, wanted))["detail"] == "the call is over"
        await stage.completed()


async def test_the_filler_bridges_a_takeover(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        sent = stage.line.sent
        await result(stage, await want(stage, "takeover", by="browser"))
        assert stage.line.sent - sent == len(tone(FILLER))
