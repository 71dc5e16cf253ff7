"""Any call: random events at random moments, random faults, a hang-up in the middle of it all."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from infra.simulators import openai_rules
from media_gateway.providers.openai_stream import request
from media_gateway.voice import turns as machine
from media_gateway.voice.ports import (
    EagerFinal,
    Final,
    Message,
    Partial,
    SpeechEnded,
    SpeechStarted,
    TextDelta,
    ToolRequest,
    TurnResumed,
)
from realtime.events import EventType
from tests.media_gateway.voice.stage import Stage, call

pytestmark = pytest.mark.anyio

TEXTS = (
    "hello there",
    "long",
    "long",
    "book",
    "look book",
    "firm",
    "okay",
    "uh-huh",
    "no stop it",
    "boom",
    "again",
    "",
)
WISHES = (
    [ToolRequest("c1", "forbidden", {})],
    [TextDelta("Well. "), ToolRequest("c1", "forbidden", {}), ToolRequest("c2", "x", {}, "no JSON")],
    [TextDelta("Half a")],
)
"""What a model may say instead of the script."""
SHORT = {"HOLD_MS": 15, "SOFT_MS": 8, "KEYS_MS": 10, "FILLER_MS": 20, "APOLOGY_MS": 150, "APOLOGY_AGAIN_MS": 150}
SHORT |= {"DEAF_MS": 400}


def events(stage: Stage, rng: random.Random) -> Sequence[Callable[[], object]]:
    """What can happen; twice where it happens often."""
    text = rng.choice(TEXTS)

    def ears(what: Callable[[], object]) -> Callable[[], object]:
        return lambda: what() if stage.ears.opened else None

    return [
        *[ears(lambda: stage.hear(Partial(text)))] * 2,
        *[ears(lambda: stage.hear(Final(text, 0.5, rng.random() < 0.9)))] * 3,
        ears(lambda: stage.hear(EagerFinal(text))),
        ears(lambda: stage.hear(TurnResumed())),
        ears(lambda: stage.hear(SpeechStarted())),
        ears(lambda: stage.hear(SpeechEnded())),
        ears(stage.break_ears),
        lambda: stage.session.on_digit(rng.choice("0123456789*#")),
        lambda: stage.session.on_text(text),
        lambda: stage.session.on_mark(rng.choice(["0.1", "1.5", "nonsense"])),
        *[lambda: stage.session.on_media(rng.choice([b"\xff", b"\x9c"]) * rng.choice([160, 1_600]))] * 3,
        lambda: setattr(stage.voice, rng.choice(["breaks", "dumb", "empty"]), 1),
        lambda: setattr(stage.tools, "conflicts", rng.randint(0, 4)),
        lambda: setattr(stage.mind, "delay", rng.choice([0.0, 0.0, 0.03, 0.2])),
        lambda: setattr(stage.mind, "items", rng.choice([None, None, *WISHES])),
        lambda: setattr(stage.line, "echo", rng.random() < 0.8),
        lambda: stage.tools.gate.clear() if rng.random() < 0.3 else stage.tools.gate.set(),
    ]


def valid(history: Sequence[Message]) -> None:
    """What a language model accepts: every tool call answered at once, nothing answered that was not asked."""
    lines = list(history)
    while lines:
        line = lines.pop(0)
        assert line.role != "tool", "an answer to nothing"
        assert line.text or line.tool_calls, "an empty line"
        for asked in line.tool_calls:
            assert lines.pop(0).tool_call_id == asked.call_id


@pytest.mark.parametrize("seed", range(24))
async def test_any_call(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, ms in SHORT.items():
        monkeypatch.setattr(machine, name, ms)
    rng = random.Random(seed)
    async with call(tmp_path) as stage:
        session = stage.begin()
        turn = 0
        for _ in range(rng.randint(1, 60)):
            rng.choice(events(stage, rng))()
            assert session.turns.turn >= turn
            turn = session.turns.turn
            await asyncio.sleep(rng.choice([0, 0, 0.001, 0.005, 0.02, 0.06]))
        stage.tools.gate.set()
        rng.choice([session.on_stop, session.on_stop, session.on_lost, session.move])()
        await stage.ended()
        ending = session.floor.ending
        if ending in ("caller", "lost", "hangup"):
            await stage.completed()
        else:
            assert await stage.kept(EventType.CALL_COMPLETED) == []
        for reply in await stage.kept(EventType.AI_RESPONSE_COMPLETE):
            assert set(reply["text"].split()) <= set(reply["full_text"].split())
            assert reply["interrupted"] is (reply["text"] != reply["full_text"])
        for metrics in await stage.kept(EventType.TURN_METRICS):
            assert all(value >= 0 for value in metrics["stages"].values())
            assert sum(metrics["stages"].values()) == metrics["total_ms"]
        for thought in stage.mind.thoughts:
            valid(thought.history)
            openai_rules.check(json.loads(request("model", thought, {}, {})), ["model"])
        books = [event for event in await stage.kept(EventType.TOOL_CALL) if event["tool"] == "book" and event["ok"]]
        assert len(books) <= 1, "the slot was booked twice"
