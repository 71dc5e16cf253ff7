"""Deepgram `speak` v1 (Aura): from clauses to its messages and back. Pure.

The vendor speaks what it was given when it gets a Flush, says Flushed when that has all been sent, and takes 20 of them
a minute. So a reply is flushed at its first clause, to be quick, and at its end; in between only when the sound in hand
runs out. Clauses that share a flush are one stretch of sound (`SpokenTogether`): nothing says where one ends in it.
After a Clear everything up to its Cleared belongs to what was given up.
"""

from __future__ import annotations

import json
import textwrap
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from media_gateway.providers.speech_budget import Budget
from media_gateway.providers.speech_steps import FIRST_SOUND_S, LIMIT_WAIT_S, STALL_S, Clause, Step
from media_gateway.voice.ports import BYTES_PER_MS, SpokenAudio, SpokenEnd, SpokenTogether, VoiceFailed, VoiceTrouble

NAME = "deepgram"
FLUSHES, CHARACTERS, WINDOW_S = 20, 2_400, 60.0
LONGEST = 2_000
"""Characters of one message."""
HUNGRY_S = 0.7
"""With less sound in hand than this, what waits is flushed although more of it may come."""
RESERVE = 6
"""Flushes that are kept for beginnings and ends of replies."""
RETRY_S = 0.02
"""What a limit holds back is looked at again after this at the earliest."""
CLEAR_S = 1.0
"""For the vendor to say that it has given up what was to be given up."""
_FLUSH, _CLEAR, _CLOSE = (json.dumps({"type": kind}) for kind in ("Flush", "Clear", "Close"))


@dataclass(slots=True)
class _Group:
    """Clauses between two flushes."""

    reply: int
    first: int
    clauses: list[Clause] = field(default_factory=list)
    flushed_at: float | None = None
    heard_at: float = 0.0
    sounded: bool = False


class DeepgramSpeech:
    """`speech_steps.Machine`."""

    name = NAME
    goodbye = _CLOSE

    def __init__(self) -> None:
        self._flushes = Budget(FLUSHES, WINDOW_S)
        self._characters = Budget(CHARACTERS, WINDOW_S)
        self._waiting: deque[Clause] = deque()
        self._groups: deque[_Group] = deque()
        self._begun: int | None = None
        self._done: int | None = None
        self._clearing: deque[float] = deque()
        self._sound_until = 0.0
        self._over = False

    def say(self, now: float, reply: int, clause: int, text: str) -> Sequence[Step]:
        """Speak this behind what was said before."""
        self._waiting.append(Clause(reply, clause, text))
        return self._pump(now)

    def done(self, now: float, reply: int) -> Sequence[Step]:
        """No more clauses of this reply come."""
        self._done = reply
        return self._pump(now)

    def cancel(self, now: float, reply: int) -> Sequence[Step]:
        """Nothing of this reply is wanted any more. A Clear takes everything, so what was not meant is said again."""
        self._waiting = deque(clause for clause in self._waiting if clause.reply != reply)
        if self._over or not any(group.reply == reply for group in self._groups):
            return []
        kept = [clause for group in self._groups for clause in group.clauses if clause.reply != reply]
        self._waiting.extendleft(reversed(kept))
        self._groups.clear()
        self._begun = None
        self._sound_until = now
        self._clearing.append(now)
        return [_CLEAR, *self._pump(now)]

    def received(self, now: float, message: str | bytes) -> Sequence[Step]:
        """The vendor said this."""
        if self._over:
            return []
        if isinstance(message, bytes):
            return self._sound(now, message)
        return self._news(now, message)

    def _news(self, now: float, message: str) -> Sequence[Step]:
        try:
            body = json.loads(message)
        except ValueError:
            return self._fail("broken", "not a message of its protocol")
        kind = body.get("type") if isinstance(body, dict) else None
        match kind:
            case "Flushed":
                return self._flushed(now)
            case "Cleared":
                if self._clearing:
                    self._clearing.popleft()
                    self._restart(now)
                return self._pump(now)
            case "Warning":
                return [VoiceTrouble(NAME, "busy", str(body.get("code", "warning")))]
            case "Error":
                return self._fail("broken", str(body.get("code", "error")))
            case _:
                return []

    def tick(self, now: float) -> Sequence[Step]:
        """`wakes_at` has come."""
        due = self._due()
        if due is not None and now >= due:
            return self._fail("timeout", "it does not stop" if self._clearing else "no sound, and no end of it")
        return self._pump(now)

    def wakes_at(self, now: float) -> float | None:
        """When it counts as stalled, the sound in hand runs out, or a limit frees itself."""
        if self._over:
            return None
        times = [due for due in (self._due(), self._hungry_at(now)) if due is not None]
        open_group = self._open()
        if open_group and (self._waiting or self._wants_flush(now, open_group)):
            times.append(self._flushes.free_at(now))
        if self._waiting:
            times.append(self._characters.free_at(now, len(self._waiting[0].text) + 1))
        times = [max(at, now + RETRY_S) for at in times]
        return min(times, default=None)

    # --- towards the vendor ---

    def _open(self) -> _Group | None:
        """The group that can still grow."""
        return self._groups[-1] if self._groups and self._groups[-1].flushed_at is None else None

    def _pump(self, now: float) -> list[Step]:
        steps: list[Step] = []
        while self._waiting and not self._over:
            clause, group = self._waiting[0], self._open()
            if group and group.reply != clause.reply and not self._flush(now, group, steps):
                return steps
            if not self._characters.take(now, len(clause.text) + 1):
                if self._characters.free_at(now, len(clause.text) + 1) - now > LIMIT_WAIT_S:
                    steps += self._fail("busy", "too many characters a minute for one connection")
                return steps
            self._waiting.popleft()
            steps += self._speak(clause)
            self._flush_if_due(now, steps)
        if not self._over:
            self._flush_if_due(now, steps)
        return steps

    def _speak(self, clause: Clause) -> list[Step]:
        group = self._open()
        steps: list[Step] = []
        if group:
            group.clauses.append(clause)
            steps.append(SpokenTogether(clause.reply, group.first, clause.number))
        else:
            self._groups.append(_Group(clause.reply, clause.number, [clause]))
        parts = [clause.text] if len(clause.text) < LONGEST else textwrap.wrap(clause.text, LONGEST - 1)
        return [*steps, *(json.dumps({"type": "Speak", "text": f"{part} "}) for part in parts)]

    def _flush_if_due(self, now: float, steps: list[Step]) -> None:
        group = self._open()
        if group and self._wants_flush(now, group):
            self._flush(now, group, steps)

    def _wants_flush(self, now: float, group: _Group) -> bool:
        if group.reply != self._begun or group.reply == self._done:
            return True
        hungry = self._hungry_at(now)
        return hungry is not None and now >= hungry

    def _hungry_at(self, now: float) -> float | None:
        """When the sound in hand runs out while text waits for a flush."""
        alone = len(self._groups) == 1 and self._groups[0].flushed_at is None
        if not alone or self._flushes.left(now) <= RESERVE:
            return None
        return self._sound_until - HUNGRY_S

    def _flush(self, now: float, group: _Group, steps: list[Step]) -> bool:
        if not self._flushes.take(now):
            if self._flushes.free_at(now) - now > LIMIT_WAIT_S:
                steps += self._fail("busy", "too many flushes a minute for one connection")
            return False
        group.flushed_at = group.heard_at = now
        self._begun = group.reply
        steps.append(_FLUSH)
        return True

    # --- from the vendor ---

    def _due(self) -> float | None:
        """When it counts as stalled."""
        if self._clearing:
            return self._clearing[0] + CLEAR_S
        if not self._groups or self._groups[0].flushed_at is None:
            return None
        head = self._groups[0]
        return head.heard_at + (STALL_S if head.sounded else FIRST_SOUND_S)

    def _restart(self, now: float) -> None:
        """From now on the vendor owes the sound of what comes next."""
        if self._groups:
            self._groups[0].heard_at = now

    def _sound(self, now: float, mulaw: bytes) -> list[Step]:
        if self._clearing or not self._groups or not mulaw:
            return []
        group = self._groups[0]
        group.sounded, group.heard_at = True, now
        self._sound_until = max(now, self._sound_until) + len(mulaw) / BYTES_PER_MS / 1000
        return [SpokenAudio(group.reply, group.first, mulaw)]

    def _flushed(self, now: float) -> list[Step]:
        if self._clearing or not self._groups or self._groups[0].flushed_at is None:
            return []
        group = self._groups.popleft()
        if not group.sounded:
            return self._fail("broken", "it was done without a sound")
        self._restart(now)
        return [SpokenEnd(group.reply, group.first), *self._pump(now)]

    def _fail(self, kind: str, detail: str) -> list[Step]:
        self._over = True
        return [VoiceFailed(kind, detail, NAME)]
