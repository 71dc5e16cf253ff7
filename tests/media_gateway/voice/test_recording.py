"""A call of our own is recorded as its line carried it: against the ear of the caller, in virtual time."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

import pytest

from media_gateway.voice import recording as module
from media_gateway.voice.parts import Parts
from media_gateway.voice.recording import Recorder
from realtime import recording
from realtime.blobs import BlobsUnavailable
from realtime.call import Call
from realtime.clock import parse_iso
from tests.media_gateway.voice.stage import CALL
from tests.media_gateway.voice.test_tape import spans
from tests.media_gateway.voice.virtual import monotonic, run, utc
from tests.media_gateway.voice.world import Line, World

WORD = b"\x33" * 160


@dataclass
class Files:
    """`Blobs` in memory; `away` for so many puts, with `problem`."""

    kept: dict[str, bytes] = field(default_factory=dict)
    away: int = 0
    problem: Exception = field(default_factory=lambda: BlobsUnavailable("away"))

    def put(self, name: str, data: bytes, *, content_type: str) -> None:
        if self.away:
            self.away -= 1
            raise self.problem
        self.kept[name] = data

    def get(self, name: str) -> bytes:
        if name not in self.kept:
            raise LookupError(name)
        return self.kept[name]

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)

    def names(self, stem: str) -> list[str]:
        return sorted(name for name in self.kept if name.startswith(stem))

    def purge(self, before: datetime) -> int:
        return 0

    def close(self) -> None:
        """Nothing is open."""


class Recorded(World):
    """A call that is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.files = Files()

    def parts(self) -> Parts:
        recorder = Recorder(
            blobs=cast(Any, self.files),
            journal=self.journal,
            store=cast(Any, self.memory),
            clock=utc,
            monotonic=monotonic,
        )
        return replace(super().parts(), recorder=recorder)

    def wav(self) -> bytes:
        found = recording.parts(cast(Any, self.files), CALL)
        whole = b"".join(recording.wav(found, self.files.get))
        assert len(whole) == recording.length(found)
        return whole

    async def head(self) -> Call:
        found = await self.journal.find(CALL)
        assert found
        return found

    async def talk(self, seconds: float, *, sounding: bool) -> tuple[float, float]:
        """The caller's line carries so much; from when to when."""
        began = monotonic()
        for number in range(int(seconds * 50)):
            await asyncio.sleep(max(0.0, began + (number + 1) * 0.02 - monotonic()))
            self.session.on_media(WORD if sounding else b"\xff" * 160)
        return began, monotonic()


def tracks(wav: bytes) -> tuple[bytes, bytes]:
    assert wav[:4] == b"RIFF"
    assert wav[8:16] == b"WAVEfmt "
    form, channels, rate = struct.unpack_from("<HHI", wav, 20)
    assert (form, channels, rate) == (7, 2, 8_000)
    sound = wav[wav.index(b"data") + 8 :]
    assert struct.unpack_from("<I", wav, wav.index(b"data") + 4) == (len(sound),)
    assert struct.unpack_from("<I", wav, 4) == (len(wav) - 8,)
    return sound[0::2], sound[1::2]


def close_to(found: list[tuple[float, float]], truth: list[tuple[float, float]], zero: float) -> None:
    """Within 40 ms."""
    heard = _joined([((start - zero) * 1000, (end - zero) * 1000) for start, end in truth])
    assert len(found) == len(heard), (found, heard)
    for (start, end), (meant_start, meant_end) in zip(found, heard, strict=True):
        assert abs(start - meant_start) <= 40, (found, heard)
        assert abs(end - meant_end) <= 40, (found, heard)


def _joined(pieces: list[tuple[float, float]]) -> list[tuple[float, float]]:
    whole: list[tuple[float, float]] = []
    for start, end in pieces:
        if end <= start:
            continue
        if whole and start - whole[-1][1] < 10:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole


def test_who_spoke_when_with_an_interruption() -> None:
    async def whole() -> None:
        world = Recorded()
        await world.ring()
        zero = monotonic()
        world.begin()
        assert await world.quiet()
        spoke = [await world.talk(0.8, sounding=True)]
        world.speak("something long")
        await world.talk(3.0, sounding=False)
        spoke.append(await world.talk(1.0, sounding=True))
        world.speak("stop please, no more of it")
        await world.talk(12.0, sounding=False)
        assert world.line.cleared, "nobody was interrupted"
        world.line.clear()  # hung up: what was not played is never heard
        await world.finish()
        caller, assistant = tracks(world.wav())
        close_to(spans(caller), spoke, zero)
        close_to(spans(assistant), world.ear.heard, zero)
        head = await world.head()
        said = recording.pointer(head)
        assert said
        assert abs(parse_iso(str(said["began"])).timestamp() - utc().timestamp() + monotonic() - zero) < 0.01
        assert said["ms"] == len(caller) // 8
        assert len(world.files.kept) >= 2

    run(whole())


def test_a_crash_leaves_what_was_written_and_the_next_instance_goes_on_behind_it() -> None:
    async def whole() -> None:
        world = Recorded()
        await world.ring()
        began = monotonic()
        world.begin()
        assert await world.quiet()
        await world.talk(25.0, sounding=True)
        world.running.cancel()
        await asyncio.wait({world.running})
        left, _ = tracks(world.wav())
        assert 25 - module.EVERY_S - 2 <= len(left) / 8_000 <= 25.5
        assert recording.pointer(await world.head())
        again = monotonic()
        world.resumed, world.line = True, Line()
        world.begin()
        await world.talk(5.0, sounding=True)
        await world.finish()
        caller, _ = tracks(world.wav())
        first, *_, last = spans(caller)
        assert abs(last[0] - (again - began) * 1000) <= 60
        assert first[1] <= last[0]

    run(whole())


def test_files_that_are_away_cost_nothing_but_time() -> None:
    async def whole() -> None:
        world = Recorded()
        world.files.away = 2
        await world.ring()
        world.begin()
        assert await world.quiet()
        await world.talk(35.0, sounding=True)
        await world.finish()
        caller, _ = tracks(world.wav())
        (only,) = spans(caller)
        assert only[1] - only[0] >= 34_900

    run(whole())


def test_a_fault_that_nobody_foresaw_is_told_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async def whole() -> None:
        world = Recorded()
        world.files.away, world.files.problem = 1, ValueError("nobody foresaw it")
        await world.ring()
        world.begin()
        assert await world.quiet()
        await world.talk(35.0, sounding=True)
        await world.finish()
        caller, _ = tracks(world.wav())
        (only,) = spans(caller)
        assert only[1] - only[0] >= 34_900

    run(whole())
    assert "recording_failed" in capsys.readouterr().out


def test_files_that_never_come_back_hold_nobody_up() -> None:
    async def whole() -> None:
        world = Recorded()
        world.files.away = 10_000
        await world.ring()
        world.begin()
        assert await world.quiet()
        await world.talk(180.0, sounding=True)
        assert len(world.session._recording._unwritten) <= module.MOST_UNWRITTEN  # type: ignore[union-attr]
        await world.finish()
        assert not world.files.kept
        assert recording.pointer(await world.head()) is None

    run(whole())


def test_a_flow_that_says_no_is_not_recorded() -> None:
    async def whole() -> None:
        world = Recorded()
        world.manager.recorded = False
        await world.ring()
        world.begin()
        assert await world.quiet()
        await world.talk(12.0, sounding=True)
        assert not world.session._recording._sounds  # type: ignore[union-attr]
        await world.finish()
        assert not world.files.kept
        assert recording.pointer(await world.head()) is None

    run(whole())
