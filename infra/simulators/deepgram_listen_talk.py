"""One simulated `listen` stream: sound in, messages out, on the clock of the sound (as the vendor's own are).

v1: SpeechStarted, Results (interim, is_final, speech_final), UtteranceEnd, Metadata. v2: Connected, TurnInfo.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from infra.simulators.deepgram_listen_rules import Wishes, Wrong, configured, control
from infra.simulators.deepgram_listen_words import BYTES_PER_MS, HeardWord, Source
from infra.simulators.mulaw import is_loud
from infra.simulators.vendor_socket import VendorSocket

INTERIM_MS = 200
UPDATE_MS = 250
SEGMENT_MS = 5_000
EMPTY_MS = 3_000
SOUND_MS = 60
QUIET_MS = 500
BURST_MS = 1_500
"""How much sound may come at once (network jitter) before the rate counts."""
MAX_RATE = 1.25
CONFIDENCE = 0.97
NOTE = Callable[[str], None]


class Stream:
    """What v1 and v2 have in common. `note` is told what the client did that the vendor would not take."""

    api = ""

    def __init__(self, socket: VendorSocket, wishes: Wishes, source: Source, note: NOTE, idle_s: float) -> None:
        self.socket = socket
        self.wishes = wishes
        self.source = source
        self.request_id = str(uuid.uuid4())
        self.at_ms = 0.0
        """How much sound has come."""
        self.audio = bytearray()
        self.keep_audio = False
        self._note = note
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._since = self._last = self._loop.time()
        self._silence = 0.0
        self._loud = 0.0
        self._fast = False
        self._timer: asyncio.TimerHandle | None = None

    # --- Talk ---

    def opened(self) -> None:
        """See Talk."""
        self._timer = self._loop.call_later(self._idle_s / 10, self._look)

    def gone(self) -> None:
        """See Talk."""
        if self._timer:
            self._timer.cancel()

    def binary(self, data: bytes) -> None:
        """Sound."""
        if not data:
            self.close_stream()
            return
        now = self._last = self._loop.time()
        ms = len(data) / BYTES_PER_MS
        begin = self.at_ms
        self.at_ms += ms
        if self.at_ms > MAX_RATE * 1_000 * (now - self._since) + BURST_MS and not self._fast:
            self._fast = True
            self._note("sound faster than 1.25 times real time")
        if self.keep_audio:
            self.audio += data
        if is_loud(data):
            self._loud += ms
            self._silence = 0.0
        else:
            self._silence += ms
            if self._silence >= QUIET_MS:
                self._loud = 0.0
        self.hear(self.source.hear(data, begin, ms))

    def text(self, text: str) -> None:
        """A control message."""
        try:
            message = control(text, self.api)
        except Wrong as wrong:
            self._note(f"{wrong}: {text[:80]}")
            self.schema_error(text)
            return
        match message["type"]:
            case "KeepAlive":
                if self.at_ms:  # before the first sound it does not count
                    self._last = self._loop.time()
            case "CloseStream":
                self.close_stream()
            case "Configure":
                try:
                    self.wishes = configured(message, self.wishes, self.api)
                except Wrong as wrong:
                    self._note(f"Configure: {wrong}")
                    self.not_configured(str(wrong))
                else:
                    self.configured()
            case _:
                self.flush()

    def error_message(self) -> str:
        """See Talk."""
        raise NotImplementedError

    # --- for the two ---

    def hear(self, words: object) -> None:
        """Sound has been listened to; these words are new."""
        raise NotImplementedError

    def flush(self) -> None:
        """Finalize, or ForceEndTurn."""
        raise NotImplementedError

    def close_stream(self) -> None:
        """The client has no more sound."""
        raise NotImplementedError

    def schema_error(self, text: str) -> None:
        """A control message that cannot be read."""
        raise NotImplementedError

    def configured(self) -> None:
        """ConfigureSuccess."""
        raise NotImplementedError

    def not_configured(self, why: str) -> None:
        """ConfigureFailure."""
        raise NotImplementedError

    def say(self, message: dict[str, Any]) -> None:
        """A message of the vendor's; a test may say its own."""
        self.socket.send(json.dumps(message))

    def _look(self) -> None:
        if self._loop.time() - self._last >= self._idle_s:
            self._note("NET-0001")
            self.socket.close(1011, "NET-0001")
            return
        self._timer = self._loop.call_later(self._idle_s / 10, self._look)


class StreamV1(Stream):
    """nova-3."""

    api = "v1"

    def __init__(self, *parts: Any, lose_speech_final: bool = False) -> None:
        super().__init__(*parts)
        self._lose = lose_speech_final
        self._segment = 0.0
        self._words: list[HeardWord] = []
        self._told = 0
        self._interim_at = 0.0
        self._last_word = self._utterance_end = 0.0
        self._started = False

    def hear(self, words: object) -> None:
        """See Stream."""
        assert isinstance(words, list | tuple)
        if self._loud >= SOUND_MS and not self._started:
            self._started = True
            if self.wishes.vad_events:
                self.say({"type": "SpeechStarted", "channel": [0], "timestamp": (self.at_ms - SOUND_MS) / 1_000})
        elif self._loud == 0.0:
            self._started = False
        self._words += words
        if self._words:
            self._last_word = self._words[-1].end_ms
            self._heard_words()
        elif self.at_ms - self._segment >= EMPTY_MS:
            self._results(final=True)
        ends = self.wishes.utterance_end_ms
        if ends and self._last_word > self._utterance_end and self.at_ms - self._last_word >= ends:
            self._utterance_end = self._last_word
            self.say({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": self._last_word / 1_000})

    def _heard_words(self) -> None:
        quiet = self.wishes.endpointing_ms
        if quiet is not None and self._silence >= max(quiet, 20) and not self._lose:
            self._results(final=True, speech_final=True)
        elif self._silence >= 700 or self.at_ms - self._segment >= SEGMENT_MS:
            self._results(final=True)
        elif self.wishes.interim and len(self._words) != self._told and self.at_ms - self._interim_at >= INTERIM_MS:
            self._told, self._interim_at = len(self._words), self.at_ms
            self._results()

    def _results(self, *, final: bool = False, speech_final: bool = False, from_finalize: bool = False) -> None:
        words = [] if self.socket.empty else self._words
        start, end = self._segment, self.at_ms
        if final:
            self._segment, self._words, self._told = self.at_ms, [], 0
        text = " ".join(word.text for word in words)
        spoken = [
            {
                "word": word.text.strip(".,?!").lower(),
                "start": word.start_ms / 1_000,
                "end": word.end_ms / 1_000,
                "confidence": CONFIDENCE,
                "punctuated_word": word.text,
            }
            for word in words
        ]
        message: dict[str, Any] = {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": (end - start) / 1_000,
            "start": start / 1_000,
            "is_final": final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {
                "alternatives": [{"transcript": text, "confidence": CONFIDENCE if text else 0.0, "words": spoken}]
            },
            "metadata": {
                "request_id": self.request_id,
                "model_info": {"name": "general-nova-3", "version": "2026-01-01.0", "arch": "nova-3"},
                "model_uuid": "00000000-0000-4000-8000-000000000003",
            },
        }
        self.say(message)

    def flush(self) -> None:
        """Finalize."""
        self._results(final=True, from_finalize=True)

    def close_stream(self) -> None:
        """The last results, the metadata, and the end."""
        self._results(final=True)
        self.say(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self.request_id,
                "sha256": "0" * 64,
                "created": "2026-11-25T00:00:00.000Z",
                "duration": self.at_ms / 1_000,
                "channels": 1,
            }
        )
        self.socket.close(1000)

    def schema_error(self, text: str) -> None:
        """It says what it could not read, and ends."""
        self.say({"type": "Error", "variant": "SchemaError", "description": "Could not deserialize", "message": text})
        self.socket.close(1008, "DATA-0000")

    def error_message(self) -> str:
        """See Talk."""
        return json.dumps({"type": "Error", "variant": "InternalError", "description": "something is wrong with us"})

    def configured(self) -> None:
        """See Stream."""
        terms = list(self.wishes.keyterms)
        self.say({"type": "ConfigureSuccess", "request_id": self.request_id, "keyterms": terms})

    def not_configured(self, why: str) -> None:
        """See Stream."""
        code = "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"
        self.say({"type": "ConfigureFailure", "request_id": self.request_id, "code": code, "description": why})


class StreamV2(Stream):
    """Flux. Sureness that a turn is over is silence here: a threshold of 0.7 is 400 ms of it, 0.9 is 600 ms."""

    api = "v2"

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._sequence = 0
        self._turn = 0
        self._window = 0.0
        self._words: list[HeardWord] = []
        self._eager = False
        self._updated = 0.0

    def opened(self) -> None:
        """It greets."""
        super().opened()
        self.say(self._message("Connected"))

    def _message(self, type_: str, **more: Any) -> dict[str, Any]:
        message = {"type": type_, "request_id": self.request_id, "sequence_id": self._sequence, **more}
        self._sequence += 1
        return message

    def hear(self, words: object) -> None:
        """See Stream."""
        assert isinstance(words, list | tuple)
        first = not self._words
        self._words += words
        if words and self._eager:
            self._eager = False
            self._turn_info("TurnResumed")
        elif words and first:
            self._turn_info("StartOfTurn")
        elif self._words and self._silence >= min(_silence(self.wishes.eot), self.wishes.timeout_ms):
            self._end("model" if self._silence < self.wishes.timeout_ms else "timeout")
        elif (
            self._words
            and self.wishes.eager is not None
            and not self._eager
            and self._silence >= _silence(self.wishes.eager)
        ):
            self._eager = True
            self._turn_info("EagerEndOfTurn")
        elif self.at_ms - self._updated >= UPDATE_MS:
            self._turn_info("Update")

    def _end(self, trigger: str) -> None:
        self._turn_info("EndOfTurn", trigger=trigger)
        self._turn += 1
        self._words = []
        self._eager = False
        self._window = self.at_ms

    def _turn_info(self, event: str, **more: Any) -> None:
        self._updated = self.at_ms
        words = [] if self.socket.empty else self._words
        spoken = [
            {
                "word": word.text,
                "confidence": CONFIDENCE,
                "start": round(word.start_ms / 1_000, 3),
                "end": round(word.end_ms / 1_000, 3),
            }
            for word in words
        ]
        self.say(
            self._message(
                "TurnInfo",
                event=event,
                turn_index=self._turn,
                audio_window_start=self._window / 1_000,
                audio_window_end=self.at_ms / 1_000,
                transcript=" ".join(word.text for word in words),
                words=spoken,
                end_of_turn_confidence=min(0.99, 0.1 + self._silence / 1_000) if words else 0.0,
                **more,
            )
        )

    def flush(self) -> None:
        """ForceEndTurn."""
        if self._words:
            self._end("manual")

    def close_stream(self) -> None:
        """The last Update is the final text; then it is gone, without a code."""
        self._turn_info("Update")
        self.socket.close(None)

    def schema_error(self, text: str) -> None:
        """Always fatal."""
        self.say(self._message("Error", code="UNPARSABLE_CLIENT_MESSAGE", description="unknown message"))
        self.socket.close(1008, "DATA-0000")

    def error_message(self) -> str:
        """See Talk."""
        return json.dumps(self._message("Error", code="INTERNAL_SERVER_ERROR", description="something is wrong"))

    def configured(self) -> None:
        """See Stream."""
        wishes = self.wishes
        limits = {"eot_threshold": wishes.eot, "eot_timeout_ms": wishes.timeout_ms}
        if wishes.eager is not None:
            limits["eager_eot_threshold"] = wishes.eager
        self.say(self._message("ConfigureSuccess", thresholds=limits, keyterms=list(wishes.keyterms)))

    def not_configured(self, why: str) -> None:
        """See Stream."""
        self.say(self._message("ConfigureFailure", code="INVALID_CONFIGURATION", description=why))


def _silence(threshold: float) -> float:
    return float("inf") if threshold >= 1.0 else 400 + (threshold - 0.7) * 1_000
