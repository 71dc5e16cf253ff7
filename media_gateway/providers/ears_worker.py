"""The demo recogniser's process: one call's mu-law in, what was heard out.

In: AUDIO (mu-law, any length) and JSON `{patience_ms, phrases?}`. Out: JSON `{event: ready|started|partial|final|ended
|missing|fault, ...}`. The decoder is made anew for each call (and when the phrases change): it carries the channel's
mean over from one utterance to the next, so that a shared one would hear the same sound differently each time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pocketsphinx

from media_gateway.providers import ears_endpoint, mulaw
from media_gateway.providers.ears_endpoint import FRAME_MS, Endpoint
from media_gateway.providers.ears_model import Model, NoPhrases, Vocabulary, prepare
from media_gateway.providers.pipe import Kind, pack_json, read_message

_FRAME = FRAME_MS * 8
_LEAD_FRAMES = 10
_PARTIAL_EVERY = 4
_NOISE_MS = 400
_LONGEST_MS = 20_000
_DITHER = 10.0
"""Digital silence has a log energy of minus infinity, which the model never saw; a line hisses a little."""
_LINE_MEAN = "41.79,4.15,-0.11,4.18,1.17,-0.86,0.71,-0.12,-2.95,3.43,-2.14,3.00,-0.11"
"""Cepstral mean of telephone speech, so that a call's first word is heard as well as its tenth (measured on clips)."""

Emit = Callable[[Mapping[str, Any]], None]


class Recogniser:
    """One call's ears. `feed` sound, `configure`; what is heard goes to `emit`."""

    def __init__(self, emit: Emit, cache: Path | None = None) -> None:
        self._emit = emit
        self._cache = cache
        self._patience_ms = 600
        self._phrases: tuple[str, ...] | None = None
        self._words: Vocabulary | None = None
        self._decoder: Any = None
        self._vad = pocketsphinx.Vad(mode=pocketsphinx.Vad.MEDIUM_STRICT, sample_rate=8000, frame_length=FRAME_MS / 1e3)
        self._noise = np.random.default_rng(1)
        self._doubler = mulaw.Doubler()
        self._endpoint = Endpoint()
        self._lead: deque[bytes] = deque(maxlen=_LEAD_FRAMES)
        self._rest = b""
        self._text = ""
        self._since_partial = 0

    def configure(self, *, patience_ms: int, phrases: Sequence[str] | None = None) -> None:
        """Raises NoPhrases. New phrases count from the next turn on; a turn that is under way is dropped."""
        self._patience_ms = patience_ms
        if phrases is None or tuple(phrases) == self._phrases:
            return
        with tempfile.TemporaryDirectory() as scratch:
            model = prepare(phrases, self._cache or Path(scratch))
            decoder = _new_decoder(model)
        if self._endpoint.speaking:
            self._end()
        self._decoder, self._words, self._phrases = decoder, model.words, tuple(phrases)
        if self._words.missing:
            self._emit({"event": "missing", "words": self._words.missing})

    def feed(self, sound: bytes) -> None:
        """Mu-law of any length; whole frames of it are heard at once, the rest with the next."""
        sound = self._rest + sound
        whole = len(sound) - len(sound) % _FRAME
        self._rest = sound[whole:]
        for start in range(0, whole, _FRAME):
            self._frame(mulaw.decode(sound[start : start + _FRAME]))

    def _frame(self, pcm: mulaw.Pcm) -> None:
        wave = pcm.astype(np.float64)
        was = self._endpoint
        rms = float(np.sqrt(np.mean(wave * wave)))
        self._endpoint = ears_endpoint.step(was, vad=bool(self._vad.is_speech(pcm.tobytes())), rms=rms)
        hissing = wave + self._noise.normal(0.0, _DITHER, len(wave))
        sixteen = mulaw.to_pcm(self._doubler.feed(hissing)).tobytes()
        if not self._endpoint.speaking:
            self._lead.append(sixteen)
        elif was.speaking:
            self._hear(sixteen)
        else:
            self._begin(sixteen)

    def _begin(self, sixteen: bytes) -> None:
        self._emit({"event": "started"})
        self._text, self._since_partial = "", 0
        if self._decoder is not None:
            self._decoder.start_utt()
            self._decoder.process_raw(b"".join(self._lead) + sixteen)
        self._lead.clear()

    def _hear(self, sixteen: bytes) -> None:
        if self._decoder is not None:
            self._decoder.process_raw(sixteen)
            self._since_partial += 1
            if self._since_partial >= _PARTIAL_EVERY:
                self._since_partial = 0
                self._partial()
        now = self._endpoint
        patience = self._patience_ms if self._text else min(self._patience_ms, _NOISE_MS)
        if now.silence_ms >= patience or now.length_ms >= _LONGEST_MS:
            self._finish()

    def _partial(self) -> None:
        text = _hypothesis(self._decoder)
        if text and text != self._text:
            self._text = text
            self._emit({"event": "partial", "text": text})

    def _finish(self) -> None:
        silence_ms = self._endpoint.silence_ms
        text = self._end()
        if not text or self._words is None:
            self._emit({"event": "ended"})
            return
        familiar = self._words.familiar(text)
        self._emit(
            {
                "event": "final",
                "text": text,
                "confidence": round(familiar, 3),
                "understood": self._words.understood(text),
                "speech_end_ms": silence_ms,
            }
        )

    def _end(self) -> str:
        """Close the utterance; what it was."""
        self._endpoint = ears_endpoint.ended(self._endpoint)
        if self._decoder is None:
            return ""
        self._decoder.end_utt()
        return _hypothesis(self._decoder)


def _new_decoder(model: Model) -> Any:
    return pocketsphinx.Decoder(
        lm=str(model.language), dict=str(model.dictionary), loglevel="FATAL", cmninit=_LINE_MEAN, samprate=16000
    )


def _hypothesis(decoder: Any) -> str:
    found = decoder.hyp()
    return str(found.hypstr).strip() if found else ""


def serve(cache: Path | None) -> None:
    """Until the gateway closes the pipe."""
    out = sys.stdout.buffer

    def emit(event: Mapping[str, Any]) -> None:
        out.write(pack_json(event))
        out.flush()

    recogniser = Recogniser(emit, cache)
    while message := read_message(sys.stdin.buffer):
        kind, payload = message
        if kind is Kind.AUDIO:
            recogniser.feed(payload)
            continue
        try:
            recogniser.configure(**_profile(payload))
        except NoPhrases as error:
            emit({"event": "fault", "kind": "refused", "detail": str(error)})
            return
        emit({"event": "ready"})


def _profile(payload: bytes) -> dict[str, Any]:
    data = json.loads(payload)
    return {"patience_ms": int(data["patience_ms"]), "phrases": data.get("phrases")}


def main() -> None:
    """The gateway ends this process by closing its pipe; Ctrl-C is the gateway's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)
    try:
        serve(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
