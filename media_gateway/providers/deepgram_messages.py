"""What Deepgram's `listen` says and wants to be told, v1 and v2 (Flux). Pure; times are seconds, as on the wire.

Typed decoding: what a message must have is checked here and nowhere else. A type that is not known is `None` (the
vendor adds some from time to time); what is no message at all raises `Garbled`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import get_args
from urllib.parse import urlencode

import msgspec

from media_gateway.conversation.model import ListeningProfile

MAX_KEYTERMS = 100
MAX_KEYTERM_LETTERS = 1_200
"""The vendor's limit is 500 tokens, which are never shorter than two or three letters."""
ENDPOINTING_MS = 300
"""v1: silence after which the vendor says that speech has ended. It can be set when the stream is opened only, so it is
set low; a state that is more patient waits longer by itself (`deepgram_v1`)."""
UTTERANCE_END_MS = 1_000
"""v1: the shortest that the vendor takes."""


class Garbled(ValueError):
    """Not a message of this protocol."""


class Word(msgspec.Struct, frozen=True, gc=False):
    """v2 may leave the times out."""

    word: str
    start: float | None = None
    end: float | None = None
    confidence: float = 0.0
    punctuated_word: str | None = None

    @property
    def text(self) -> str:
        """As it is written."""
        return self.punctuated_word or self.word


class Alternative(msgspec.Struct, frozen=True):
    """One reading of a stretch of sound."""

    transcript: str = ""
    confidence: float = 0.0
    words: tuple[Word, ...] = ()


class Channel(msgspec.Struct, frozen=True):
    """A telephone has one."""

    alternatives: tuple[Alternative, ...] = ()


class _Message(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class Results(_Message, frozen=True, tag="Results"):
    """v1: what was recognised between `start` and `start + duration`."""

    start: float
    duration: float
    channel: Channel
    is_final: bool = False
    speech_final: bool = False
    from_finalize: bool = False


class SpeechBegan(_Message, frozen=True, tag="SpeechStarted"):
    """v1 `SpeechStarted`: sound, perhaps a voice."""

    timestamp: float = 0.0


class UtteranceEnd(_Message, frozen=True, tag="UtteranceEnd"):
    """v1: no word for `utterance_end_ms`."""

    last_word_end: float = 0.0


class TurnInfo(_Message, frozen=True, tag="TurnInfo"):
    """v2: the turn so far; `transcript` is all of it."""

    event: str
    turn_index: int
    audio_window_end: float
    transcript: str = ""
    words: tuple[Word, ...] = ()
    end_of_turn_confidence: float = 0.0


class Connected(_Message, frozen=True, tag="Connected"):
    """v2: the first message of a stream."""


class Configured(_Message, frozen=True, tag="ConfigureSuccess"):
    """`ConfigureSuccess`."""


class NotConfigured(_Message, frozen=True, tag="ConfigureFailure"):
    """`ConfigureFailure`: what was in force before stays so."""

    code: str | None = None


class Caution(_Message, frozen=True, tag="Warning"):
    """`Warning`."""

    code: str = ""


class Problem(_Message, frozen=True, tag="Error"):
    """`Error`: on v2 always the end of the stream."""

    description: str = ""
    code: str | None = None
    variant: str | None = None

    @property
    def name(self) -> str:
        """The vendor's own word for it."""
        return self.code or self.variant or "error"


Message = (
    Results | SpeechBegan | UtteranceEnd | TurnInfo | Connected | Configured | NotConfigured | Caution | Problem
)  # fmt: skip


class _Head(msgspec.Struct, frozen=True):
    type: str


_HEAD = msgspec.json.Decoder(_Head)
_MESSAGE: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_KNOWN = frozenset(kind.__struct_config__.tag for kind in get_args(Message))


def decode(raw: bytes) -> Message | None:
    """One text frame. None for a type that is of no use here; raises Garbled."""
    try:
        return _MESSAGE.decode(raw)
    except msgspec.ValidationError as error:
        if _type(raw) not in _KNOWN:
            return None
        raise Garbled(type(error).__name__) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Garbled(type(error).__name__) from error


def _type(raw: bytes) -> str:
    """Raises Garbled for what is no message at all."""
    try:
        return _HEAD.decode(raw).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Garbled(type(error).__name__) from error


# --- what we say ---------------------------------------------------------------------------------------------------

KEEP_ALIVE = '{"type":"KeepAlive"}'
FINALIZE = '{"type":"Finalize"}'
FORCE_END_TURN = '{"type":"ForceEndTurn"}'
CLOSE_STREAM = '{"type":"CloseStream"}'


def keyterms(profile: ListeningProfile) -> tuple[str, ...]:
    """As many of the profile's as the vendor takes, each once."""
    kept: list[str] = []
    letters = 0
    for term in dict.fromkeys(term.strip() for term in profile.keyterms):
        letters += len(term)
        if len(kept) == MAX_KEYTERMS or letters > MAX_KEYTERM_LETTERS:
            break
        if term:
            kept.append(term)
    return tuple(kept)


def thresholds(profile: ListeningProfile) -> dict[str, float | int]:
    """v2: how sure Flux must be that the turn is over, by the patience of the state. 600 ms is the vendor's own default
    of 0.7; whoever dictates digits or an address (1,500 ms and more) is given as much time as the vendor can give."""
    sure = round(min(max(0.55 + profile.patience_ms / 4_000, 0.5), 0.9), 2)
    return {
        "eot_threshold": sure,
        "eager_eot_threshold": round(max(0.3, sure - 0.2), 2),
        "eot_timeout_ms": min(max(1_500, 2 * profile.patience_ms + 1_000), 60_000),
    }


def query_v1(profile: ListeningProfile, *, model: str, language: str) -> str:
    """The query of a v1 stream."""
    pairs: list[tuple[str, str | int]] = [
        ("model", model),
        ("language", language),
        ("encoding", "mulaw"),
        ("sample_rate", 8000),
        ("channels", 1),
        ("interim_results", "true"),
        ("smart_format", "true"),
        ("vad_events", "true"),
        ("endpointing", ENDPOINTING_MS),
        ("utterance_end_ms", UTTERANCE_END_MS),
    ]
    return urlencode([*pairs, *_terms(profile)])


def query_v2(profile: ListeningProfile, *, model: str, language: str) -> str:
    """The query of a v2 stream. The language is the model's: only `flux-general-multi` takes a hint."""
    pairs: list[tuple[str, str | int | float]] = [("model", model), ("encoding", "mulaw"), ("sample_rate", 8000)]
    pairs += thresholds(profile).items()
    if model.endswith("-multi") and language != "multi":
        pairs.append(("language_hint", language))
    return urlencode([*pairs, *_terms(profile)])


def _terms(profile: ListeningProfile) -> Sequence[tuple[str, str]]:
    return [("keyterm", term) for term in keyterms(profile)]


def configure_v1(profile: ListeningProfile) -> str:
    """Other keyterms from now on; nothing else of a v1 stream can be changed."""
    return json.dumps({"type": "Configure", "keyterms": keyterms(profile)})


def configure_v2(profile: ListeningProfile) -> str:
    """Other thresholds and keyterms from now on."""
    return json.dumps({"type": "Configure", "thresholds": thresholds(profile), "keyterms": keyterms(profile)})
