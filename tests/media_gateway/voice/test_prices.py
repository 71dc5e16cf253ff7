"""What a call costs, from what was used; and that it is in the journal and on the head."""

from __future__ import annotations

import asyncio

import pytest

from media_gateway.voice.prices import HEARING, SPEAKING, TELEPHONE, THINKING, Vendors, cost
from realtime.events import EventType
from tests.media_gateway.voice.stage import CALL
from tests.media_gateway.voice.virtual import run
from tests.media_gateway.voice.world import World

OURS = Vendors(ears="deepgram", mind="openai", voice="deepgram+elevenlabs")


def test_each_part_by_its_own_measure() -> None:
    tokens = THINKING["openai"]
    bill = cost(OURS, prompt=3_000, cached=1_000, completion=500, characters=2_000, seconds=90)
    assert bill["llm"] == pytest.approx((2_000 * tokens.prompt + 1_000 * tokens.cached + 500 * tokens.completion) / 1e6)
    assert bill["tts"] == pytest.approx(2 * SPEAKING["deepgram"]), "the first of the two speaks, the other stands in"
    assert bill["stt"] == pytest.approx(1.5 * HEARING["deepgram"])
    assert bill["telephone"] == pytest.approx(1.5 * TELEPHONE)
    assert bill["usd"] == pytest.approx(sum(bill[name] for name in ("llm", "tts", "stt", "telephone")), abs=2e-6)


def test_what_runs_here_costs_nothing() -> None:
    local = Vendors(ears="embedded", mind="scripted", voice="embedded", telephone=False)
    assert set(cost(local, prompt=9, completion=9, characters=9, seconds=9).values()) == {0.0}
    assert cost(OURS, prompt=1, cached=5)["llm"] >= 0


def test_the_turns_bills_add_up_to_the_call_s() -> None:
    async def play() -> None:
        world = World()
        for engine, name in (
            (world.virtual_ears, "deepgram"),
            (world.mind, "openai"),
            (world.virtual_voice, "elevenlabs"),
        ):
            engine.name = name
        await world.ring()
        world.begin()
        for text in ("hello there", "one more thing"):
            await world.quiet()
            world.speak(text)
            await asyncio.sleep(0.1)
        await world.quiet()
        await asyncio.sleep(5)
        await world.finish()
        bills = [line["cost"] for line in await world.kept(EventType.TURN_METRICS)]
        head = await world.journal.find(CALL)
        assert head
        assert head.cost
        assert all(bill["llm"] > 0 for bill in bills[1:]), "nobody thinks about the greeting"
        assert all(bill["tts"] > 0 for bill in bills[1:]), "the greeting is in the cache"
        for part in ("llm", "tts"):
            assert head.cost[part] == pytest.approx(sum(bill[part] for bill in bills), abs=1e-5)
        assert head.cost["stt"] > sum(bill["stt"] for bill in bills), "and the last seconds"

    run(play())
