"""Speaking without a key: espeak-ng in a process of its own, with pre-rendered phrases behind it.

Clauses go to the process one at a time, so a cancelled reply costs at most the clause at hand (about 40 ms of work).
A process that dies or hangs is started again once a call; then only the phrases are left.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structlog

from media_gateway.providers import phrase_book
from media_gateway.providers.line_cache import LineCache
from media_gateway.providers.pipe import Kind, pack_json
from media_gateway.providers.spares import Spares
from media_gateway.providers.speech_link import render_by_speaking
from media_gateway.providers.worker import Worker, missing
from media_gateway.voice.ports import ProviderFault, Speaking, Spoken, SpokenAudio, SpokenEnd, VoiceFailed

_NAME = "espeak-ng"
_MODULE = "media_gateway.providers.espeak_worker"
_CLAUSE_SECONDS = 5.0
_RENDER_SECONDS = 20.0
_MAX_WAITING = 200
_SPARES = 2
log = structlog.get_logger(__name__)


class EmbeddedVoice:
    """The port `Voice`."""

    name = _NAME

    def __init__(self, module: str = _MODULE, lines: LineCache | None = None) -> None:
        self._spares = Spares(module, _SPARES)
        self._absent = missing("espeakng_loader", "numpy")
        self._lines = lines
        self._renderer = _Renderer(self)

    @cached_property
    def fingerprint(self) -> str:
        """What rendered lines depend on beside their text: the program that speaks."""
        return f"{_NAME} {hashlib.sha256(Path(__file__).with_name('espeak_worker.py').read_bytes()).hexdigest()}"

    async def warm(self) -> None:
        """Start processes ahead of the calls that will need them; `aclose` ends them. Raises ProviderFault."""
        if not self._absent:
            await self._spares.warm()

    async def aclose(self) -> None:
        """End what was started ahead; safe to call twice."""
        await self._spares.aclose()

    async def open(self, on_spoken: Callable[[Spoken], None]) -> Speaking:
        """Raises ProviderFault."""
        if self._absent:
            raise ProviderFault(_NAME, "missing", self._absent)
        speaking = _EmbeddedSpeaking(on_spoken, self._spares)
        try:
            await speaking.start()
        except BaseException:
            await speaking.aclose()
            raise
        return speaking

    def rendering(self) -> AbstractAsyncContextManager[None]:
        """All lines until it is left come from one process: to start it takes six times as long as to say a line."""
        return self._renderer.wanted()

    async def render(self, text: str) -> bytes:
        """Rendered by the engine; by the phrase book when the engine cannot."""
        async with self.rendering():
            return await (self._lines.render(self._renderer, text) if self._lines else self._renderer.render(text))


class _Renderer:
    """One process for all lines that are wanted together."""

    name = _NAME

    def __init__(self, voice: EmbeddedVoice) -> None:
        self._voice = voice
        self._wanted = 0
        self._turn = asyncio.Lock()
        self._speaking: Speaking | None = None
        self._on_spoken: Callable[[Spoken], None] = _unheard

    @property
    def fingerprint(self) -> str:
        return self._voice.fingerprint

    @asynccontextmanager
    async def wanted(self) -> AsyncIterator[None]:
        """Lines are; with the last one the process ends, and with one that failed."""
        self._wanted += 1
        whole = False
        try:
            yield
            whole = True
        finally:
            self._wanted -= 1
            if not self._wanted or not whole:
                await self._end()

    async def render(self, text: str) -> bytes:
        """Raises ProviderFault."""
        async with self._turn:
            return await render_by_speaking(self, text, _RENDER_SECONDS)

    async def open(self, on_spoken: Callable[[Spoken], None]) -> Speaking:
        """For one line; the process stays for the next."""
        self._on_spoken = on_spoken
        if self._speaking is None:
            self._speaking = await self._voice.open(lambda spoken: self._on_spoken(spoken))
        return _Borrowed(self._speaking)

    async def _end(self) -> None:
        speaking, self._speaking = self._speaking, None
        if speaking is not None:
            await speaking.aclose()


class _Borrowed:
    """A process that whoever uses it does not end."""

    def __init__(self, speaking: Speaking) -> None:
        self.say, self.done, self.cancel = speaking.say, speaking.done, speaking.cancel

    async def aclose(self) -> None:
        """Nothing: see `_Renderer`."""


def _unheard(_spoken: Spoken) -> None:
    """Between two lines nobody listens."""


@dataclass(slots=True)
class _Clause:
    """One clause to say. `given` bytes of it have been handed on, which a second rendering must not repeat."""

    id: int
    reply: int
    clause: int
    text: str
    given: int = 0
    skip: int = 0
    cancelled: bool = False


class _EmbeddedSpeaking:
    def __init__(self, on_spoken: Callable[[Spoken], None], spares: Spares) -> None:
        self._on_spoken = on_spoken
        self._spares = spares
        self._waiting: deque[_Clause] = deque()
        self._now: _Clause | None = None
        self._next_id = 0
        self._worker: Worker | None = None
        self._restart: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._restarted = False
        self._silent = False
        self._closed = False

    async def start(self) -> None:
        """Raises ProviderFault."""
        self._worker = await self._spares.take(self._on_message, self._on_exit)

    def say(self, reply: int, clause: int, text: str) -> None:
        """In the order they were said. More than 200 clauses waiting is a caller that has lost its mind: refused."""
        if self._closed:
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._fail("busy", f"{_MAX_WAITING} clauses are waiting")
            return
        self._next_id += 1
        self._waiting.append(_Clause(self._next_id, reply, clause, text))
        self._pump()

    def done(self, reply: int) -> None:
        """Clauses never wait for others."""

    def cancel(self, reply: int) -> None:
        """What waits is forgotten; the clause at hand is finished unheard."""
        self._waiting = deque(clause for clause in self._waiting if clause.reply != reply)
        if self._now is not None and self._now.reply == reply:
            self._now.cancelled = True

    async def aclose(self) -> None:
        """Ends the process."""
        self._closed = True
        self._waiting.clear()
        self._disarm()
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        if self._worker is not None:
            await self._worker.aclose()

    def _pump(self) -> None:
        """Give the process its next clause, if it is free."""
        if self._silent:
            self._recite()
            return
        if self._now is None and self._waiting and self._worker is not None and self._worker.alive:
            self._now = self._waiting.popleft()
            self._ask(self._worker, self._now)

    def _ask(self, worker: Worker, clause: _Clause) -> None:
        clause.skip, clause.given = clause.given, 0
        worker.send(pack_json({"id": clause.id, "text": clause.text}))
        self._deadline = asyncio.get_running_loop().call_later(_CLAUSE_SECONDS, self._hung, worker)

    def _hung(self, worker: Worker) -> None:
        log.warning("provider_fault", stage="tts", provider=_NAME, kind="timeout", detail="a clause took too long")
        worker.kill()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_message(self, kind: Kind, payload: bytes) -> None:
        clause = self._now
        if kind is Kind.AUDIO:
            if clause is not None and int.from_bytes(payload[:4], "big") == clause.id:
                self._hand_on(clause, payload[4:])
            return
        event = json.loads(payload)
        if event["event"] == "fault":
            log.warning("provider_fault", stage="tts", provider=_NAME, kind="broken", detail=event["detail"])
        elif clause is not None and event["id"] == clause.id:
            self._disarm()
            self._now = None
            if not clause.cancelled:
                self._on_spoken(SpokenEnd(clause.reply, clause.clause))
            self._pump()

    def _hand_on(self, clause: _Clause, sound: bytes) -> None:
        fresh = sound[max(0, clause.skip - clause.given) :]
        clause.given += len(sound)
        if fresh and not clause.cancelled:
            self._on_spoken(SpokenAudio(clause.reply, clause.clause, fresh))

    def _on_exit(self) -> None:
        """The process is gone, not by our wish."""
        self._disarm()
        log.warning("provider_fault", stage="tts", provider=_NAME, kind="broken", detail="the process ended")
        if self._restarted:
            self._fall_silent()
            return
        self._restarted = True
        self._restart = asyncio.get_running_loop().create_task(self._again())

    async def _again(self) -> None:
        try:
            await self.start()
        except ProviderFault:
            self._fall_silent()
            return
        if self._now is not None and self._worker is not None:
            self._ask(self._worker, self._now)
        else:
            self._pump()

    def _fall_silent(self) -> None:
        """From here on the phrase book is all there is."""
        self._silent = True
        if self._now is not None:
            self._waiting.appendleft(self._now)
            self._now = None
        self._recite()

    def _recite(self) -> None:
        while self._waiting:
            clause = self._waiting.popleft()
            if clause.cancelled:
                continue
            sound = phrase_book.find(clause.text)
            if sound is None or clause.given:
                self._waiting.clear()
                self._fail("broken", "the engine is gone and the phrase book does not have these words")
                return
            self._on_spoken(SpokenAudio(clause.reply, clause.clause, sound))
            self._on_spoken(SpokenEnd(clause.reply, clause.clause))

    def _fail(self, kind: str, detail: str) -> None:
        self._on_spoken(VoiceFailed(kind, detail))
