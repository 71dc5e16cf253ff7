"""The schedule of the caller's frames, with an injected clock and a socket that only remembers."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedOK

from infra.simulators.config import Faults
from infra.simulators.frames import FrameWriter
from infra.simulators.log import CallLog
from infra.simulators.mouth import Mouth
from infra.simulators.stream import Ended, MediaStream, first_of

pytestmark = pytest.mark.anyio


class StepClock:
    """Jumps to where it is asked to be, and always overshoots by what `late` says next."""

    def __init__(self, late: list[float]) -> None:
        self._now = 1000.0
        self._late = late

    def now(self) -> float:
        return self._now

    async def sleep_until(self, when: float) -> None:
        self._now = max(self._now, when) + (self._late.pop(0) if self._late else 0.0)
        await asyncio.sleep(0)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        await event.wait()


class Remembers:
    """A socket. Ends itself after so many media frames."""

    close_code, close_reason = 1000, ""

    def __init__(self, clock: StepClock, frames: int) -> None:
        self._clock = clock
        self._frames = frames
        self._full = asyncio.Event()
        self.media: list[tuple[float, dict[str, Any]]] = []

    async def send(self, text: str) -> None:
        message = json.loads(text)
        if message["event"] == "media":
            self.media.append((self._clock.now() - 1000.0, message["media"]))
            if len(self.media) == self._frames:
                self._full.set()

    async def recv(self) -> str:
        await self._full.wait()
        raise ConnectionClosedOK(None, None)


async def stay(_: MediaStream) -> Ended:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def pump(late: list[float], frames: int) -> tuple[list[tuple[float, dict[str, Any]]], MediaStream]:
    clock = StepClock(late)
    socket = Remembers(clock, frames)
    stream = MediaStream(
        cast(ClientConnection, socket),
        index=0,
        url="ws://127.0.0.1/media",
        frames=FrameWriter("AC1", "CA1", "MZ1"),
        mouth=Mouth(),
        log=CallLog(clock),
        faults=Faults(),
    )
    assert (await stream.run(stay, {})).how == "gateway"
    return socket.media[:frames], stream


async def test_the_schedule_is_absolute_and_does_not_drift() -> None:
    """Every wake-up is 3 ms late: frame 500 is still 3 ms late, not a second and a half."""
    media, stream = await pump([0.003] * 600, 500)
    for number, (at, body) in enumerate(media):
        assert at == pytest.approx(number * 0.020 + 0.003, abs=1e-6)
        assert body["timestamp"] == str(number * 20)
    assert stream.seen().late_ms == pytest.approx(3.0, abs=0.01)


async def test_after_a_stall_the_schedule_is_caught_up_with() -> None:
    media, stream = await pump([0.0] * 10 + [0.200], 40)
    times = [at for at, _ in media]
    assert times[10:20] == pytest.approx([0.400] * 10), "what was missed goes out at once"
    assert times[21:] == pytest.approx([number * 0.020 for number in range(21, 40)])
    assert stream.seen().late_ms == pytest.approx(200, abs=0.01)


async def test_first_of_cancels_the_others_and_waits_for_them() -> None:
    left: list[str] = []

    async def slow() -> Ended:
        try:
            await asyncio.Event().wait()
        finally:
            left.append("slow")
        raise AssertionError("unreachable")

    async def quick() -> Ended:
        await asyncio.sleep(0)
        return Ended("caller")

    assert await first_of(slow(), quick()) == Ended("caller")
    assert left == ["slow"]


async def test_first_of_raises_what_the_first_raised() -> None:
    async def fails() -> Ended:
        raise LookupError("x")

    with pytest.raises(LookupError):
        await first_of(fails())
