"""Hearing with Deepgram, v1 and v2, on real sockets: turns, and every fault that a socket can have."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from infra.simulators.deepgram_listen_words import HeardWord, Nobody, silence, speak
from infra.simulators.vendor_faults import Fault, Kind
from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers.deepgram_hearing import KEEP
from media_gateway.voice.ports import (
    EagerFinal,
    EarsFailed,
    EarsStumbled,
    Final,
    Partial,
    ProviderFault,
    SpeechStarted,
    TurnResumed,
)
from tests.media_gateway.providers.deepgram import Api, calling

pytestmark = pytest.mark.anyio
APIS = pytest.mark.parametrize("api", ["v1", "v2"])


@APIS
async def test_a_turn_is_heard_word_by_word_and_once(api: Api) -> None:
    async with calling(api) as caller:
        await caller.open(ListeningProfile(keyterms=("oil change", "brakes")))
        await caller.speak([*speak(range(4)), *silence(700)])
        final = await caller.until(Final)
        await caller.speak(silence(1_200))
        assert caller.texts == ["w0 w1 w2 w3"]
        assert isinstance(caller.heard[0], SpeechStarted)
        partials = [partial.text for partial in caller.of(Partial)]
        assert partials[-1] == "w0 w1 w2 w3"
        assert partials == sorted(partials, key=len)
        assert final.confidence == pytest.approx(0.97 if api == "v1" else final.confidence)
        assert 300 <= final.speech_end_ms <= 1_200
        assert caller.server.streams[0].wishes.keyterms == ("oil change", "brakes")
        assert caller.server.violations == []


async def test_flux_says_early_that_a_turn_may_be_over_and_takes_it_back() -> None:
    async with calling("v2") as caller:
        await caller.open()
        await caller.speak([*speak([0, 1]), *silence(300), *speak([2]), *silence(700)])
        await caller.until(Final)
        told = [event for event in caller.heard if isinstance(event, EagerFinal | TurnResumed | Final)]
        assert [(type(event), getattr(event, "text", None)) for event in told] == [
            (EagerFinal, "w0 w1"),
            (TurnResumed, None),
            (EagerFinal, "w0 w1 w2"),
            (Final, "w0 w1 w2"),
        ]


class Counting(Nobody):
    """Remembers how its sound was cut."""

    sizes: ClassVar[list[int]] = []

    def hear(self, mulaw: bytes, at_ms: float, ms: float) -> Sequence[HeardWord]:
        """See Source."""
        self.sizes.append(len(mulaw))
        return ()


async def test_the_sound_goes_out_byte_for_byte_one_message_a_frame() -> None:
    frames = [bytes([n]) * 160 for n in range(100)]
    async with calling("v1", keep_audio=True, source=Counting) as caller:
        hearing = await caller.open()
        for frame in [*frames, b""]:  # an empty message would end the stream
            hearing.feed(frame)
        async with asyncio.timeout(5):
            while len(Counting.sizes) < 100:
                await asyncio.sleep(0.01)
        assert bytes(caller.server.streams[0].audio) == b"".join(frames)
        assert Counting.sizes == [160] * 100


@APIS
async def test_sound_that_had_to_wait_is_heard_and_goes_out_no_faster_than_the_vendor_takes_it(api: Api) -> None:
    async with calling(api) as caller:
        hearing = await caller.open()
        hearing.feed(b"".join([*speak(range(5)), *silence(3_000), *speak([5])]))
        await caller.speak([*speak([6]), *silence(2_500)])
        await caller.until(Final, 2)
        assert " ".join(caller.texts) == "w0 w1 w2 w3 w4 w5 w6"
        assert caller.server.violations == []


@APIS
async def test_closing_tells_the_vendor_and_leaves_nothing_behind(api: Api) -> None:
    before = len(asyncio.all_tasks())
    async with calling(api) as caller:
        hearing = await caller.open()
        await caller.speak(speak([0]))
        heard = len(caller.heard)
        await hearing.aclose()
        await hearing.aclose()
        hearing.feed(speak([1])[0])
        hearing.configure(ListeningProfile(patience_ms=1_500))
        assert caller.server.streams[0].socket.received == ['{"type":"CloseStream"}']
        async with asyncio.timeout(5):
            while caller.server.alive:
                await asyncio.sleep(0.01)
        assert len(caller.heard) == heard
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize(
    ("api", "first", "second"),
    [
        ("v1", {"keyterms": ["one"]}, {"keyterms": ["two"]}),
        (
            "v2",
            {"thresholds": {"eot_threshold": 0.9, "eager_eot_threshold": 0.7, "eot_timeout_ms": 4000}},
            {"thresholds": {"eot_threshold": 0.7, "eager_eot_threshold": 0.5, "eot_timeout_ms": 2200}},
        ),
    ],
)
async def test_each_state_listens_in_its_own_way_one_configure_at_a_time(
    api: Api, first: dict[str, Any], second: dict[str, Any]
) -> None:
    async with calling(api, latency_ms=30) as caller:
        hearing = await caller.open(ListeningProfile(keyterms=("zero",)))
        for n, patience in enumerate((1_500, 900, 600)):  # the second is overtaken before the first is answered
            hearing.configure(ListeningProfile(patience_ms=patience, keyterms=(("one", "x", "two")[n],)))
        stream = caller.server.streams[0]
        async with asyncio.timeout(5):
            while len(stream.socket.received) < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        told = [json.loads(text) for text in stream.socket.received]
        assert [message["type"] for message in told] == ["Configure", "Configure"]
        assert told[0].items() >= first.items()
        assert told[1].items() >= second.items()
        assert stream.wishes.keyterms == ("two",)
        assert caller.server.violations == []


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
@pytest.mark.parametrize("api", ["v1", "v2"])
@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
async def test_on_the_loop_that_the_gateway_runs_on(api: Api) -> None:
    assert type(asyncio.get_running_loop()).__module__ == "uvloop"
    async with calling(api, Fault(kind=Kind.CUT, after_ms=200)) as caller:
        await caller.ears.warm()
        await caller.open()
        await caller.speak([*speak([0, 1]), *silence(700)])
        assert (await caller.until(Final)).text == "w0 w1"


REFUSALS = [
    (Fault(kind=Kind.REFUSED), "broken"),
    (Fault(kind=Kind.UNAUTHORIZED), "unauthorized"),
    (Fault(kind=Kind.BUSY), "busy"),
]


@APIS
@pytest.mark.parametrize(("fault", "kind"), REFUSALS)
async def test_a_vendor_that_cannot_be_had_is_a_fault_of_that_kind(api: Api, fault: Fault, kind: str) -> None:
    async with calling(api, fault) as caller:
        with pytest.raises(ProviderFault) as refused:
            await caller.open()
        assert (refused.value.provider, refused.value.kind) == ("deepgram", kind)
        assert caller.server.alive == 0


async def test_a_vendor_that_does_not_greet_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_gateway.providers.deepgram_ears.OPEN_S", 0.1)
    async with calling("v2", Fault(kind=Kind.HUNG)) as caller:
        with pytest.raises(ProviderFault, match="timeout"):
            await caller.open()


async def test_a_connection_that_hangs_gets_another_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_gateway.providers.deepgram_ears.HEDGE_S", 0.05)
    async with calling("v2", Fault(kind=Kind.HUNG)) as caller:
        await caller.open()
        await caller.speak([*speak(range(2)), *silence(700)])
        await caller.until(Final)
        assert caller.texts == ["w0 w1"]
        await asyncio.sleep(0.05)
        assert caller.server.alive == 1, "the one that hung is still held"


async def test_nobody_there_at_all() -> None:
    async with calling("v1") as caller:
        pass
    with pytest.raises(ProviderFault) as refused:
        await caller.open()
    assert refused.value.kind == "refused"


@APIS
async def test_a_wrong_key_is_found_before_the_first_call_and_the_remedy_named(api: Api) -> None:
    async with calling(api, key="wrong") as caller:
        with pytest.raises(ProviderFault, match=r"unauthorized.*401.*DEEPGRAM_API_KEY is not accepted by ws://127"):
            await caller.ears.warm()
    async with calling(api, Fault(kind=Kind.BUSY)) as caller:
        await caller.ears.warm()  # for the moment only: calls try again
        await caller.ears.warm()
        assert (caller.server.connections, caller.server.violations) == (2, [])


async def test_the_key_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with calling("v1", key="dg_very_secret") as caller:
            with pytest.raises(ProviderFault) as refused:
                await caller.open()
    assert "dg_very_secret" not in caplog.text + str(refused.value)


# Moments, in frames of the call: before the first sound, in the silence before a word, and in the middle of a word.
DROPS = [
    (0, Fault(kind=Kind.CUT)),
    (10, Fault(kind=Kind.CUT)),
    (50, Fault(kind=Kind.CUT)),
    (50, Fault(kind=Kind.CLOSE, code=1011, reason="NET-0000")),
    (45, Fault(kind=Kind.CLOSE, code=1008, reason="DATA-0000")),
    (50, Fault(kind=Kind.ERROR)),
    (30, Fault(kind=Kind.GARBAGE)),
]


async def broken(api: Api, at: int, fault: Fault) -> tuple[str, bool, list[str], bool]:
    """A turn with this fault in it: what was heard, whether the ears stumbled, what the vendor did not like, and
    whether the end of speech was placed in the past. (How often and when exactly: `test_deepgram_virtual`.)"""
    async with calling(api, jitter=1.0) as caller:
        await caller.open()
        frames = [*silence(300), *speak(range(5)), *silence(3_500)]
        await caller.speak(frames[:at])
        caller.server.faults.strike(fault)  # not by the clock: a busy machine may not be open by then
        await caller.speak(frames[at:])
        final = await caller.until(Final, patience=60)
        assert caller.of(EarsFailed) == []
        return " ".join(caller.texts), bool(caller.of(EarsStumbled)), caller.server.violations, final.speech_end_ms >= 0


async def test_a_broken_connection_loses_no_word_and_says_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fourteen callers at once: a busy machine may take long to open what breaks."""
    monkeypatch.setattr("media_gateway.providers.deepgram_hearing.OUTAGE_S", 60.0)
    monkeypatch.setattr("media_gateway.providers.deepgram_ears.OPEN_S", 30.0)
    monkeypatch.setattr("media_gateway.providers.deepgram_ears.HEDGE_S", 20.0)
    cases: list[tuple[Api, int, Fault]] = [(api, *drop) for api in ("v1", "v2") for drop in DROPS]
    told = await asyncio.gather(*(broken(*case) for case in cases))
    for case, outcome in zip(cases, told, strict=True):
        assert outcome == ("w0 w1 w2 w3 w4", True, [], True), case


async def fallen_silent(api: Api) -> None:
    async with calling(api, Fault(kind=Kind.HUNG, after_messages=2)) as caller:
        await caller.open()
        await caller.speak([*speak(range(16)), *silence(6_000), *speak([20]), *silence(1_500)])
        assert len(caller.server.streams) == 2
        assert caller.of(EarsStumbled)[0].kind == "timeout"
        said = " ".join(caller.texts).split()
        assert said == sorted(set(said), key=lambda word: int(word[1:]))  # none twice
        assert said[-9:] == [*(f"w{n}" for n in range(8, 16)), "w20"]  # the sound that is kept is bounded
        assert caller.of(Final)[-1].speech_end_ms < 1_500  # and the lag is made up for
        assert caller.server.violations == []


async def sound_stops() -> None:
    async with calling("v1") as caller:
        await caller.open()
        await caller.speak(speak(range(3)))  # and then no frame at all, not even of silence
        assert (await caller.until(Final)).text == "w0 w1 w2"
        assert '{"type":"Finalize"}' in caller.server.streams[0].socket.received


async def no_sound(api: Api) -> None:
    async with calling(api, idle_s=6.0) as caller:
        await caller.open()
        await asyncio.sleep(6.5)
        assert (caller.of(EarsStumbled), caller.server.violations) == ([], [])


async def test_by_the_watch() -> None:
    """A vendor that falls silent while the caller speaks is left for another connection; a caller whose sound stops is
    answered all the same; a line without sound is kept alive."""
    await asyncio.gather(fallen_silent("v1"), fallen_silent("v2"), sound_stops(), no_sound("v1"), no_sound("v2"))


@APIS
async def test_after_some_tries_it_gives_up_and_says_what_it_had_heard(api: Api) -> None:
    async with calling(api) as caller:
        await caller.open()
        speaking = asyncio.create_task(caller.speak([*speak(range(3)), *silence(500)]))
        await caller.until(Partial, 2)
        caller.server.faults.add(Fault(kind=Kind.BUSY, times=None))
        caller.server.faults.strike(Fault(kind=Kind.CUT))
        await speaking
        failed = await caller.until(EarsFailed)
        assert (failed.kind, caller.server.connections) == ("busy", 5)
        assert caller.texts
        assert caller.texts[0].startswith("w0")
        assert caller.heard.index(caller.of(Final)[0]) < caller.heard.index(failed)


async def test_a_key_that_is_withdrawn_is_not_tried_again_and_again() -> None:
    async with calling("v1", Fault(kind=Kind.CUT, after_ms=50), Fault(kind=Kind.UNAUTHORIZED, times=None)) as caller:
        await caller.open()
        failed = await caller.until(EarsFailed)
        assert (failed.kind, caller.server.connections) == ("unauthorized", 2)


async def test_a_vendor_that_breaks_every_connection_is_not_stormed() -> None:
    async with calling("v1", Fault(kind=Kind.CUT, after_ms=30, times=None)) as caller:
        await caller.open()
        failed = await caller.until(EarsFailed)
        assert (failed.kind, caller.server.connections) == ("broken", 5)


async def test_what_is_kept_of_the_sound_is_bounded_and_closing_during_an_outage_is_clean() -> None:
    before = len(asyncio.all_tasks())
    async with calling("v1", Fault(kind=Kind.CUT, after_ms=30), Fault(kind=Kind.HUNG)) as caller:
        hearing = await caller.open()
        await caller.until(EarsStumbled)
        for frame in silence(20_000):
            hearing.feed(frame)
        assert hearing._kept <= KEEP  # type: ignore[attr-defined]
        await hearing.aclose()
    assert len(asyncio.all_tasks()) == before
