"""ElevenLabs' multi-context text to speech: from clauses to its messages and back. Pure.

A clause is a context of its own: opened, flushed and closed at once, so that the vendor's `isFinal` is the end of this
clause and of nothing else (a flush alone gives no such end, and where one flush ends in a shared context is not told).
A connection has five contexts, and one is free again only after its `isFinal`, also when nobody wants its sound any
more; so at most two are asked for at a time, the next one while the current one sounds. Alignment says which characters
have been said by when.
"""

from __future__ import annotations

import binascii
import itertools
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from media_gateway.providers.speech_budget import Budget
from media_gateway.providers.speech_steps import FIRST_SOUND_S, LIMIT_WAIT_S, STALL_S, Clause, Step
from media_gateway.voice.ports import SpokenAudio, SpokenEnd, Timing, VoiceFailed

NAME = "elevenlabs"
CONTEXTS = 5
AHEAD = 2
"""Clauses that are asked for at a time."""
CHARACTERS, WINDOW_S = 5_000, 60.0
"""The vendor names no such limit; this one is against our own loops, which would be paid for."""
STUCK_S = 2.0
"""With every context waiting for an end that does not come, another connection has to do it."""
KEEP_ALIVE_S = 15.0
INACTIVITY_S = 60
"""What the vendor is told; it closes a connection that is silent for longer."""
_ERRORS = {
    "max_active_conversations": "busy",
    "quota_exceeded": "busy",
    "too_many_concurrent_requests": "busy",
    "rate_limit_exceeded": "busy",
    "invalid_api_key": "unauthorized",
    "unauthorized": "unauthorized",
    "input_timeout_exceeded": "timeout",
}


class _Alignment(msgspec.Struct, rename="camel"):
    chars: list[str] = []
    char_start_times_ms: list[float] = []
    char_durations_ms: list[float] = []


class _Message(msgspec.Struct, rename="camel"):
    audio: str | None = None
    context_id: str | None = None
    is_final: bool | None = None
    alignment: _Alignment | None = None
    error: str | None = None
    final: bool | None = msgspec.field(default=None, name="is_final")
    context: str | None = msgspec.field(default=None, name="context_id")


_DECODER = msgspec.json.Decoder(_Message)


@dataclass(slots=True)
class _Context:
    clause: Clause
    heard_at: float
    sounded: bool = False
    final: bool = False
    wanted: bool = True
    characters: int = 0
    """So many of the text have been told of; -1 when what was told did not fit."""
    kept: list[SpokenAudio] = field(default_factory=list)
    """Sound that came before its turn."""


class ElevenLabsSpeech:
    """`speech_steps.Machine`. `settings` are the vendor's voice_settings."""

    name = NAME
    goodbye = json.dumps({"close_socket": True})

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self._settings = dict(settings or {})
        self._characters = Budget(CHARACTERS, WINDOW_S)
        self._waiting: deque[Clause] = deque()
        self._contexts: dict[str, _Context] = {}
        self._order: deque[str] = deque()
        self._numbers = itertools.count(1)
        self._spoke_at: float | None = None
        self._over = False

    def say(self, now: float, reply: int, clause: int, text: str) -> Sequence[Step]:
        """Speak this behind what was said before."""
        self._waiting.append(Clause(reply, clause, text))
        return self._pump(now)

    def done(self, now: float, reply: int) -> Sequence[Step]:
        """Clauses never wait for others."""
        return []

    def cancel(self, now: float, reply: int) -> Sequence[Step]:
        """Nothing of this reply is wanted any more. Its contexts are closed already, and the vendor finishes what was
        flushed; its sound is dropped by the context it comes under."""
        self._waiting = deque(clause for clause in self._waiting if clause.reply != reply)
        for name in [name for name in self._order if self._contexts[name].clause.reply == reply]:
            self._order.remove(name)
            context = self._contexts[name]
            context.wanted = False
            context.kept.clear()
            if context.final:
                del self._contexts[name]
        return [] if self._over else [*self._drain(now), *self._pump(now)]

    def received(self, now: float, message: str | bytes) -> Sequence[Step]:
        """The vendor said this."""
        if self._over:
            return []
        try:
            body = _DECODER.decode(message)
        except msgspec.ValidationError:
            return []  # JSON, but nothing of ours: the vendor adds messages from time to time
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._fail("broken", "not a message of its protocol")
        if body.error is not None:
            return self._fail(_ERRORS.get(body.error, "broken"), body.error)
        name = body.context_id or body.context or ""
        context = self._contexts.get(name)
        if context is None:
            return []
        steps: list[Step] = []
        if body.audio:
            steps += self._sound(now, name, context, body)
        if (body.is_final or body.final) and not self._over:
            steps += self._final(now, name, context)
        return steps

    def tick(self, now: float) -> Sequence[Step]:
        """`wakes_at` has come."""
        if self._over:
            return []
        due = self._due()
        if due is not None and now >= due:
            return self._fail("timeout", "no sound, and no end of it")
        full = self._full_since()
        if full is not None and now >= full + STUCK_S:
            return self._fail("busy", "its contexts do not end")
        steps = self._pump(now)
        if not self._over and self._spoke_at is not None and now >= self._spoke_at + KEEP_ALIVE_S:
            steps.append(self._tell(now, {"text": "", **({"context_id": self._order[0]} if self._order else {})}))
        return steps

    def wakes_at(self, now: float) -> float | None:
        """When it counts as stalled, a limit frees itself, or the vendor wants a sign of life."""
        if self._over:
            return None
        if self._spoke_at is None:
            self._spoke_at = now
        times = [self._spoke_at + KEEP_ALIVE_S]
        due = self._due()
        if due is not None:
            times.append(due)
        full = self._full_since()
        if full is not None:
            times.append(full + STUCK_S)
        elif self._waiting and len(self._order) < AHEAD:
            times.append(self._characters.free_at(now, len(self._waiting[0].text)))
        return min(times)

    def _full_since(self) -> float | None:
        """When the last of the contexts that all places are taken by showed life, if somebody waits for one."""
        if not self._waiting or len(self._order) >= AHEAD or len(self._contexts) < CONTEXTS:
            return None
        return max(context.heard_at for context in self._contexts.values())

    # --- towards the vendor ---

    def _tell(self, now: float, body: Mapping[str, Any]) -> str:
        self._spoke_at = now
        return json.dumps(body)

    def _pump(self, now: float) -> list[Step]:
        steps: list[Step] = []
        while self._waiting and len(self._order) < AHEAD and len(self._contexts) < CONTEXTS and not self._over:
            clause = self._waiting[0]
            if not self._characters.take(now, len(clause.text)):
                if self._characters.free_at(now, len(clause.text)) - now > LIMIT_WAIT_S:
                    steps += self._fail("busy", "too many characters a minute")
                break
            self._waiting.popleft()
            steps += self._ask(now, clause)
        return steps

    def _ask(self, now: float, clause: Clause) -> list[Step]:
        name = f"c{next(self._numbers)}"
        self._contexts[name] = _Context(clause, now)
        self._order.append(name)
        begin: dict[str, Any] = {"text": " ", "context_id": name}
        if self._settings:
            begin["voice_settings"] = self._settings
        return [
            self._tell(now, begin),
            self._tell(now, {"text": f"{clause.text} ", "context_id": name, "flush": True}),
            self._tell(now, {"context_id": name, "close_context": True}),
        ]

    # --- from the vendor ---

    def _due(self) -> float | None:
        """When the clause that is to sound counts as stalled."""
        if not self._order:
            return None
        head = self._contexts[self._order[0]]
        return head.heard_at + (STALL_S if head.sounded else FIRST_SOUND_S)

    def _sound(self, now: float, name: str, context: _Context, body: _Message) -> list[Step]:
        if not context.wanted:
            context.heard_at = now
            return []
        try:
            mulaw = binascii.a2b_base64(body.audio or "", strict_mode=True)
        except (binascii.Error, ValueError):
            return self._fail("broken", "sound that is not base64")
        context.sounded, context.heard_at = True, now
        audio = SpokenAudio(context.clause.reply, context.clause.number, mulaw, self._timing(context, body.alignment))
        if self._order[0] == name:
            return [audio]
        context.kept.append(audio)
        return []

    def _timing(self, context: _Context, alignment: _Alignment | None) -> Timing:
        """Where words end. What does not fit together is not believed."""
        if alignment is None:
            return ()
        chars, starts, lengths = alignment.chars, alignment.char_start_times_ms, alignment.char_durations_ms
        text, before, joined = context.clause.text, context.characters, "".join(chars)
        lead = len(joined) - len(joined.lstrip()) if not before else 0
        fits = len(chars) == len(starts) == len(lengths) == len(joined)
        if not fits or not f"{text}  ".startswith(joined[lead:], max(before, 0)) or before < 0:
            context.characters = -1
            return ()
        context.characters += len(joined) - lead
        ends = [n for n in range(lead, len(chars)) if _word_ends(text, before + n - lead + 1)]
        return tuple((before + n - lead + 1, starts[n] + lengths[n]) for n in ends)

    def _final(self, now: float, name: str, context: _Context) -> list[Step]:
        context.final = True
        if not context.wanted:
            del self._contexts[name]
            return self._pump(now)
        if not context.sounded:
            return self._fail("broken", "it was done without a sound")
        return [*self._drain(now), *self._pump(now)]

    def _drain(self, now: float) -> list[Step]:
        """What has come of the clause whose turn it is; when that is whole, of the next one."""
        steps: list[Step] = []
        while self._order:
            head = self._contexts[self._order[0]]
            steps += head.kept
            head.kept.clear()
            if not head.final:
                break
            steps.append(SpokenEnd(head.clause.reply, head.clause.number))
            del self._contexts[self._order.popleft()]
            if self._order:
                self._contexts[self._order[0]].heard_at = now
        return steps

    def _fail(self, kind: str, detail: str) -> list[Step]:
        self._over = True
        return [VoiceFailed(kind, detail, NAME)]


def _word_ends(text: str, at: int) -> bool:
    return at == len(text) or (at < len(text) and text[at] == " ")
