"""A call, played: what the caller hears, what the journal keeps, and that nothing is left when it is over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from media_gateway.conversation.model import HeardDigits, HeardText, ListeningProfile, Started
from media_gateway.voice import turns as machine
from media_gateway.voice.ports import (
    Final,
    Partial,
    SpeechStarted,
    SpokenAudio,
)
from realtime.call import Call, Status
from realtime.events import EventType, LiveType
from tests.media_gateway.voice.stage import CALL, FILLER, GREETING, Line, Manager, call, until

pytestmark = pytest.mark.anyio


async def test_greeting_turn_and_hang_up(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        assert stage.voice.asked == [], "the greeting comes from the cache"
        stage.session.on_media(b"\xff" * 160)
        stage.say("hello there")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        stage.session.on_stop()
        await stage.ended()
        await stage.completed()
        said = [
            (event.data["speaker"], event.data["text"])
            for event in await stage.events()
            if event.type in (EventType.FINAL_TRANSCRIPT, EventType.AI_RESPONSE_COMPLETE)
        ]
        assert said == [("assistant", GREETING), ("user", "hello there"), ("assistant", "You said hello there.")]
        assert stage.ears.opened[0].fed == 160
        head = await stage.journal.find(CALL)
        assert head
        assert (head.status, head.owner, head.flow, head.stream_sid) == (Status.COMPLETED, "here", "test", "MZ1")
        assert head.total_tokens == 15, "the greeting costs none"
        assert (await stage.events())[0].data["status"] == "in_progress"
        record = await stage.journal.call_data((await stage.events())[-1])
        assert [line["message"] for line in record["transcript"]] == [text for _, text in said]
        assert record["metadata"]["total_tokens"] == 15


async def test_metrics_add_up(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.hear(Final("hello", 0.9, True, 250))
        (_, metrics) = await stage.written(EventType.TURN_METRICS, 2)
        names = ["endpointing", "thinking", "clause", "voicing", "sending", "playing"]
        assert list(metrics["stages"]) == names
        assert metrics["stages"]["endpointing"] == 250
        assert sum(metrics["stages"].values()) == metrics["total_ms"]
        assert metrics["tokens"] == {"prompt": 10, "completion": 5, "cached": 2}


async def test_a_filler_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "FILLER_MS", 20)
    async with call(tmp_path) as stage:
        stage.patience = replace(stage.patience, first_word=2.0)
        stage.begin()
        await stage.greeted()
        stage.mind.delay = 0.15
        stage.say("hello")
        (_, metrics) = await stage.written(EventType.TURN_METRICS, 2)
        assert metrics["stages"]["thinking"] >= 140
        assert all(value >= 0 for value in metrics["stages"].values())
        (_, reply) = await stage.kept(EventType.AI_RESPONSE_COMPLETE)
        assert reply["text"] == f"{FILLER} You said hello."


async def test_hold_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "HOLD_MS", 30)
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("long")
        await stage.phase("speaking")
        await asyncio.sleep(0.03)
        stage.hear(Partial("erm well"))
        await stage.phase("held")
        assert stage.line.cleared == 1
        await stage.phase("speaking")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert not replies[1]["interrupted"]
        assert [event["confirmed"] for event in await stage.kept(EventType.INTERRUPTION)] == [False]


async def test_hold_and_cut(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("long")
        await stage.phase("speaking")
        await asyncio.sleep(0.12)
        stage.hear(SpeechStarted())
        stage.hear(Partial("no"))
        assert stage.session.turns.phase == "held"
        sent = stage.line.sent
        stage.hear(Partial("no stop it"))
        assert stage.session.turns.phase == "listening"
        stage.voice.opened[0].tell(SpokenAudio(1, 1, b"\x00" * 8_000))
        assert stage.line.sent == sent, "an old turn made a sound"
        stage.hear(Final("no stop it please", 0.9))
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 3)
        assert replies[1]["interrupted"]
        assert replies[1]["full_text"].startswith(replies[1]["text"])
        assert 0 < len(replies[1]["text"].split()) < 31
        assert replies[2]["text"] == "You said no stop it please."
        (interruption,) = await stage.kept(EventType.INTERRUPTION)
        assert (interruption["confirmed"], interruption["heard_text"]) == (True, replies[1]["text"])
        history = [(line.role, line.text) for line in stage.mind.thoughts[-1].history]
        assert history[-2:] == [("assistant", replies[1]["text"]), ("user", "no stop it please")]
        assert stage.line.cleared == 1


async def test_an_interjection_goes_by(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("long")
        await stage.phase("speaking")
        stage.say("uh-huh")
        assert stage.line.cleared == 0
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert not replies[1]["interrupted"]
        assert len(await stage.kept(EventType.FINAL_TRANSCRIPT)) == 1


async def test_typed_text_and_a_firm_line(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        session.on_text("firm")
        await stage.phase("speaking")
        stage.hear(Partial("but what if"))
        stage.hear(Final("but what if", 0.9))
        session.on_digit("3")
        assert stage.line.cleared == 0
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 3)
        assert [reply["interrupted"] for reply in replies] == [False] * 3
        assert replies[2]["text"] == "You said but what if."
        session.on_text("firm")
        await stage.phase("speaking")
        session.on_text("typed")
        assert stage.line.cleared == 1
        assert (await stage.written(EventType.AI_RESPONSE_COMPLETE, 5))[-1]["text"] == "You said typed."


async def test_typed_before_the_greeting_is_answered_after_it(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        session.on_text("early")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert [reply["text"] for reply in replies] == [GREETING, "You said early."]


async def test_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "KEYS_MS", 20)
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        for digit in "42":
            session.on_digit(digit)
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "You said 42."
        assert isinstance(stage.manager.told[-1], HeardDigits)
        assert [event["digit"] for event in await stage.kept(EventType.DTMF)] == ["4", "2"]
        assert (stage.mind.thoughts[-1].history[-1].role, stage.mind.thoughts[-1].history[-1].text) == ("user", "42")


async def test_keys_that_are_no_answer_are_only_written_down(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.manager.listening = ListeningProfile(dtmf=False)
        session = stage.begin()
        await until(lambda: session.turns.phase != "connecting", "open")
        session.on_digit("4")
        assert session.turns.keys == ""
        await stage.written(EventType.DTMF)


async def test_idle(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        session.floor.turns = msgspec.structs.replace(session.turns, idle_ms=20)
        await stage.written(EventType.IDLE, 2)
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 3)
        assert replies[1]["text"] == "Are you there?"
        assert [event["count"] for event in await stage.kept(EventType.IDLE)][:2] == [1, 2]


@pytest.mark.parametrize("moment", ["connecting", "thinking", "speaking", "held", "listening"])
async def test_hang_up_at_any_moment(tmp_path: Path, moment: str) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        if moment != "connecting":
            await stage.greeted()
        if moment in ("thinking", "speaking", "held"):
            stage.mind.delay = 0.05
            stage.say("long")
            await stage.phase("thinking" if moment == "thinking" else "speaking")
        if moment == "held":
            stage.hear(Partial("wait"))
        session.on_stop()
        session.on_lost()
        await stage.ended()
        await stage.completed()
        assert stage.line.closed
        before = len(await stage.events())
        session.on_digit("1")
        session.on_text("too late")
        session.on_mark("0.1")
        session.on_media(b"\xff" * 160)
        assert len(await stage.events()) == before


async def test_engines_that_open_late_are_closed(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.ears.hang = True
        stage.patience = replace(stage.patience, open=60.0)
        session = stage.begin()
        await stage.phase("listening")
        session.on_stop()
        await stage.ended()
        assert stage.ears.opened == []


async def test_cancelled_from_outside(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.mind.delay = 0.5
        stage.say("hello")
        await asyncio.sleep(0.01)
        stage.running.cancel()
        await asyncio.wait({stage.running})
        assert stage.running.cancelled()
        stage.running = asyncio.create_task(asyncio.sleep(0))


async def test_cancelled_while_it_settles(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        stage.tools.gate.clear()
        stage.say("book")
        await until(lambda: stage.tools.running == 1, "the tool")
        session.on_stop()
        await asyncio.sleep(0.02)
        assert not stage.running.done(), "the deed is awaited"
        stage.running.cancel()
        await asyncio.wait({stage.running})
        assert stage.tools.running == 0
        stage.running = asyncio.create_task(asyncio.sleep(0))


async def test_what_was_asked_for_is_done_after_a_hang_up(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        stage.tools.gate.clear()
        stage.say("book")
        await until(lambda: stage.tools.running == 1, "the tool")
        session.on_stop()
        asyncio.get_running_loop().call_later(0.05, stage.tools.gate.set)
        await stage.ended()
        await stage.completed()
        assert await stage.store.get("slots/14") != [None]
        assert [event["ok"] for event in await stage.kept(EventType.TOOL_CALL)] == [True]


async def test_a_broken_socket_ends_after_a_while(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        session.on_lost()
        await asyncio.sleep(0.02)
        assert not stage.running.done()
        await stage.ended()
        await stage.completed()


async def test_a_broken_socket_that_another_instance_takes_over(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        session.on_lost()
        await asyncio.sleep(0.01)
        await stage.journal.own(CALL, "there")
        await stage.ended()
        assert await stage.kept(EventType.CALL_COMPLETED) == []


@pytest.mark.parametrize(("text", "kind"), [("bye", "hangup"), ("human", "handoff")])
async def test_what_follows_is_written_before_the_line_closes(tmp_path: Path, text: str, kind: str) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say(text)
        known: list[Call | None] = []
        close = stage.line.close

        def closing() -> None:
            known.append(stage.journal._heads.get(CALL)[0])  # type: ignore[index]
            close()

        stage.line.close = closing  # type: ignore[method-assign]
        await stage.ended()
        assert known[0]
        assert known[0].next == kind
        replies = await stage.kept(EventType.AI_RESPONSE_COMPLETE)
        assert not replies[-1]["interrupted"], "the last line was cut off"
        if kind == "hangup":
            await stage.completed()
        else:
            assert await stage.kept(EventType.CALL_COMPLETED) == []


async def test_moving_away(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        await stage.greeted()
        stage.say("hello there")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        session.move()
        await stage.ended()
        head = await stage.journal.find(CALL)
        assert head
        assert (head.next, head.status) == ("move", Status.IN_PROGRESS)
        stage.resumed, stage.manager, stage.line = True, Manager(), Line()
        stage.begin()
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 3)
        assert replies[2]["text"] == "Sorry, we were cut off. Hello."
        assert [reply["turn"] for reply in replies] == [0, 1, 2]
        assert isinstance(stage.manager.told[0], Started)
        await until(lambda: len(stage.ears.opened) == 2, "ears")
        stage.say("where were we")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 4)
        history = [(line.role, line.text) for line in stage.mind.thoughts[-1].history]
        assert history == [
            ("assistant", GREETING),
            ("user", "hello there"),
            ("assistant", "You said hello there."),
            ("assistant", "Sorry, we were cut off. Hello."),
            ("user", "where were we"),
        ]
        head = await stage.journal.find(CALL)
        assert head
        assert head.next is None
        assert head.total_tokens == 30


async def test_another_owner_ends_it(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        await stage.written(EventType.CALL_STATUS)
        await stage.journal.own(CALL, "there")
        stage.say("hello")
        await stage.ended()
        assert await stage.kept(EventType.FINAL_TRANSCRIPT) == []
        assert await stage.kept(EventType.CALL_COMPLETED) == []


# --- what is shown ---------------------------------------------------------------------------------------------------


async def test_partials_and_chunks_are_shown(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.begin()
        await stage.greeted()
        stage.say("hello there")
        await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        shown = stage.audience.shown
        assert (LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "hello there"}) in shown
        text = ""
        for type_, data in shown:
            if type_ is LiveType.AI_RESPONSE_CHUNK and data["turn"] == 1:
                assert data["offset"] == len(text)
                text += data["text"]
        assert text.strip() == "You said hello there."
        assert stage.audience.heads[-1]["seq"] > 0


async def test_taps_hear_both_sides(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        session = stage.begin()
        heard: list[tuple[int, int]] = []
        stop = session.add_tap(lambda side, mulaw: heard.append((side, len(mulaw))))
        await stage.greeted()
        session.on_media(b"\xff" * 160)
        assert (0, 160) in heard
        assert sum(size for side, size in heard if side == 1) == stage.line.sent
        stop()
        stop()
        session.on_media(b"\xff" * 160)
        assert heard.count((0, 160)) == 1


async def test_the_ears_listen_as_the_flow_wants(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.manager.listening = ListeningProfile(name="first")
        stage.begin()
        await stage.greeted()
        stage.manager.listening = ListeningProfile(name="second")
        stage.say("hello")
        await until(lambda: isinstance(stage.manager.told[-1], HeardText), "told")
        await stage.phase("listening")
        assert [profile.name for profile in stage.ears.opened[0].profiles] == ["first", "second"]
        stage.break_ears()
        await until(lambda: len(stage.ears.opened) == 2, "open again")
        assert stage.ears.opened[1].profiles[0].name == "second"
