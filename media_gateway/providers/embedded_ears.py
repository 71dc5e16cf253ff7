"""Hearing without a key: pocketsphinx, with a language model made of the flow's own phrases.

Hears what the flow expects (nine words in ten of synthetic callers) and little else; what it does not understand it
says so. One process a call: nothing carries over between calls, and the event loop only moves bytes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers.pipe import Kind, pack, pack_json
from media_gateway.providers.worker import Worker, missing
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

_NAME = "pocketsphinx"
_MODULE = "media_gateway.providers.ears_worker"
_MAX_OPEN = 32
_BACKLOG = 500
"""Frames that may wait, about ten seconds; the pipe holds as much again."""
log = structlog.get_logger(__name__)


class EmbeddedEars:
    """The port `Ears`. `cache_dir` keeps built language models, a few hundred kB each, by the hash of their phrases;
    without it each call builds its own."""

    name = _NAME

    def __init__(self, cache_dir: Path | None = None) -> None:
        self._cache = (str(cache_dir.resolve()),) if cache_dir else ()
        self._absent = missing("pocketsphinx", "numpy")
        self._open = 0

    async def open(self, profile: ListeningProfile, on_heard: Callable[[Heard], None]) -> Hearing:
        """The process is started; sound that comes before it is ready waits for it. Raises ProviderFault."""
        if self._absent:
            raise ProviderFault(_NAME, "missing", self._absent)
        if self._open >= _MAX_OPEN:
            raise ProviderFault(_NAME, "busy", f"{_MAX_OPEN} calls at once is all the demo engine takes")
        hearing = _EmbeddedHearing(on_heard, self._closed)
        self._open += 1
        try:
            await hearing.start(profile, self._cache)
        except BaseException:
            await hearing.aclose()
            raise
        return hearing

    def _closed(self) -> None:
        self._open -= 1


class _EmbeddedHearing:
    def __init__(self, on_heard: Callable[[Heard], None], on_close: Callable[[], None]) -> None:
        self._on_heard = on_heard
        self._on_close = on_close
        self._worker: Worker | None = None
        self._phrases: tuple[str, ...] = ()
        self._early: deque[bytes] = deque(maxlen=_BACKLOG)
        self._closed = False
        self._failed = False
        self._late = False

    async def start(self, profile: ListeningProfile, cache: tuple[str, ...]) -> None:
        """Raises ProviderFault."""
        self._worker = await Worker.start(
            _MODULE, *cache, on_message=self._on_message, on_exit=self._on_exit, backlog=_BACKLOG
        )
        self.configure(profile)

    def feed(self, mulaw: bytes) -> None:
        """Drops the oldest waiting sound when the recogniser falls that far behind."""
        if not self._phrases:
            self._early.append(mulaw)
            return
        if self._worker is None or self._worker.send(pack(Kind.AUDIO, mulaw)) or self._late:
            return
        self._late = True
        log.warning("provider_fault", stage="stt", provider=_NAME, kind="busy", detail="sound was dropped")

    def configure(self, profile: ListeningProfile) -> None:
        """Sends the phrases only when they are other ones; building their model takes the process 0.1 s.

        A call opens its ears before it knows its flow: until the first profile with phrases, sound is kept."""
        if not profile.phrases:
            return
        settings: dict[str, Any] = {"patience_ms": profile.patience_ms}
        if profile.phrases != self._phrases:
            self._phrases = profile.phrases
            settings["phrases"] = profile.phrases
        if self._worker is not None:
            self._worker.send(pack_json(settings))
        while self._early:
            self.feed(self._early.popleft())

    async def aclose(self) -> None:
        """Ends the process."""
        if not self._closed:
            self._closed = True
            self._on_close()
        if self._worker is not None:
            await self._worker.aclose()

    def _on_message(self, kind: Kind, payload: bytes) -> None:
        event = json.loads(payload)
        name = event.pop("event")
        if name == "started":
            self._on_heard(SpeechStarted())
        elif name == "partial":
            self._on_heard(Partial(event["text"]))
        elif name == "final":
            self._on_heard(Final(**event))
        elif name == "ended":
            self._on_heard(SpeechEnded())
        elif name == "missing":
            remedy = "phrases with these words are not listened for: spell them as dictionary words, numbers in letters"
            log.warning("vocabulary_missing", words=event["words"], remedy=remedy)
        elif name == "fault":
            self._fail(event["kind"], event["detail"])

    def _on_exit(self) -> None:
        self._fail("broken", "the recogniser's process ended")

    def _fail(self, kind: str, detail: str) -> None:
        if not self._failed and not self._closed:
            self._failed = True
            self._on_heard(EarsFailed(kind, detail))
