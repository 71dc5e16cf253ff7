"""The demo voice: real espeak-ng in its process, its crashes, and the phrase book behind it."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from media_gateway.providers import mulaw, phrase_book
from media_gateway.providers.embedded_voice import EmbeddedVoice
from media_gateway.providers.line_cache import LineCache
from media_gateway.providers.worker import Worker
from media_gateway.voice.ports import ProviderFault, Speaking, Spoken, SpokenAudio, SpokenEnd, VoiceFailed
from media_gateway.wiring import render
from tests.media_gateway.providers.hearing import flow_phrases, watch_workers

_OVER = (SpokenEnd, VoiceFailed)


class _Call:
    """Everything spoken, and a way to wait for it."""

    def __init__(self) -> None:
        self.spoken: list[Spoken] = []
        self._news = asyncio.Event()

    def on_spoken(self, spoken: Spoken) -> None:
        self.spoken.append(spoken)
        self._news.set()

    async def over(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.ends) < count:
                self._news.clear()
                await self._news.wait()

    @property
    def ends(self) -> list[Spoken]:
        return [spoken for spoken in self.spoken if isinstance(spoken, _OVER)]

    def sound(self, reply: int, clause: int) -> bytes:
        return b"".join(
            spoken.mulaw
            for spoken in self.spoken
            if isinstance(spoken, SpokenAudio) and (spoken.reply, spoken.clause) == (reply, clause)
        )


def _run(script: Callable[[Speaking, _Call], object], voice: EmbeddedVoice | None = None) -> _Call:
    async def call() -> _Call:
        here = _Call()
        speaking = await (voice or EmbeddedVoice()).open(here.on_spoken)
        try:
            outcome = script(speaking, here)
            if asyncio.iscoroutine(outcome):
                await outcome
        finally:
            await speaking.aclose()
            await speaking.aclose()
        return here

    return asyncio.run(call())


def _level(sound: bytes) -> float:
    return float(np.sqrt(np.mean(mulaw.decode(sound).astype(np.float64) ** 2)))


def test_clauses_sound_in_order_each_with_its_end() -> None:
    async def script(speaking: Speaking, here: _Call) -> None:
        speaking.say(1, 0, "All right.")
        speaking.say(1, 1, "Tomorrow at two in the afternoon works.")
        speaking.say(2, 0, "")
        await here.over(3)

    here = _run(script)
    assert here.ends == [SpokenEnd(1, 0), SpokenEnd(1, 1), SpokenEnd(2, 0)]
    first, second = here.sound(1, 0), here.sound(1, 1)
    assert 4000 < len(first) < len(second) < 40_000
    assert _level(first) > 500
    order = [(spoken.reply, spoken.clause) for spoken in here.spoken if isinstance(spoken, SpokenAudio | SpokenEnd)]
    assert order == sorted(order)


def test_a_cancelled_reply_falls_silent_and_the_next_one_speaks() -> None:
    async def script(speaking: Speaking, here: _Call) -> None:
        for clause in range(20):
            speaking.say(1, clause, "This is a long sentence that nobody wants to hear to its end any more.")
        speaking.cancel(1)
        speaking.say(2, 0, "Sure.")
        await here.over(1)

    here = _run(script)
    assert here.ends == [SpokenEnd(2, 0)]
    assert here.sound(1, 0) == here.sound(1, 5) == b""


def test_rendering_is_the_same_every_time() -> None:
    voice = EmbeddedVoice()

    async def twice() -> tuple[bytes, bytes]:
        return await voice.render("You are booked."), await voice.render("You are booked.")

    first, second = asyncio.run(twice())
    assert first == second
    assert _level(first) > 500


def test_what_it_says_can_be_understood_by_the_demo_ears() -> None:
    from tests.media_gateway.providers.hearing import hear, text_of

    sound = asyncio.run(EmbeddedVoice().render("tomorrow at two in the afternoon"))
    assert "tomorrow" in text_of(hear(sound, phrases=flow_phrases()))


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Worker]:
    return watch_workers(monkeypatch)


def test_lines_that_are_wanted_together_are_one_process_and_gone_with_it(workers: asyncio.Queue[Worker]) -> None:
    texts = ("Hello.", "Goodbye.", "Are you still there?")

    async def together() -> tuple[list[bytes], bool]:
        voice = EmbeddedVoice()
        sounds = await asyncio.gather(*map(voice.render, texts))
        return sounds, workers.get_nowait().alive

    sounds, alive = asyncio.run(together())
    assert workers.empty()
    assert not alive
    assert all(_level(sound) > 500 for sound in sounds)
    assert len({len(sound) for sound in sounds}) == 3


def test_a_whole_start_is_one_process(tmp_path: Path, workers: asyncio.Queue[Worker]) -> None:
    voice = EmbeddedVoice(lines=LineCache(tmp_path))
    texts = [f"This is line {number}." for number in ("one", "two", "three", "four", "five", "six")]
    assert asyncio.run(render(voice, texts)).keys() == set(texts)
    workers.get_nowait()
    assert workers.empty()


def test_a_process_that_dies_while_lines_wait_costs_none_of_them(workers: asyncio.Queue[Worker]) -> None:
    async def together() -> list[bytes]:
        voice = EmbeddedVoice()
        rendering = asyncio.gather(*map(voice.render, ("Hello.", "Goodbye.")))
        (await workers.get()).kill()
        return await rendering

    assert all(_level(sound) > 500 for sound in asyncio.run(together()))


def test_a_line_that_was_rendered_once_needs_no_process_again(tmp_path: Path, workers: asyncio.Queue[Worker]) -> None:
    def render(text: str) -> bytes:
        return asyncio.run(EmbeddedVoice(lines=LineCache(tmp_path)).render(text))

    first = render("You are booked.")
    workers.get_nowait()
    assert render("You are booked.") == first
    assert workers.empty()
    assert render("Goodbye.") != first


def test_a_crash_is_healed_once_and_nothing_is_said_twice(workers: asyncio.Queue[Worker]) -> None:
    whole = asyncio.run(EmbeddedVoice().render("Tomorrow at two works."))
    workers.get_nowait()

    async def script(speaking: Speaking, here: _Call) -> None:
        speaking.say(1, 0, "Tomorrow at two works.")
        speaking.say(1, 1, "Goodbye.")
        (await workers.get()).kill()
        await here.over(2)

    here = _run(script)
    assert here.ends == [SpokenEnd(1, 0), SpokenEnd(1, 1)]
    assert here.sound(1, 0) == whole


def test_after_the_second_crash_the_phrase_book_speaks_and_then_admits_defeat(workers: asyncio.Queue[Worker]) -> None:
    async def script(speaking: Speaking, here: _Call) -> None:
        (await workers.get()).kill()
        (await workers.get()).kill()
        speaking.say(1, 0, "Thank you for calling.  Goodbye!")
        speaking.say(1, 1, "Something that nobody ever recorded.")
        await here.over(2)

    here = _run(script)
    assert here.sound(1, 0) == phrase_book.phrases()["thank you for calling goodbye"]
    assert here.ends[0] == SpokenEnd(1, 0)
    assert isinstance(here.ends[1], VoiceFailed)


@pytest.fixture
def write_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], EmbeddedVoice]:
    """A voice whose process does as it is told for each message, and then ends."""

    def write(deed: str) -> EmbeddedVoice:
        source = f"""
            import sys, time
            from media_gateway.providers.pipe import Kind, pack, read_message
            read_message(sys.stdin.buffer)
            {deed}
            sys.stdout.buffer.flush()
            """
        (tmp_path / "strange_engine.py").write_text(textwrap.dedent(source))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return EmbeddedVoice("strange_engine")

    return write


def test_a_process_that_hangs_is_ended_and_the_phrase_book_speaks(
    write_engine: Callable[[str], EmbeddedVoice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_gateway.providers.embedded_voice._CLAUSE_SECONDS", 0.1)

    async def script(speaking: Speaking, here: _Call) -> None:
        speaking.say(1, 0, "Thank you for calling. Goodbye.")
        await here.over(1)

    here = _run(script, write_engine("time.sleep(60)"))
    assert here.ends == [SpokenEnd(1, 0)]
    assert here.sound(1, 0) == phrase_book.find("thank you for calling goodbye")


def test_half_a_clause_is_never_begun_again_in_another_voice(
    write_engine: Callable[[str], EmbeddedVoice],
) -> None:
    async def script(speaking: Speaking, here: _Call) -> None:
        speaking.say(1, 0, "Thank you for calling. Goodbye.")
        await here.over(1)

    half = 'sys.stdout.buffer.write(pack(Kind.AUDIO, (1).to_bytes(4, "big") + b"x" * 100))'
    here = _run(script, write_engine(half))
    assert [type(end) for end in here.ends] == [VoiceFailed]
    assert here.sound(1, 0) == b"x" * 100


def test_a_process_out_of_step_is_ended(write_engine: Callable[[str], EmbeddedVoice]) -> None:
    async def script(speaking: Speaking, here: _Call) -> None:
        speaking.say(1, 0, "One moment, please.")
        await here.over(1)

    garbage = 'sys.stdout.buffer.write(b"Traceback, or whatever"); sys.stdout.buffer.flush(); time.sleep(60)'
    here = _run(script, write_engine(garbage))
    assert here.sound(1, 0) == phrase_book.find("one moment please")


def test_an_engine_that_never_starts_leaves_the_phrases(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = EmbeddedVoice("no_such_worker")

    async def both() -> bytes:
        with pytest.raises(ProviderFault, match="broken"):
            await voice.render("Words that nobody recorded.")
        return await voice.render("Are you still there?")

    assert asyncio.run(both()) == phrase_book.find("are you still there")


def test_too_much_to_say_is_refused() -> None:
    async def script(speaking: Speaking, here: _Call) -> None:
        for clause in range(202):
            speaking.say(1, clause, "Yes.")
        assert [spoken.kind for spoken in here.spoken if isinstance(spoken, VoiceFailed)] == ["busy"]

    _run(script)


def test_without_the_packages_the_fault_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_gateway.providers.worker.find_spec", lambda name: None)
    with pytest.raises(ProviderFault, match="espeakng_loader and numpy not installed"):
        asyncio.run(EmbeddedVoice().render("Hello."))


def test_the_phrase_book_has_sound_for_every_phrase() -> None:
    assert len(phrase_book.phrases()) == 7
    assert all(_level(sound) > 300 and len(sound) > 8000 for sound in phrase_book.phrases().values())
    assert phrase_book.find("nothing of the kind") is None
