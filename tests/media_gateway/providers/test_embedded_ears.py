"""The recogniser as a call uses it: a process behind a pipe, the event loop free."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from infra.simulators import clips
from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers.embedded_ears import EmbeddedEars
from media_gateway.providers.worker import Worker
from media_gateway.voice.ports import (
    EarsFailed,
    Final,
    Heard,
    Hearing,
    Partial,
    ProviderFault,
    SpeechEnded,
    SpeechStarted,
)
from tests.media_gateway.providers.hearing import LEAD, TAIL, flow_phrases, model_folder, watch_workers

_TURN_OVER = (Final, SpeechEnded, EarsFailed)


class _Call:
    """Everything heard, and a way to wait for it."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._news = asyncio.Event()

    def on_heard(self, heard: Heard) -> None:
        self.heard.append(heard)
        self._news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def turns(self, count: int = 1) -> None:
        await self.until(lambda: sum(isinstance(heard, _TURN_OVER) for heard in self.heard) >= count)


def _profile(patience_ms: int = 600, phrases: tuple[str, ...] | None = None) -> ListeningProfile:
    return ListeningProfile(patience_ms=patience_ms, phrases=flow_phrases() if phrases is None else phrases)


def _say(hearing: Hearing, name: str, voice: str = "rms") -> None:
    sound = LEAD + clips.load(name, voice).audio + TAIL
    for start in range(0, len(sound), 160):
        hearing.feed(sound[start : start + 160])


def test_a_turn_from_sound_to_text_with_the_loop_never_blocked() -> None:
    async def call() -> list[Heard]:
        ears, here, profile = EmbeddedEars(model_folder()), _Call(), _profile()
        sound = clips.load("need_oil_change", "rms").audio
        with blockbuster_ctx("media_gateway"):
            hearing = await ears.open(profile, here.on_heard)
            hearing.feed(LEAD + sound + TAIL)
            await here.turns()
            await hearing.aclose()
            await hearing.aclose()
        return here.heard

    heard = asyncio.run(call())
    final = heard[-1]
    assert heard[0] == SpeechStarted()
    assert any(isinstance(event, Partial) for event in heard)
    assert isinstance(final, Final)
    assert (final.text, final.understood) == ("i need to schedule an oil change", True)


def test_the_loop_goes_on_while_a_long_clip_is_decoded() -> None:
    """The recogniser's process burns a second of processor; the loop must not be the one that pays."""

    async def call() -> float:
        ears, here = EmbeddedEars(model_folder()), _Call()
        hearing = await ears.open(_profile(), here.on_heard)
        busy, worst = time.thread_time(), 0.0
        _say(hearing, "quick_brown_fox")
        _say(hearing, "need_oil_change")
        waiting = asyncio.create_task(here.turns(2))
        while not waiting.done():
            before = time.thread_time()
            await asyncio.sleep(0)
            worst = max(worst, time.thread_time() - before)
            await asyncio.sleep(0.002)
        await waiting
        await hearing.aclose()
        assert time.thread_time() - busy < 1.0
        return worst

    assert asyncio.run(call()) < 0.05


def test_two_calls_at_once_hear_each_their_own() -> None:
    async def one(ears: EmbeddedEars, name: str, voice: str) -> str:
        here = _Call()
        hearing = await ears.open(_profile(), here.on_heard)
        _say(hearing, name, voice)
        await here.turns()
        await hearing.aclose()
        final = here.heard[-1]
        assert isinstance(final, Final)
        return final.text

    async def both() -> list[str]:
        ears = EmbeddedEars(model_folder())
        return list(await asyncio.gather(one(ears, "tomorrow_at_two", "rms"), one(ears, "speak_to_manager", "kal16")))

    assert asyncio.run(both()) == ["tomorrow at two", "i want to speak to a manager"]


def test_listening_differently_in_mid_call_sends_the_phrases_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    send = Worker.send

    def counted(worker: Worker, message: bytes) -> bool:
        sizes.append(len(message))
        return send(worker, message)

    monkeypatch.setattr(Worker, "send", counted)

    async def call() -> list[Heard]:
        here = _Call()
        hearing = await EmbeddedEars(model_folder()).open(_profile(5000), here.on_heard)
        hearing.configure(_profile(300))
        assert sizes[0] > 10_000 > 100 > sizes[1]
        _say(hearing, "plain_yes")
        await here.turns()
        await hearing.aclose()
        return here.heard

    final = asyncio.run(call())[-1]
    assert isinstance(final, Final)
    assert final.speech_end_ms == 300


def test_a_process_that_dies_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = watch_workers(monkeypatch)

    async def call() -> list[Heard]:
        here = _Call()
        hearing = await EmbeddedEars(model_folder()).open(_profile(), here.on_heard)
        (await workers.get()).kill()
        await here.turns()
        hearing.feed(b"\xff" * 160)
        hearing.configure(_profile(300))
        await hearing.aclose()
        return here.heard

    assert asyncio.run(call()) == [EarsFailed("broken", "the recogniser's process ended")]


def test_phrases_that_cannot_be_pronounced_fail_with_the_remedy() -> None:
    async def call() -> list[Heard]:
        here = _Call()
        hearing = await EmbeddedEars().open(_profile(phrases=("zorblax",)), here.on_heard)
        await here.turns()
        await hearing.aclose()
        return here.heard

    heard = asyncio.run(call())
    assert len(heard) == 1
    assert isinstance(heard[0], EarsFailed)
    assert heard[0].kind == "refused"
    assert "give the flow phrases" in heard[0].detail


def test_what_is_said_before_the_flow_is_known_is_heard_when_it_is() -> None:
    async def call() -> list[Heard]:
        here = _Call()
        hearing = await EmbeddedEars(model_folder()).open(_profile(phrases=()), here.on_heard)
        hearing.configure(_profile(300, phrases=()))
        _say(hearing, "need_oil_change")
        assert here.heard == []
        hearing.configure(_profile())
        await here.turns()
        await hearing.aclose()
        return here.heard

    finals = [heard.text for heard in asyncio.run(call()) if isinstance(heard, Final)]
    assert len(finals) == 1
    assert "oil change" in finals[0]


def test_words_it_cannot_pronounce_are_logged_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    async def call() -> None:
        here = _Call()
        hearing = await EmbeddedEars().open(_profile(phrases=("zorblax service", "yes please")), here.on_heard)
        _say(hearing, "yes_please")
        await here.turns()
        await hearing.aclose()

    asyncio.run(call())
    said = capsys.readouterr().out
    assert "zorblax" in said
    assert "spell them" in said


def test_no_callback_after_the_close() -> None:
    async def call() -> list[Heard]:
        here = _Call()
        hearing = await EmbeddedEars(model_folder()).open(_profile(), here.on_heard)
        _say(hearing, "need_oil_change")
        await here.until(lambda: bool(here.heard))
        await hearing.aclose()
        count = len(here.heard)
        await asyncio.sleep(0.05)
        assert len(here.heard) == count
        return here.heard

    assert asyncio.run(call())


def test_a_recogniser_that_cannot_keep_up_drops_the_oldest_and_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    async def call() -> None:
        here = _Call()
        hearing = await EmbeddedEars(model_folder()).open(_profile(), here.on_heard)
        for _ in range(6000):
            hearing.feed(b"\xff" * 160)
        await hearing.aclose()

    asyncio.run(call())
    assert capsys.readouterr().out.count("provider_fault") == 1


def test_without_the_packages_the_fault_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_gateway.providers.worker.find_spec", lambda name: None)
    ears = EmbeddedEars()
    with pytest.raises(ProviderFault, match="pocketsphinx and numpy not installed"):
        asyncio.run(_refused(ears))


def test_more_calls_than_the_engine_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_gateway.providers.embedded_ears._MAX_OPEN", 1)

    async def call() -> None:
        ears = EmbeddedEars(model_folder())
        first = await ears.open(_profile(), lambda heard: None)
        with pytest.raises(ProviderFault, match="busy"):
            await ears.open(_profile(), lambda heard: None)
        await first.aclose()
        await (await ears.open(_profile(), lambda heard: None)).aclose()

    asyncio.run(call())


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows: run this on Linux or macOS")
def test_the_production_loop_drives_it_too() -> None:
    import uvloop

    async def call() -> list[Heard]:
        here = _Call()
        hearing = await EmbeddedEars(model_folder()).open(_profile(), here.on_heard)
        _say(hearing, "plain_yes")
        await here.turns()
        await hearing.aclose()
        return here.heard

    final = uvloop.run(call())[-1]
    assert isinstance(final, Final)
    assert final.text == "yes"


async def _refused(ears: EmbeddedEars) -> None:
    await ears.open(_profile(), lambda heard: None)


def test_the_gateway_side_imports_no_engine() -> None:
    """The container has neither numpy nor pocketsphinx."""
    import subprocess

    code = (
        "import sys; import media_gateway.providers.catalog, media_gateway.providers.embedded_ears;"
        "print(sorted({'numpy', 'pocketsphinx', 'espeakng_loader'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
