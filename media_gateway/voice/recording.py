"""Recording calls: both sides of each, as the line carries them, into files of some seconds (`realtime.recording`).

On the audio path a frame costs one append to a list. Everything else (finding its place, writing) is done every few
seconds in a thread; a store of files that is slow or away costs parts of the recording and nothing of the call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from media_gateway.voice.tape import Sounded, Tape
from realtime import recording
from realtime.blobs import Blobs, BlobsUnavailable
from realtime.call import Call
from realtime.clock import Clock, iso, parse_iso
from realtime.erasure import is_erased
from realtime.journal import Journal, UnknownCall
from realtime.plan import Plan
from realtime.stores.port import Conflict, DocumentStore, StoreUnavailable

EVERY_S = 10.0
"""What a crash costs at most, with `tape.HOLD_MS`."""
CLOSE_S = 3.0
"""For the last part to be written when the call ends; the end does not wait longer."""
MOST_WAITING = 4 * 1024 * 1024
"""Bytes of sound that may wait to be placed: what comes then is not recorded."""
MOST_UNWRITTEN = 12
"""Parts that may wait for a store of files that is away (two minutes); then the oldest are given up."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Makes a recording of each stream. `noticed` is told the head once it says that there is one."""

    blobs: Blobs
    journal: Journal
    store: DocumentStore
    clock: Clock
    monotonic: Callable[[], float]
    noticed: Callable[[Call], None] = lambda _: None

    def begin(self, call_id: str) -> Recording:
        """Of the stream that begins now. Nothing is kept before `keep`."""
        return Recording(self, call_id)


class Recording:
    """One stream's. `tap` on the audio path; `keep` once it is known that this call is recorded; `close` at its end."""

    def __init__(self, recorder: Recorder, call_id: str) -> None:
        self._with, self._call_id = recorder, call_id
        self._now = recorder.monotonic
        self._sounds: list[Sounded] = []
        self._waiting = 0
        self._tape = Tape(recorder.monotonic() * 1000)
        self._began = recorder.clock()
        self._offset: int | None = None
        """Samples from the beginning of the call's first stream to that of this one; None: not asked yet."""
        self._unwritten: deque[tuple[int, bytes]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._ends = asyncio.Event()
        self._told = False
        self.over = False

    def tap(self, side: int, mulaw: bytes) -> None:
        """A frame, as `Session.add_tap` gives it."""
        if self._waiting < MOST_WAITING:
            self._waiting += len(mulaw)
            self._sounds.append((self._now() * 1000, side, mulaw))

    def keep(self) -> None:
        """From now on it is written."""
        if self._task is None and not self.over:
            self._task = asyncio.create_task(self._run(), name="recording")

    def drop(self) -> None:
        """This call is not recorded, or is gone: what waits is forgotten. Safe to call twice."""
        self.over = True
        self._waiting = MOST_WAITING
        self._sounds.clear()
        self._unwritten.clear()
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Write what is left, in the time that is given for it. Safe to call twice."""
        if self._task is not None and not self.over:
            self._ends.set()
            await asyncio.wait({self._task}, timeout=CLOSE_S)
            if not self._task.done():
                log.warning("recording_cut", call_id=self._call_id)
        self.drop()

    async def _run(self) -> None:
        while not self._ends.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._ends.wait()
            await self._write(last=self._ends.is_set())

    async def _write(self, *, last: bool) -> None:
        """What lies behind becomes a part; parts that wait are written. Nothing is raised: the call goes on."""
        sounds, self._sounds, self._waiting = self._sounds, [], 0
        start = self._tape.at
        part = await asyncio.to_thread(self._place, sounds, self._now() * 1000, last)
        if part:
            self._unwritten.append((start, part))
        while len(self._unwritten) > MOST_UNWRITTEN:
            self._unwritten.popleft()
            log.warning("recording_hole", call_id=self._call_id)
        try:
            end = 0
            while self._unwritten:
                end = await self._put(*self._unwritten[0])
                self._unwritten.popleft()
            if end and (last or not self._told):
                await self._tell(end)
            if last and await is_erased(self._with.store, [self._call_id]):
                await asyncio.to_thread(self._forget)  # deleted on request while the last part was on its way
        except UnknownCall:
            await asyncio.to_thread(self._forget)
        except (BlobsUnavailable, StoreUnavailable, Conflict) as problem:
            log.warning("recording_not_written", call_id=self._call_id, problem=type(problem).__name__)
        except Exception:  # a fault of ours: this part is tried again with the next one, and somebody hears of it
            log.exception("recording_failed", call_id=self._call_id)

    def _place(self, sounds: list[Sounded], now_ms: float, end: bool) -> bytes:
        self._tape.feed(sounds)
        return self._tape.take(now_ms, end=end)

    async def _put(self, start: int, part: bytes) -> int:
        """The sample behind it, counted from the beginning of the call."""
        if self._offset is None:
            self._offset = await self._after_the_first()
        name = recording.part_name(self._call_id, start + self._offset, len(part))
        kind = recording.CONTENT_TYPE
        await asyncio.to_thread(self._with.blobs.put, name, part, content_type=kind)
        return start + self._offset + len(part) // recording.CHANNELS

    async def _after_the_first(self) -> int:
        """This stream may carry on a call that another one began."""
        call = await self._with.journal.find(self._call_id)
        if call is None:
            raise UnknownCall(f"there is no call {self._call_id}")
        earlier = _began(call)
        if earlier is None:
            return 0
        return max(0, round((self._began - earlier).total_seconds() * recording.RATE))

    async def _tell(self, end: int) -> None:
        """The head points to the recording from its first part on, and says at the end how long it is."""

        def decide(call: Call) -> Plan:
            said = recording.pointer(call) or {"began": iso(self._began)}
            mine = {**said, "ms": end * 1000 // recording.RATE}
            return Plan(change={"metadata": {**call.metadata, recording.KEY: mine}})

        self._with.noticed((await self._with.journal.update(self._call_id, decide)).call)
        self._told = True

    def _forget(self) -> None:
        for part in recording.parts(self._with.blobs, self._call_id):
            self._with.blobs.delete(part.name)


def _began(call: Call) -> datetime | None:
    said = (recording.pointer(call) or {}).get("began")
    return parse_iso(said) if isinstance(said, str) else None
