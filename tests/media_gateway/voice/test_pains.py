"""What hurts the users of other voice agents, in whole calls in virtual time: each of these fails on the naive way.

docs/voice-loop.md has the list with the tests that live elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from media_gateway.conversation.manager import Manager as FlowManager
from media_gateway.tools.router import Router
from media_gateway.voice.ports import EarsFailed, Final, Partial, ProviderFault, SpeechEnded, SpeechStarted, SpokenAudio
from media_gateway.voice.turn_model import MAX_CRIES
from media_gateway.wiring import Desk
from realtime import commands
from realtime.commands import Kind
from realtime.events import EventType
from tests.media_gateway.conversation.calls import changed
from tests.media_gateway.voice import world as scene
from tests.media_gateway.voice.stage import CALL, GREETING
from tests.media_gateway.voice.test_session_any import valid
from tests.media_gateway.voice.virtual import monotonic, run, utc
from tests.media_gateway.voice.world import Line, World, sound

BEGAN = 1_000.0
Play = Callable[[World], Awaitable[None]]


class Noted(Line):
    """Remembers when it was closed."""

    closed_at = 0.0

    def close(self) -> None:
        if not self.closed:
            self.closed_at = monotonic()
        super().close()


def play(part: Play, prepare: Callable[[World], None] = lambda _world: None) -> World:
    """A call, from its beginning to the caller's hanging up (or before, if it ends by itself)."""

    async def work() -> World:
        world = World()
        world.line = Noted()
        prepare(world)
        await world.ring()
        world.begin()
        try:
            await part(world)
            await world.finish()
        finally:
            world.running.cancel()
            await asyncio.wait({world.running})
        return world

    return run(work())


def closed_at(world: World) -> float:
    assert isinstance(world.line, Noted)
    return world.line.closed_at


def hear(world: World, *events: Any) -> None:
    for event in events:
        world.virtual_ears.opened[-1].tell(event)


async def speaking(world: World, text: str = "tell me something long") -> None:
    """The assistant is half a second into its answer."""
    assert await world.quiet()
    world.speak(text)
    await world.phase("speaking")
    await asyncio.sleep(0.5)


async def replies(world: World) -> list[dict[str, Any]]:
    await asyncio.sleep(0.1)  # they are being written
    return [dict(reply) for reply in await world.kept(EventType.AI_RESPONSE_COMPLETE)]


# --- interruption ----------------------------------------------------------------------------------------------------


def test_after_a_barge_in_nothing_of_the_old_answer_is_heard() -> None:
    """The voice has long delivered all of it, and seconds lie in the carrier's buffer: only `clear` stops those. Then
    more of it comes, late."""

    async def part(world: World) -> None:
        await speaking(world)
        assert world.ear._free > monotonic() + 3.0, "seconds are in the carrier's buffer"
        said = world.session.turns.turn
        hear(world, SpeechStarted(), Partial("no wait"), Partial("no wait a moment"))
        moment = monotonic()
        for _ in range(20):
            world.virtual_voice.opened[-1].tell(SpokenAudio(said, 1, sound("late")))
            await asyncio.sleep(0.1)
        assert [span for span in world.ear.heard if span[1] > moment] == []

    play(part)


def test_a_cough_costs_no_word_of_the_answer() -> None:
    async def part(world: World) -> None:
        await speaking(world)
        whole = world.ear._free - monotonic()
        hear(world, SpeechStarted(), Partial("hm well"), SpeechEnded())
        resumed = monotonic()
        assert await world.quiet()
        rest = sum(end - max(start, resumed) for start, end in world.ear.heard if end > resumed)
        assert rest >= whole - 0.02, "a part of the answer was thrown away"
        assert not any(reply["interrupted"] for reply in await replies(world))

    play(part)


LOUD, QUIET = b"\x9c" * 160, b"\xff" * 160


async def microphone(world: World, frames: list[bytes]) -> None:
    """The caller's line, 20 ms after 20 ms."""
    for frame in frames:
        await asyncio.sleep(0.02)
        world.session.on_media(frame)


def test_who_talks_over_it_is_not_talked_over_until_a_word_is_known() -> None:
    """A recogniser takes half a second to know one."""

    async def part(world: World) -> None:
        await speaking(world)
        await microphone(world, [QUIET] * 20)
        began = monotonic()
        await microphone(world, [LOUD] * 30)
        assert all(end <= began + 0.2 for _, end in world.ear.heard)
        hear(world, SpeechStarted(), Partial("no"))
        await microphone(world, [LOUD] * 20)
        hear(world, Partial("no stop"), Final("no stop", 0.9))
        assert await world.quiet()
        (interruption,) = await world.kept(EventType.INTERRUPTION)
        assert (interruption["confirmed"], interruption["words"]) == (True, "no stop")
        assert [reply["interrupted"] for reply in await replies(world)] == [False, True, False]

    play(part)


@pytest.mark.parametrize("words", ["", "uh-huh"])
def test_a_cough_is_a_moments_pause_and_costs_no_word(words: str) -> None:
    async def part(world: World) -> None:
        await speaking(world)
        whole = world.ear._free - monotonic()
        await microphone(world, [QUIET] * 20 + [LOUD] * 15)
        assert world.line.cleared == 1
        if words:
            hear(world, Partial(words), Final(words, 0.9))
        await microphone(world, [QUIET] * 40)
        resumed = monotonic() - 40 * 0.02
        assert world.session.turns.phase == "speaking"
        assert await world.quiet()
        rest = sum(end - max(start, resumed) for start, end in world.ear.heard if end > resumed)
        assert rest >= whole - 35 * 0.02, "a part of the answer was thrown away"
        assert not any(reply["interrupted"] for reply in await replies(world))

    play(part)


def test_a_line_that_keeps_coughing_does_not_make_it_stutter() -> None:
    async def part(world: World) -> None:
        await speaking(world, "tell me something long " * 8)
        for _ in range(6):
            await microphone(world, [QUIET] * 50 + [LOUD] * 15)
        assert world.line.cleared == MAX_CRIES
        hear(world, Partial("please stop it"))
        assert world.line.cleared == MAX_CRIES + 1
        assert await world.quiet()

    play(part)


def test_uh_huh_as_words_does_not_even_make_it_pause() -> None:
    async def part(world: World) -> None:
        await speaking(world)
        hear(world, SpeechStarted(), Partial("uh-huh"), Final("uh-huh", 0.9))
        assert world.line.cleared == 0
        assert await world.quiet()
        assert len(await world.kept(EventType.FINAL_TRANSCRIPT)) == 1

    play(part)


def test_a_late_barge_in_does_not_rewrite_what_was_heard_before() -> None:
    """The words that were said over the end of an answer come when it has been heard and kept."""

    async def part(world: World) -> None:
        await speaking(world)
        assert await world.quiet()
        before = await replies(world)
        hear(world, SpeechStarted(), Partial("no stop"), Final("no stop that", 0.9))
        await world.phase("speaking")
        hear(world, Partial("I said stop"), Partial("I said stop it now"))
        assert await world.quiet()
        after = await replies(world)
        assert after[: len(before)] == before
        assert len({reply["turn"] for reply in after}) == len(after), "an answer was kept twice"
        assert not before[-1]["interrupted"]

    play(part)


@pytest.mark.parametrize("frames", [0, 50, 200])
def test_where_the_caller_is_has_nothing_to_do_with_their_own_sound(frames: int) -> None:
    """Time stamps of what comes in drift from what goes out: none comes, or four times as much as there is time for."""
    heard: list[str] = []

    async def part(world: World) -> None:
        await speaking(world)
        for _ in range(frames):
            world.session.on_media(b"\xff" * 160)
            await asyncio.sleep(1.0 / frames)
        await asyncio.sleep(0.0 if frames else 1.0)
        hear(world, Partial("no wait"), Partial("no wait a moment"))
        assert await world.quiet()
        heard.append((await replies(world))[-1]["text"])

    play(part)
    assert heard == ["one two three four five"]


def test_an_answer_of_which_nothing_was_heard_is_not_in_the_history() -> None:
    """Nor is the answer of a tool without its call: the next question to the model would be refused."""

    async def part(world: World) -> None:
        assert await world.quiet()
        world.tools.gate.clear()
        world.speak("please look it up")
        await asyncio.sleep(0.4)
        hear(world, Final("no wait please", 0.9))  # before its first sound
        world.tools.gate.set()
        assert await world.quiet()
        mind = cast(scene.Mind, world.mind)
        history = mind.thoughts[-1].history
        valid(history)
        assert [line.text for line in history if line.role == "assistant" and line.text] == [GREETING]

    play(part)


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("echoes", [True, False])
def test_a_goodbye_is_heard_whole_and_then_the_call_ends(echoes: bool) -> None:
    async def part(world: World) -> None:
        world.line.echo = echoes
        assert await world.quiet()
        world.speak("bye then")
        assert not await world.quiet(20)

    world = play(part)
    last = max(end for _, end in world.ear.heard)
    assert 0 <= closed_at(world) - last <= 2.0, "it was cut off, or the line stayed open"


def test_who_says_more_over_a_goodbye_is_answered() -> None:
    """Where the flow lets the goodbye be interrupted, it was none."""

    async def part(world: World) -> None:
        await speaking(world, "bye then")
        hear(world, Partial("oh and one"), Final("oh and one more thing", 0.9))
        assert await world.quiet()
        assert (await replies(world))[-1]["text"] == "You said oh and one more thing."

    play(part)


def _unending(world: World) -> None:
    """Whatever is to be let go of does not let go."""

    async def never() -> None:
        await asyncio.sleep(3_600)

    scene_open_ears, scene_open_voice = world.virtual_ears.open, world.virtual_voice.open

    async def ears(*args: Any) -> Any:
        opened = await scene_open_ears(*args)
        cast(Any, opened).aclose = never
        return opened

    async def voice(*args: Any) -> Any:
        opened = await scene_open_voice(*args)
        cast(Any, opened).aclose = never
        return opened

    cast(Any, world.virtual_ears).open, cast(Any, world.virtual_voice).open = ears, voice


@pytest.mark.parametrize("moment", ["listening", "thinking", "speaking", "with a tool"])
def test_a_hang_up_ends_it_whatever_hangs(moment: str) -> None:
    """Engines that do not close, a tool that does not return, a store that does not answer."""

    async def part(world: World) -> None:
        assert await world.quiet()
        if moment == "with a tool":
            world.tools.gate.clear()
        if moment != "listening":
            world.speak("please look it up" if moment == "with a tool" else "something long")
        await asyncio.sleep({"thinking": 0.1, "speaking": 1.0}.get(moment, 0.5))
        world.memory.away = True
        began = monotonic()
        world.session.on_stop()
        await asyncio.wait_for(asyncio.shield(world.running), 60)
        assert monotonic() - began < 30, "the call is over, and it went on"
        world.memory.away = False

    play(part, _unending)


# --- silence ---------------------------------------------------------------------------------------------------------


def test_hold_music_does_not_keep_a_call_for_ever() -> None:
    """Sound without end, and half words in it, but never a whole turn: an IVR, a radio, comfort noise."""

    def shipped(world: World) -> None:
        router = Router()
        flow = changed("inbound_new", closed_days=[])
        world.manager = cast(Any, Desk(flow, FlowManager(flow), frozenset(router.names)))
        world.tools = cast(Any, router)

    async def part(world: World) -> None:
        await world.phase("speaking")
        for n in range(2_000):
            await asyncio.sleep(0.5)
            if world.over:
                break
            if world.virtual_ears.opened:
                hear(world, *([SpeechStarted()] if n % 3 == 0 else []), Partial(f"la la {n % 7}"))
        assert world.over, "it listens to the music for ever"
        assert monotonic() - BEGAN < 300

    world = play(part, shipped)
    idles = run_kept(world, EventType.IDLE)
    assert [event["count"] for event in idles][:2] == [1, 2]
    assert run_kept(world, EventType.COMMAND)[-1]["kind"] in ("stream_hangup", "stream_handoff")


def run_kept(world: World, type_: EventType) -> list[Any]:
    """What the journal has of it, after the call."""
    return list(run(world.kept(type_)))


@pytest.mark.parametrize("busy", ["a long line", "a slow tool", "a supervisor", "a hold"])
def test_nobody_is_asked_whether_they_are_there_while_it_is_not_their_turn(busy: str) -> None:
    async def part(world: World) -> None:
        assert await world.quiet()
        match busy:
            case "a long line":
                await speaking(world)
                await asyncio.sleep(1.0)
                assert world.ear._free - monotonic() > 6
            case "a slow tool":
                world.tools.gate.clear()
                asyncio.get_running_loop().call_later(25, world.tools.gate.set)
                world.speak("please look it up")
            case "a supervisor":
                await ask(world, "takeover", by="browser")
                microphone = None
                while microphone is None:
                    await asyncio.sleep(0.1)
                    microphone = world.session.microphone("ann")
                await asyncio.sleep(60)
                microphone.close()
            case _:
                await speaking(world)
                hear(world, SpeechStarted(), Partial("hm"))
                for n in range(40):  # more of the same noise, and no word of it
                    await asyncio.sleep(0.2)
                    hear(world, Partial(f"hm {'m' * (n % 3)}"))
                hear(world, SpeechEnded())
        assert await world.quiet()
        assert await world.kept(EventType.IDLE) == []

    play(part)


async def ask(world: World, kind: Kind, **args: Any) -> None:
    """A supervisor does."""
    command = commands.new(CALL, kind, "ann", args, utc())
    await commands.issue(world.journal, command, "default", utc())
    world.session.on_commands()


# --- the beginning ---------------------------------------------------------------------------------------------------


def test_whoever_calls_hears_something_at_once_whatever_is_slow() -> None:
    """The look-up takes its time, and neither ears nor voice come."""

    def slow(world: World) -> None:
        world.opener = "Hello!"
        world.prerendered["Hello!"] = sound("Hello!")
        world.troubles["ears"].set("hung open", 1)
        world.troubles["voice"].set("hung open", 1)
        world.lookup = lambda org, phone: asyncio.sleep(60)

    async def part(world: World) -> None:
        await world.phase("listening")

    world = play(part, slow)
    assert world.ear.heard[0][0] - BEGAN <= 0.15


def test_the_history_has_the_first_word_first() -> None:
    """The greeting is nobody's that was rendered before: the opener comes at once, while the voice is asked for it."""

    def unknown(world: World) -> None:
        world.opener = "Hello!"
        world.prerendered["Hello!"] = sound("Hello!")
        del world.prerendered[GREETING]
        world.troubles["voice"].set("slow", 1)

    async def part(world: World) -> None:
        assert await world.quiet()
        first = (await replies(world))[0]
        assert first["text"] == first["full_text"]
        assert first["text"].startswith("Hello!")

    world = play(part, unknown)
    assert world.ear.heard[0][0] - BEGAN <= 0.02, "it waits although it is known that the greeting takes its time"


def test_the_sockets_open_while_the_caller_is_looked_up() -> None:
    async def part(world: World) -> None:
        await asyncio.sleep(0.06)
        assert world.virtual_ears.opened
        assert world.virtual_voice.opened
        assert world.manager.told == [], "nobody knows yet who calls"
        assert await world.quiet()

    def slow(world: World) -> None:
        world.patience = replace(world.patience, lookup=2.0)
        world.lookup = lambda org, phone: asyncio.sleep(1.0)

    play(part, slow)


# --- engines ---------------------------------------------------------------------------------------------------------


def test_a_vendor_that_is_down_is_not_stormed() -> None:
    """Every opening is refused: a bounded number of them, however long the caller stays on the line."""
    tries = 0

    def down(world: World) -> None:
        async def refuse(*_: Any) -> Any:
            nonlocal tries
            tries += 1
            await asyncio.sleep(0.01)
            raise ProviderFault("ears", "refused")

        cast(Any, world.virtual_ears).open = refuse

    async def part(world: World) -> None:
        assert not await world.quiet(60)

    play(part, down)
    assert tries <= 3


def test_ears_that_break_in_every_turn_do_not_end_a_call_that_goes_on() -> None:
    """Each time they come back and hear: only failures in a row count."""

    async def part(world: World) -> None:
        for n in range(6):
            assert await world.quiet()
            hear(world, EarsFailed("broken", "test"))
            await asyncio.sleep(0.2)
            world.speak(f"number {n}")
            await world.phase("speaking")
        assert await world.quiet()
        assert len(await replies(world)) == 7

    play(part)
