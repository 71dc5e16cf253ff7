"""What was said, from the events of ElevenLabs' live monitor. Pure: `(state, event) -> (state, lines)`.

The agent's words are held until the caller speaks or the call ends: an interruption corrects them first. Events:
`user_transcript`, `agent_response`, `agent_response_correction`; all others say nothing. Source: elevenlabs.io/docs,
"Real-time monitoring".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from realtime.paths import digest


@dataclass(frozen=True, slots=True)
class Line:
    """`text` is what was heard of `full_text`; `key` is the same when the same line comes again."""

    speaker: Literal["user", "assistant"]
    text: str
    full_text: str
    turn: int
    key: str


@dataclass(frozen=True, slots=True)
class Words:
    """`held` is the agent's last answer as (heard, whole)."""

    turn: int = 0
    held: tuple[str, str] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


def step(words: Words, event: Mapping[str, Any]) -> tuple[Words, tuple[Line, ...]]:
    """The state after `event`, and the lines that are certain now."""
    match event.get("type"):
        case "user_transcript":
            text = _text(event, "user_transcription_event", "user_transcript")
            if not text:
                return words, ()
            words, before = end(words)
            words, said = _line(replace(words, turn=words.turn + 1), "user", text, text)
            return words, (*before, said)
        case "agent_response":
            text = _text(event, "agent_response_event", "agent_response")
            if not text:
                return words, ()
            words, before = end(words)
            return replace(words, held=(text, text)), before
        case "agent_response_correction":
            whole = _text(event, "agent_response_correction_event", "original_agent_response")
            heard = _text(event, "agent_response_correction_event", "corrected_agent_response")
            if words.held is None or words.held[1] != whole:
                return words, ()
            return replace(words, held=(heard, whole)), ()
        case _:
            return words, ()


def end(words: Words) -> tuple[Words, tuple[Line, ...]]:
    """Nothing corrects the agent's last answer any more."""
    if words.held is None:
        return words, ()
    heard, whole = words.held
    words, said = _line(replace(words, held=None), "assistant", heard, whole)
    return words, (said,)


def _line(words: Words, speaker: Literal["user", "assistant"], text: str, whole: str) -> tuple[Words, Line]:
    name = digest(f"{speaker} {whole}")
    count = words.counts.get(name, 0)
    said = Line(speaker, text, whole, words.turn, f"monitor:{name}:{count}")
    return replace(words, counts={**words.counts, name: count + 1}), said


def _text(event: Mapping[str, Any], outer: str, inner: str) -> str:
    found = event.get(outer)
    text = found.get(inner) if isinstance(found, dict) else None
    return text.strip() if isinstance(text, str) else ""
