"""One media stream, seen from Twilio's side: sends the caller's frames on an absolute schedule, plays what comes,
echoes marks, and ends when either side does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from infra.simulators.clock import Clock
from infra.simulators.config import Faults
from infra.simulators.echoes import Echoes
from infra.simulators.frames import FrameWriter
from infra.simulators.log import CallLog
from infra.simulators.mouth import Mouth
from infra.simulators.mulaw import BYTES_PER_MS, FRAME_MS
from infra.simulators.playout import Cleared, Playout, Span
from infra.simulators.recorder import STREAM_PROTOCOL, ClearFrame, MediaFrame, Violation, judge_frame
from infra.simulators.report import ClearSeen, HeardSpan, MarkSeen, StreamSeen

Behave = Callable[["MediaStream"], Coroutine[Any, Any, "Ended"]]
"""What the caller does on a stream, until they end it."""

SEND_TIMEOUT_S = 5.0
FRAME_S = FRAME_MS / 1000

How = Literal["gateway", "caller", "cut", "cut_resume", "deadline", "step_timeout"]


@dataclass(frozen=True, slots=True)
class Ended:
    """Who or what ended the stream."""

    how: How
    problem: str | None = None


async def first_of(*coroutines: Coroutine[Any, Any, Ended]) -> Ended:
    """The first result; the others are cancelled and waited for. An exception of the first to end is raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class MediaStream:
    """`index` counts the streams of the call. `mouth` belongs to the call: a line may end up cut by the stream."""

    def __init__(
        self,
        socket: ClientConnection,
        *,
        index: int,
        url: str,
        frames: FrameWriter,
        mouth: Mouth,
        log: CallLog,
        faults: Faults,
        keep_audio: bool = False,
    ) -> None:
        self._socket = socket
        self._index = index
        self._url = url
        self._frames = frames
        self._log = log
        self._faults = faults
        self.mouth = mouth
        self.clock: Clock = log.clock
        self.playout = Playout(echo_cleared=faults.echo_cleared_marks, keep_audio=keep_audio)
        self._echoes = Echoes(faults)
        self._wake = asyncio.Event()
        self._tick: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sending = asyncio.Lock()
        self._started_us: int | None = None
        self._opened_us = log.now_us()
        self._ended_us: int | None = None
        self._first_media_us: int | None = None
        self._broken: Close | None = None
        self._received: dict[str, int] = {}
        self._late_us = 0
        self._clears: list[tuple[Cleared, float | None]] = []

    # --- what the steps of a scenario use ---

    def now_us(self) -> int:
        return self._log.now_us()

    async def tick(self) -> None:
        """Until the next 20 ms frame has gone out; then the playout is up to date."""
        await asyncio.shield(self._tick)

    async def press(self, digit: str) -> None:
        self._log.note("dtmf", digit=digit)
        await self._send(self._frames.dtmf, digit)

    async def send_raw(self, text: str) -> None:
        self._log.note("raw", chars=len(text))
        await self._send(lambda: text)

    async def say_farewell(self) -> None:
        """`stop` and a clean close: the caller has hung up. What still comes is thrown away."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._socket.send(self._frames.stop())
                await asyncio.gather(self._socket.close(1000), self._discard())
        except ConnectionClosed:
            self._log.note("stream_closed", code=self._socket.close_code, reason=self._socket.close_reason)
        except TimeoutError:
            self._log.violation(
                Violation(STREAM_PROTOCOL, f"no close from the gateway {SEND_TIMEOUT_S:.0f} s after stop")
            )
            self.cut()

    async def _discard(self) -> None:
        """Keep reading, so that a gateway in the middle of a sentence gets to our close frame."""
        try:
            while True:
                await self._socket.recv()
        except ConnectionClosed:
            return

    def cut(self) -> None:
        """The TCP connection is gone: no `stop`, no close frame."""
        self._socket.transport.abort()

    # --- the stream's life ---

    async def run(self, behave: Behave, parameters: Mapping[str, str], *others: Coroutine[Any, Any, Ended]) -> Ended:
        """From `connected` to the end. `behave` says how the caller ends it, if neither the gateway nor one of
        `others` (a deadline, ...) does."""
        try:
            return await first_of(self._listen(), self._speak(behave, parameters), self._echo(), *others)
        finally:
            self._ended_us = self._log.now_us()
            self.mouth.stop(self._ended_us)
            due, cleared = self.playout.finish(self._ended_us)
            self._echoes.settle((*due, *cleared.marks), self._ended_us)

    async def _speak(self, behave: Behave, parameters: Mapping[str, str]) -> Ended:
        await self._send(self._frames.connected)
        if self._faults.start_delay_ms:
            await self.clock.sleep_until(self.clock.now() + self._faults.start_delay_ms / 1000)
        self._started_us = self._log.now_us()
        self._log.note("start", stream_sid=self._frames.stream_sid, parameters=sorted(parameters))
        await self._send(self._frames.start, parameters)
        if self._faults.second_start:
            await self._send(self._frames.start, parameters)
        return await first_of(self._pump(), behave(self))

    async def _pump(self) -> Ended:
        """Frame n goes out n x 20 ms after the first, however late the one before was: nothing drifts."""
        zero, zero_us, number = self.clock.now(), self._log.now_us(), 0
        while True:
            due = zero + number * FRAME_S
            await self.clock.sleep_until(due)
            now_us = self._log.now_us()
            self._late_us = max(self._late_us, round((self.clock.now() - due) * 1e6))
            self._settle_playout(now_us)
            frame = self.mouth.next_frame(now_us, due_us=zero_us + number * FRAME_MS * 1000)
            await self._send(self._frames.media, frame, number * FRAME_MS)
            tick, self._tick = self._tick, asyncio.get_running_loop().create_future()
            tick.set_result(None)
            number += 1

    async def _listen(self) -> Ended:
        try:
            while True:
                self._take(await self._socket.recv())
        except ConnectionClosed as error:
            if error.sent is not None and not error.rcvd_then_sent:
                self._broken = error.sent
                what = f"the socket had to be closed: {error.sent.code} {error.sent.reason}"
                self._log.violation(Violation(STREAM_PROTOCOL, what))
            code, reason = self._closed()
            self._log.note("stream_closed", code=code, reason=reason)
            return Ended("gateway")

    def _take(self, message: str | bytes) -> None:
        now_us = self._log.now_us()
        started = self._started_us is not None
        frame = judge_frame(message, stream_sid=self._frames.stream_sid, started=started)
        if isinstance(frame, Violation):
            self._log.violation(frame)
            return
        if isinstance(frame, MediaFrame):
            self._count("media")
            if self._first_media_us is None:
                self._first_media_us = now_us
                self._log.note("first_media", after_start_ms=(now_us - (self._started_us or now_us)) / 1000)
            self._echoes.settle(self.playout.feed(now_us, frame.audio), now_us)
        elif isinstance(frame, ClearFrame):
            self._clear(now_us)
        else:
            self._count("mark")
            self._echoes.settle(self.playout.mark(now_us, frame.name), now_us)
        self._wake.set()

    def _clear(self, now_us: int) -> None:
        self._count("clear")
        due, cleared = self.playout.clear(now_us)
        self._echoes.settle((*due, *cleared.marks), now_us)
        since = self.mouth.sound_since_us(now_us)
        latency_ms = None if since is None else (now_us - since) / 1000
        self._clears.append((cleared, latency_ms))
        self._log.note("clear", dropped_ms=cleared.dropped_bytes / BYTES_PER_MS, after_speech_ms=latency_ms)

    def _settle_playout(self, now_us: int) -> None:
        self._echoes.settle(self.playout.advance(now_us), now_us)

    async def _echo(self) -> Ended:
        while True:
            self._wake.clear()
            now_us = self._log.now_us()
            self._settle_playout(now_us)
            for echo in self._echoes.due(now_us):
                await self._send(self._frames.mark, echo.mark.name)
            ahead = [us for us in (self.playout.next_mark_us(), self._echoes.next_us()) if us is not None]
            await self.clock.wait(self._wake, self._log.when(min(ahead)) if ahead else None)

    async def _send(self, make: Callable[..., str], *arguments: Any) -> None:
        """Numbers and order are one: the message is made when its turn has come. Once the socket is closed this waits
        for the listener, who knows why, to end the stream."""
        try:
            async with self._sending, asyncio.timeout(SEND_TIMEOUT_S):
                await self._socket.send(make(*arguments))
        except ConnectionClosed:
            await asyncio.Event().wait()
        except TimeoutError:
            self._log.violation(Violation(STREAM_PROTOCOL, f"the gateway read nothing for {SEND_TIMEOUT_S:.0f} s"))
            self.cut()
            await asyncio.Event().wait()

    def _count(self, event: str) -> None:
        self._received[event] = self._received.get(event, 0) + 1

    # --- what it leaves behind ---

    def _closed(self) -> tuple[int | None, str]:
        """Code and reason: the gateway's, or ours if we had to close a socket that broke the protocol."""
        if self._broken is not None:
            return self._broken.code, self._broken.reason
        code = self._socket.close_code
        return None if code is None else int(code), self._socket.close_reason or ""

    def seen(self) -> StreamSeen:
        code, reason = self._closed()
        started_us = self._opened_us if self._started_us is None else self._started_us
        first = self._first_media_us
        return StreamSeen(
            stream_sid=self._frames.stream_sid,
            url=self._url,
            started_ms=started_us / 1000,
            ended_ms=(self._log.now_us() if self._ended_us is None else self._ended_us) / 1000,
            close_code=code,
            close_reason=reason,
            first_media_ms=None if first is None else (first - started_us) / 1000,
            frames_sent=dict(self._frames.counts),
            frames_received=dict(self._received),
            sent_audio_ms=self.playout.sent_bytes / BYTES_PER_MS,
            heard_audio_ms=self.playout.played_bytes / BYTES_PER_MS,
            late_ms=self._late_us / 1000,
        )

    def heard(self) -> list[HeardSpan]:
        return [_heard(self._index, span) for span in self.playout.spans]

    def marks(self) -> list[MarkSeen]:
        seen: list[MarkSeen] = []
        for number, mark in enumerate(self._echoes.settled):
            echoed = self._echoes.echoed_us.get(number)
            echoed_ms = None if echoed is None else echoed / 1000
            received_ms, settled_ms = mark.received_us / 1000, mark.settled_us / 1000
            seen.append(MarkSeen(self._index, mark.name, received_ms, settled_ms, echoed_ms, mark.outcome))
        return seen

    def clears(self) -> list[ClearSeen]:
        return [
            ClearSeen(
                stream=self._index,
                at_ms=cleared.at_us / 1000,
                dropped_ms=cleared.dropped_bytes / BYTES_PER_MS,
                marks=tuple(mark.name for mark in cleared.marks),
                after_speech_ms=latency_ms,
            )
            for cleared, latency_ms in self._clears
        ]


def _heard(index: int, span: Span) -> HeardSpan:
    start_ms, end_ms = span.start_us / 1000, span.end_us / 1000
    return HeardSpan(index, start_ms, end_ms, span.first_byte, span.end_byte, span.mark, span.cut)
