"""The two vendors' voices against their simulators, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.simulators import deepgram_speak, elevenlabs_tts
from infra.simulators.deepgram_speak import DeepgramSpeak
from infra.simulators.elevenlabs_tts import ElevenLabsTts
from infra.simulators.speech_sound import speak
from infra.simulators.vendor_faults import Fault, Kind
from media_gateway.providers.deepgram_voice import DeepgramVoice
from media_gateway.providers.elevenlabs_voice import ElevenLabsVoice
from media_gateway.providers.line_cache import LineCache
from media_gateway.providers.paired_voice import PairedVoice
from media_gateway.voice.ports import (
    ProviderFault,
    Spoken,
    SpokenAudio,
    SpokenEnd,
    SpokenTogether,
    Voice,
    VoiceFailed,
    VoiceTrouble,
)

pytestmark = pytest.mark.anyio
DEEPGRAM_FAST = deepgram_speak.Delays(first_ms=5, chunk_ms=300, every_ms=1)
ELEVENLABS_FAST = elevenlabs_tts.Delays(first_ms=5, chunk_ms=300, every_ms=1, rest_ms=1)


@dataclass
class Listener:
    """What a voice told, and a way to wait for it."""

    spoken: list[Spoken] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, spoken: Spoken) -> None:
        self.spoken.append(spoken)
        self.news.set()

    async def until(self, true: Callable[[list[Spoken]], bool]) -> None:
        async with asyncio.timeout(10):
            while not true(self.spoken):
                self.news.clear()
                await self.news.wait()

    async def ends(self, count: int) -> None:
        await self.until(lambda spoken: sum(isinstance(one, SpokenEnd) for one in spoken) >= count)

    async def failed(self) -> VoiceFailed:
        await self.until(lambda spoken: any(isinstance(one, VoiceFailed) for one in spoken))
        return next(one for one in self.spoken if isinstance(one, VoiceFailed))

    def sound(self, reply: int) -> bytes:
        return b"".join(one.mulaw for one in self.spoken if isinstance(one, SpokenAudio) and one.reply == reply)


@dataclass
class Vendors:
    deepgram: DeepgramSpeak
    elevenlabs: ElevenLabsTts

    def voice(self, name: str, key: str = "") -> Voice:
        if name == "deepgram":
            return DeepgramVoice(key or deepgram_speak.API_KEY, self.deepgram.url, "aura-2-thalia-en")
        voice_id = elevenlabs_tts.VOICE_ID
        return ElevenLabsVoice(key or elevenlabs_tts.API_KEY, self.elevenlabs.url, voice_id, "eleven_flash_v2_5")

    def fault(self, name: str, fault: Fault) -> None:
        (self.deepgram if name == "deepgram" else self.elevenlabs).faults.add(fault)

    def said(self, name: str) -> list[str]:
        return self.deepgram.said if name == "deepgram" else self.elevenlabs.said


@asynccontextmanager
async def vendors() -> AsyncIterator[Vendors]:
    async with (
        DeepgramSpeak(delays=DEEPGRAM_FAST).serving() as deepgram,
        ElevenLabsTts(delays=ELEVENLABS_FAST).serving() as elevenlabs,
    ):
        yield Vendors(deepgram, elevenlabs)
    assert not deepgram.open, "a connection is left"
    assert not elevenlabs.open, "a connection is left"


both = pytest.mark.parametrize("name", ["deepgram", "elevenlabs"])


@both
async def test_a_reply_sounds_whole_and_untouched(name: str) -> None:
    async with vendors() as here:
        heard = Listener()
        speaking = await here.voice(name).open(heard)
        for clause, text in enumerate(("One two.", "Three four five.", "Six."), 1):
            speaking.say(1, clause, text)
        speaking.done(1)
        await heard.ends(2 if name == "deepgram" else 3)
        await speaking.aclose()
        await speaking.aclose()
    assert heard.sound(1) == b"".join(speak(text).mulaw for text in here.said(name))
    assert " ".join(here.said(name)) == "One two. Three four five. Six."
    together = [one for one in heard.spoken if isinstance(one, SpokenTogether)]
    assert together == ([SpokenTogether(1, 2, 3)] if name == "deepgram" else [])
    timings = [one.timing for one in heard.spoken if isinstance(one, SpokenAudio) and one.timing]
    assert bool(timings) is (name == "elevenlabs")


@both
async def test_after_a_cancel_only_the_next_reply_sounds(name: str) -> None:
    async with vendors() as here:
        heard = Listener()
        speaking = await here.voice(name).open(heard)
        for clause in range(1, 20):
            speaking.say(1, clause, "This is a long sentence that nobody wants to hear to its end any more.")
        await heard.until(lambda spoken: any(isinstance(one, SpokenAudio) for one in spoken))
        speaking.cancel(1)
        before = len(heard.spoken)
        speaking.say(2, 1, "Sure.")
        speaking.done(2)
        await heard.until(lambda spoken: SpokenEnd(2, 1) in spoken)
        await speaking.aclose()
    assert all(isinstance(one, SpokenAudio | SpokenEnd) and one.reply == 2 for one in heard.spoken[before:])
    assert heard.sound(2) == speak("Sure.").mulaw


@both
async def test_a_key_that_is_not_taken_says_where_it_belongs(name: str) -> None:
    async with vendors() as here:
        voice = here.voice(name, key="wrong")
        with pytest.raises(ProviderFault, match=f"{name.upper()}_API_KEY") as fault:
            await PairedVoice([voice], LineCache(Path("unused"))).warm()
        assert fault.value.kind == "unauthorized"
        with pytest.raises(ProviderFault) as fault:
            await voice.render("Hello.")
        assert fault.value.kind == "unauthorized"
        assert "wrong" not in str(fault.value)


OPENING = {Kind.REFUSED: "refused", Kind.UNAUTHORIZED: "unauthorized", Kind.BUSY: "busy", Kind.HUNG: "timeout"}


@both
@pytest.mark.parametrize("kind", OPENING)
async def test_faults_at_the_door(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_gateway.providers.speech_link.OPEN_S", 0.3)
    async with vendors() as here:
        here.fault(name, Fault(kind=kind))
        with pytest.raises(ProviderFault) as fault:
            await here.voice(name).open(Listener())
        assert (fault.value.provider, fault.value.kind) == (name, OPENING[kind])


IN_TALK = {
    Kind.HUNG: "timeout",
    Kind.EMPTY: "broken",
    Kind.CUT: "broken",
    Kind.GARBAGE: "broken",
    Kind.ERROR: "broken",
    Kind.CLOSE: "broken",
}


@both
@pytest.mark.parametrize("kind", IN_TALK)
async def test_faults_while_it_speaks(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    patience = (0.3, 0.2) if kind is Kind.HUNG else (10.0, 10.0)  # a busy machine's pause is not the vendor's silence
    for module in ("deepgram_speech", "elevenlabs_speech"):
        monkeypatch.setattr(f"media_gateway.providers.{module}.FIRST_SOUND_S", patience[0])
        monkeypatch.setattr(f"media_gateway.providers.{module}.STALL_S", patience[1])
    async with vendors() as here:
        after = 0 if kind is Kind.EMPTY else 2
        here.fault(name, Fault(kind=kind, after_messages=after, garbage=('{"type": ',)))
        heard = Listener()
        speaking = await here.voice(name).open(heard)
        speaking.say(1, 1, "This is a sentence of some length, which breaks off.")
        speaking.done(1)
        failed = await heard.failed()
        await speaking.aclose()
        speaking.say(1, 2, "Nobody hears this.")
        await asyncio.sleep(0)
    assert (failed.provider, failed.kind) == (name, IN_TALK[kind])
    assert heard.spoken[-1] is failed, "nothing comes after it"


@both
async def test_a_slow_vendor_that_keeps_talking_is_no_fault(name: str) -> None:
    async with vendors() as here:
        here.fault(name, Fault(kind=Kind.SLOW, delay_ms=60))
        heard = Listener()
        speaking = await here.voice(name).open(heard)
        speaking.say(1, 1, "One two three.")
        speaking.done(1)
        await heard.ends(1)
        await speaking.aclose()
    assert not any(isinstance(one, VoiceFailed) for one in heard.spoken)


@pytest.mark.parametrize(("first", "second"), [("deepgram", "elevenlabs"), ("elevenlabs", "deepgram")])
async def test_the_other_one_opens_when_the_first_does_not(first: str, second: str, tmp_path: Path) -> None:
    async with vendors() as here:
        pair = PairedVoice([here.voice(first), here.voice(second)], LineCache(tmp_path))
        await pair.warm()
        here.fault(first, Fault(kind=Kind.BUSY, times=None))
        heard = Listener()
        for _ in range(5):
            speaking = await pair.open(heard)
            speaking.say(1, 1, "Hello.")
            speaking.done(1)
            await heard.ends(1)
            await speaking.aclose()
            heard.spoken = [one for one in heard.spoken if isinstance(one, VoiceTrouble)]
        met = (here.deepgram if first == "deepgram" else here.elevenlabs).faults.met
        assert len(met) == 3, "it is left alone after three in a row"
        assert [(one.provider, one.kind) for one in heard.spoken if isinstance(one, VoiceTrouble)] == [
            (first, "busy")
        ] * 3
        assert here.said(second) == ["Hello."] * 5


async def test_both_away_is_a_fault_of_the_pair(tmp_path: Path) -> None:
    async with vendors() as here:
        pair = PairedVoice([here.voice("deepgram"), here.voice("elevenlabs")], LineCache(tmp_path))
        for name in ("deepgram", "elevenlabs"):
            here.fault(name, Fault(kind=Kind.BUSY, times=None))
        with pytest.raises(ProviderFault):
            await pair.open(Listener())
        with pytest.raises(ProviderFault):
            await pair.warm()
        with pytest.raises(ProviderFault):
            await pair.render("Hello.")


async def test_a_stand_in_that_is_away_does_not_stop_the_start(tmp_path: Path) -> None:
    async with vendors() as here:
        pair = PairedVoice([here.voice("deepgram"), here.voice("elevenlabs")], LineCache(tmp_path))
        here.fault("elevenlabs", Fault(kind=Kind.BUSY))
        await pair.warm()
        here.fault("elevenlabs", Fault(kind=Kind.UNAUTHORIZED))
        with pytest.raises(ProviderFault, match="ELEVENLABS_API_KEY"):
            await pair.warm()


@both
async def test_a_line_is_rendered_once_and_for_all_starts(name: str, tmp_path: Path) -> None:
    async with vendors() as here:
        first = PairedVoice([here.voice(name)], LineCache(tmp_path / "lines"))
        sound = await first.render("Good morning.")
        assert sound == speak("Good morning.").mulaw
        here.fault(name, Fault(kind=Kind.BUSY, times=None))
        again = PairedVoice([here.voice(name)], LineCache(tmp_path / "lines"))
        assert await again.render("Good morning.") == sound
        with pytest.raises(ProviderFault):
            await again.render("Good night.")


async def test_the_stand_in_renders_and_its_lines_are_its_own(tmp_path: Path) -> None:
    async with vendors() as here:
        pair = PairedVoice([here.voice("deepgram"), here.voice("elevenlabs")], LineCache(tmp_path))
        here.fault("deepgram", Fault(kind=Kind.CUT))
        assert await pair.render("Good morning.")
        assert here.elevenlabs.rendered == ["Good morning."]
        assert await pair.render("Good morning.")
        assert here.deepgram.said == ["Good morning."]


async def test_a_disk_that_takes_nothing_costs_only_time(tmp_path: Path) -> None:
    async with vendors() as here:
        (tmp_path / "file").write_text("")
        pair = PairedVoice([here.voice("deepgram")], LineCache(tmp_path / "file" / "lines"))
        assert await pair.render("Good morning.") == speak("Good morning.").mulaw


@pytest.mark.parametrize("kind", [Kind.BUSY, Kind.CUT, Kind.ERROR, Kind.EMPTY, Kind.GARBAGE])
async def test_rendering_by_rest_fails_with_a_fault(kind: Kind) -> None:
    async with vendors() as here:
        here.fault("elevenlabs", Fault(kind=kind))
        with pytest.raises(ProviderFault) as fault:
            await here.voice("elevenlabs").render("Hello.")
        assert fault.value.provider == "elevenlabs"
