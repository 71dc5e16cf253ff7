"""Every fault of a speaking vendor at every moment of a reply, at the socket: the caller hears something in time, and
all of it once; the call goes on, and the journal says what happened.

Time is about five times faster than in a real call (what the voices say is short, and so are the waits).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from infra.simulators import speech_sound
from infra.simulators.speech_sound import speak
from infra.simulators.vendor_faults import Fault, Kind
from media_gateway.providers import deepgram_speech, elevenlabs_speech, speech_link
from media_gateway.providers.line_cache import LineCache
from media_gateway.providers.paired_voice import PairedVoice
from media_gateway.voice import mouth, sounding
from media_gateway.voice import turns as machine
from media_gateway.voice.parts import Patience
from media_gateway.voice.ports import Partial
from realtime.events import EventType
from tests.media_gateway.providers.test_vendor_voices import Vendors, vendors
from tests.media_gateway.voice.stage import APOLOGY, CALL, FILLER, Line, Stage, call, until

pytestmark = pytest.mark.anyio
REPLY = "The cache must wait for this. Hello."
"""What "order" is answered with: two clauses."""
CHUNK_MS = 60
MS_PER_CHARACTER = 12.0


class Voices(PairedVoice):
    """As the stage wants it."""

    opened: tuple[()] = ()


class TimedLine(Line):
    """Remembers when sound was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def media(self, mulaw: bytes) -> None:
        super().media(mulaw)
        self.times.append(asyncio.get_running_loop().time())


@dataclass
class Scene:
    stage: Stage
    vendors: Vendors
    first: str
    line: TimedLine

    @property
    def second(self) -> str:
        return "elevenlabs" if self.first == "deepgram" else "deepgram"

    async def replied(self, count: int, text: str) -> None:
        reply = (await self.stage.written(EventType.AI_RESPONSE_COMPLETE, count))[-1]
        said = reply["text"].replace(f"{FILLER} ", "").replace(f" {FILLER}", "")
        assert (said, reply["interrupted"]) == (text, False)

    async def faults(self) -> list[tuple[str, str]]:
        kept = await self.stage.kept(EventType.PROVIDER_FAULT)
        return [(event["provider"], event["kind"]) for event in kept if event["stage"] == "speaking"]


@asynccontextmanager
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str) -> AsyncIterator[Scene]:
    for module in (deepgram_speech, elevenlabs_speech):
        monkeypatch.setattr(module, "FIRST_SOUND_S", 0.4)
        monkeypatch.setattr(module, "STALL_S", 0.25)
    monkeypatch.setattr(speech_link, "OPEN_S", 0.4)
    monkeypatch.setattr(mouth, "AGAIN_MS", (5.0, 10.0))
    monkeypatch.setattr(sounding, "MS_PER_WEIGHT", MS_PER_CHARACTER)
    monkeypatch.setattr(speech_sound, "MS_PER_CHARACTER", MS_PER_CHARACTER)
    for name, ms in (("FILLER_MS", 300), ("APOLOGY_MS", 1_500), ("HOLD_MS", 150)):
        monkeypatch.setattr(machine, name, ms)
    speak.cache_clear()
    async with vendors() as here, call(tmp_path) as stage:
        for vendor in (here.deepgram, here.elevenlabs):
            vendor.delays.first_ms, vendor.delays.chunk_ms, vendor.delays.every_ms = 20, CHUNK_MS, 10
        order = dict.fromkeys((first, "elevenlabs", "deepgram"))
        stage.voice = Voices([here.voice(name) for name in order], LineCache(tmp_path / "lines"))  # type: ignore[assignment]
        stage.line = TimedLine()
        stage.patience = replace(Patience(), lookup=0.05, close=1.0, finish=5.0)
        yield Scene(stage, here, first, stage.line)
    speak.cache_clear()


def messages(first: str, moment: str) -> int:
    """How many messages the vendor has sent at this moment of the reply."""
    clause = -(-len(speak("The cache must wait for this.").mulaw) // (CHUNK_MS * 8))
    opening = 1 if first == "deepgram" else 0  # its Metadata
    return opening + {"before the first sound": 0, "mid clause": 2, "between clauses": clause + 1, "held": 2}[moment]


MOMENTS = ("before the first sound", "mid clause", "between clauses", "held")
IN_TALK = (Kind.HUNG, Kind.CUT, Kind.GARBAGE, Kind.ERROR, Kind.CLOSE)
CASES = [(first, kind, moment) for first in ("deepgram", "elevenlabs") for kind in IN_TALK for moment in MOMENTS]
ORDINARY = 7
"""Every so many cases are in the ordinary run."""


@pytest.mark.parametrize(
    ("first", "kind", "moment"),
    [pytest.param(*case, marks=() if n % ORDINARY == 0 else pytest.mark.long) for n, case in enumerate(CASES)],
)
async def test_a_fault_while_it_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, kind: Kind, moment: str
) -> None:
    async with scene(tmp_path, monkeypatch, first) as here:
        stage = here.stage
        after = messages(first, moment)
        fault = Fault(kind=kind, after_messages=after, after_ms=0 if after else 1, garbage=('{"type": ',), code=1011)
        here.vendors.fault(first, fault)
        stage.begin()
        await stage.greeted()
        await asyncio.sleep(0.05)
        asked = asyncio.get_running_loop().time()
        stage.say("order")
        if moment == "held":
            await until(lambda: bool(here.line.times and here.line.times[-1] > asked), "sound")
            stage.hear(Partial("wait"))
            await stage.phase("held")
        await here.replied(2, REPLY)
        assert min(at for at in here.line.times if at > asked) - asked < 4.0, "silence"
        assert here.first in {provider for provider, _ in await here.faults()}
        rest = " ".join(here.vendors.said(here.second))
        assert REPLY.endswith(rest), "something was said that was not to be said"
        if moment == "before the first sound":
            assert rest in (REPLY, "") or kind in (Kind.CUT, Kind.CLOSE, Kind.ERROR)
        if moment == "between clauses":
            assert rest in ("Hello.", ""), "said twice, or lost"
        stage.say("hello there")
        await here.replied(3, "You said hello there.")
        assert stage.session.turns.phase == "listening"


@pytest.mark.parametrize("first", ["deepgram", "elevenlabs"])
@pytest.mark.parametrize("kind", [Kind.REFUSED, Kind.UNAUTHORIZED, Kind.BUSY, Kind.HUNG])
async def test_a_fault_while_it_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, kind: Kind) -> None:
    async with scene(tmp_path, monkeypatch, first) as here:
        here.vendors.fault(first, Fault(kind=kind))
        here.stage.begin()
        await here.stage.greeted()
        here.stage.say("order")
        await here.replied(2, REPLY)
        assert " ".join(here.vendors.said(here.second)) == REPLY
        assert [provider for provider, _ in await here.faults()] == [first]


@pytest.mark.parametrize("first", ["deepgram", "elevenlabs"])
async def test_an_answer_without_a_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    async with scene(tmp_path, monkeypatch, first) as here:
        here.vendors.fault(first, Fault(kind=Kind.EMPTY))
        here.stage.begin()
        await here.stage.greeted()
        here.stage.say("order")
        await here.replied(2, REPLY)
        assert await here.faults() == [(first, "broken")]


async def test_what_broke_off_goes_on_at_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With alignment it is known which word that is: the stand-in says the rest, and no word is missing."""
    async with scene(tmp_path, monkeypatch, "elevenlabs") as here:
        here.vendors.fault("elevenlabs", Fault(kind=Kind.CUT, after_messages=3))
        here.stage.begin()
        await here.stage.greeted()
        here.stage.say("order")
        await here.replied(2, REPLY)
        spoken = speak("The cache must wait for this.")
        _, said = spoken.between(0, 3 * CHUNK_MS)
        begun = spoken.text[:said].rpartition(" ")[0]
        rest = " ".join(here.vendors.said("deepgram"))
        assert f"{begun} {rest}" == REPLY


async def test_no_voice_at_all_is_an_apology_and_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch, "deepgram") as here:
        stage = here.stage
        stage.begin()
        await stage.greeted()
        for name in ("deepgram", "elevenlabs"):
            here.vendors.fault(name, Fault(kind=Kind.BUSY, times=None))
        await stage.session.floor.mouth.aclose()
        stage.session._open_engine(stage.session.floor.mouth)
        stage.say("order")
        await stage.ended()
        replies = await stage.kept(EventType.AI_RESPONSE_COMPLETE)
        assert replies[-1]["text"] == APOLOGY
        head = await stage.journal.find(CALL)
        assert head
        assert head.next == "handoff"
        assert {provider for provider, _ in await here.faults()} == {"deepgram", "elevenlabs"}
