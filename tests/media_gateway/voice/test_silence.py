"""The silence invariant: every fault of every engine at every moment of a turn, at the real constants, in virtual time.
The caller hears something in time, the call goes on, is handed over or ends, and the journal says what happened."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from media_gateway.voice.ports import Partial
from media_gateway.voice.silence import FIRST_MS, NEXT_MS, Silence
from realtime.events import EventType
from tests.media_gateway.voice import world as scene
from tests.media_gateway.voice.stage import APOLOGY, CALL
from tests.media_gateway.voice.virtual import monotonic, run
from tests.media_gateway.voice.world import World

FIRST_S, LONGEST_S = 1.2, 10.0
"""After a committed turn until something is heard; and ever while the call goes on: the idle time, and an engine
that is opened again."""

MOMENTS = ("before the call", "in the greeting", "listening", "thinking", "speaking", "held", "with a tool")
FAULTS = [
    *(("mind", kind) for kind in scene.MIND),
    *(("voice", kind) for kind in scene.VOICE),
    *(("ears", kind) for kind in scene.EARS),
    ("store", "away"),
    ("tools", "hung"),
    ("tools", "crash"),
]
TIMES = (1, 2, 99)
MATRIX = list(itertools.product(FAULTS, MOMENTS, TIMES))
SAMPLE = random.Random(20261120).sample(MATRIX, 60)


async def strike(world: World, engine: str, kind: str, times: int) -> None:
    """The fault begins now."""
    match engine:
        case "store":
            world.memory.away = True
            asyncio.get_running_loop().call_later(1.5 * times, setattr, world.memory, "away", False)
        case "tools":
            if kind == "hung":
                world.tools.gate.clear()
                asyncio.get_running_loop().call_later(10.0 * times, world.tools.gate.set)
        case _:
            world.troubles[engine].set(kind, times)
            if kind in ("fails", *scene.OPENING):  # and what was open breaks
                world.break_engine(engine)


async def reach(world: World, moment: str, tool: str) -> None:
    """Bring the call to this moment."""
    if moment == "in the greeting":
        await world.phase("speaking")
        return
    if moment == "before the call" or not await world.quiet() or moment == "listening":
        return
    world.speak(f"please {tool} it" if moment == "with a tool" else "tell me something long")
    if moment == "with a tool":
        await asyncio.sleep(0.7)
    if moment in ("speaking", "held"):
        await until_speaking(world)
    if moment == "held" and not world.over:
        await asyncio.sleep(0.4)
        world.virtual_ears.opened[-1].tell(Partial("wait"))


async def until_speaking(world: World) -> None:
    for _ in range(2_000):
        if world.session.turns.phase == "speaking" or world.over:
            return
        await asyncio.sleep(0.01)


async def suffer(engine: str, kind: str, moment: str, times: int) -> World:
    """A call in which this happens, to its end."""
    with capture_logs() as lines:
        world = await _suffer(engine, kind, moment, times)
    assert breaks(lines) == [], "what is kept is told as broken"
    return world


async def _suffer(engine: str, kind: str, moment: str, times: int) -> World:
    world = World()
    tool = "crash" if kind == "crash" else "look"
    await world.ring()
    if moment == "before the call":
        await strike(world, engine, kind, times)
        world.begin()
    else:
        world.begin()
        await reach(world, moment, tool)
        await strike(world, engine, kind, times)
    for text in ("hello there", f"please {tool} it", "and good evening"):
        if not await world.quiet():
            break
        await asyncio.sleep(0.5)
        world.speak(text)
        await asyncio.sleep(0.05)
    ended = monotonic()
    if not world.over:
        await world.quiet()
        ended = monotonic()
    began = 1_000.0
    await world.finish()
    await heard_in_time(world, began, ended)
    await told(world, engine, kind)
    return world


async def heard_in_time(world: World, began: float, ended: float) -> None:
    for moment in world.committed:
        assert world.ear.silence_from(moment, ended) <= FIRST_S, "nothing was heard after the caller's turn"
    assert world.ear.silence_from(began, ended) <= FIRST_S, "nothing was heard at the beginning"
    assert world.ear.longest_silence(began, ended) <= LONGEST_S, "the caller was left in silence"


async def told(world: World, engine: str, kind: str) -> None:
    """The journal is whole, ends as it must, and names what failed."""
    events = await world.events()
    head = await world.journal.find(CALL)
    assert head
    assert head.status.terminal or head.next in ("handoff", "hangup") or engine == "store"
    stages = await world.stages_of_faults()
    expected = {"mind": "thinking", "voice": "speaking", "ears": "hearing"}.get(engine)
    if expected and world.troubles[engine].struck and kind not in ("deaf", "slow"):
        assert expected in stages, f"{stages} do not name what failed: {[event.type.value for event in events]}"
    for reply in await world.kept(EventType.AI_RESPONSE_COMPLETE):
        assert set(reply["text"].split()) <= set(reply["full_text"].split())
    turns = [line["turn"] for line in await world.kept(EventType.TURN_METRICS)]
    assert len(turns) == len(set(turns)), "one a turn"


def breaks(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What an alert counts (infra/gcloud/alerts.py)."""
    return [line for line in lines if line["event"] == "silence_broken"]


async def speechless(*, forget: Sequence[str], waits: float) -> list[Mapping[str, Any]]:
    """A call whose mind and voice fall ill, and from then on whose cache has lost these lines; the breaks that were
    told until the caller has waited for so long and hangs up."""
    world = World()
    with capture_logs() as lines:
        await world.ring()
        world.begin()
        assert await world.quiet()
        for text in forget:
            world.prerendered.pop(text)
        world.troubles["mind"].set("hung", 99)
        world.troubles["voice"].set("dumb", 99)
        world.speak("tell me something long")
        await asyncio.sleep(waits)
        await world.finish()
    assert all(set(line) == {"event", "log_level", "call_id", "ms"} for line in breaks(lines))
    return breaks(lines)


def test_silence_that_is_longer_than_promised_is_told_once_and_without_words() -> None:
    """Nothing is at hand that could be said: the caller hears nothing, and somebody is woken."""
    (told,) = run(speechless(forget=scene.LINES, waits=30))
    assert (told["call_id"], told["log_level"]) == (CALL, "error")
    assert FIRST_MS <= told["ms"] <= FIRST_MS + 200


def test_silence_after_a_filler_is_told_too() -> None:
    (told,) = run(speechless(forget=[APOLOGY, scene.WORKING], waits=30))
    assert NEXT_MS <= told["ms"] <= NEXT_MS + 200


def test_a_caller_who_hangs_up_in_time_was_not_left_in_silence() -> None:
    assert run(speechless(forget=scene.LINES, waits=3.5)) == []


def test_a_loop_that_stood_still_is_found_by_the_sound_that_comes_too_late() -> None:
    silence = Silence()
    silence.waits(1_000)
    assert silence.sounds(1_000 + FIRST_MS + 1, 9_000) == FIRST_MS + 1
    assert silence.sounds(9_500, 9_900) is None
    assert silence.broken(9_900 + NEXT_MS) == NEXT_MS
    assert silence.broken(9_900 + 2 * NEXT_MS) is None, "told once"
    silence.over()
    assert silence.broken(99_000) is None
    silence.waits(100_000)
    assert silence.broken(100_000 + FIRST_MS) == FIRST_MS, "the next one is told again"


def _name(case: tuple[tuple[str, str], str, int]) -> str:
    (engine, kind), moment, times = case
    return f"{engine} {kind} {moment} x{times}"


@pytest.mark.parametrize("case", SAMPLE, ids=_name)
def test_a_sample(case: tuple[tuple[str, str], str, int]) -> None:
    (engine, kind), moment, times = case
    run(suffer(engine, kind, moment, times))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: " ".join(fault))
def test_every_moment(fault: tuple[str, str]) -> None:
    engine, kind = fault
    for moment, times in itertools.product(MOMENTS, TIMES):
        try:
            run(suffer(engine, kind, moment, times))
        except AssertionError as problem:
            raise AssertionError(f"{engine} {kind} {moment} x{times}: {problem}") from problem
