"""A call that lasts too long: a warning, a goodbye, and the end; in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from media_gateway.voice import turns as machine
from realtime.call import Call
from realtime.events import EventType
from tests.media_gateway.voice.stage import CALL
from tests.media_gateway.voice.virtual import monotonic, run
from tests.media_gateway.voice.world import TIME_SOON, TIME_UP, World


def world() -> World:
    one = World()
    one.patience = replace(one.patience, longest=120.0, warning=30.0)
    return one


async def said(one: World) -> list[str]:
    return [line["text"] for line in await one.kept(EventType.AI_RESPONSE_COMPLETE)]


def test_the_caller_is_told_and_then_the_call_ends() -> None:
    async def play() -> None:
        one = world()
        await one.ring()
        one.begin()
        while not one.over:
            await asyncio.sleep(0.1)
        assert 1_115 < monotonic() < 1_130
        await one.finish()
        lines = await said(one)
        assert lines[-1] == TIME_UP
        assert lines.count(TIME_SOON) == 1
        head = await one.journal.find(CALL)
        assert head
        assert head.next == "hangup"

    run(play())


def test_a_call_that_was_taken_over_is_not_given_its_time_anew() -> None:
    async def play() -> None:
        one = world()
        await one.journal.open(Call(call_id=CALL, call_sid=CALL, started_at="2026-11-20T11:58:30.000Z"))
        one.resumed = True
        one.begin()
        while not one.over:
            await asyncio.sleep(0.1)
        assert monotonic() < 1_040
        await one.finish()

    run(play())


def test_a_supervisor_is_not_cut_off() -> None:
    async def play() -> None:
        one = world()
        await one.ring()
        one.begin()
        await one.quiet()
        one.session.floor.tell(machine.TakenOver())
        await asyncio.sleep(300)
        assert one.session.turns.phase == "supervised"
        one.session.floor.tell(machine.Released())
        await asyncio.sleep(20)
        assert one.over
        await one.finish()
        assert (await said(one))[-1] == TIME_UP

    run(play())
