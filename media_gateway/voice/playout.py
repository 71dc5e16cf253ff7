"""The playout ledger: what was sent to the caller and how much of it they heard.

Pure: no clock and no I/O. Times are ms on any monotonic clock, audio is mu-law 8 kHz (8 bytes a ms). Methods that send
return what to send, in order.

Twilio plays from a buffer of its own and echoes a *mark* when all that was queued before it has been played; on `clear`
it drops the buffer and echoes every outstanding mark at once. So a mark proves hearing only while no `clear` came
between: its name carries the *generation*, which `hold` moves on, and echoes of an older generation mean "dropped".

Position within the current generation = what is acknowledged + the time since, never past the next mark that is not yet
echoed (had that much been played, its echo would be here) and never past what was sent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from media_gateway.voice.ports import BYTES_PER_MS

MARK_EVERY_MS = 320
"""Finer marks cost messages (one a frame was reported to delay audio), coarser ones lose precision."""
ECHO_GRACE_MS = 1_500
"""A peer whose echo is later than this is taken to have lost it: nothing may hang on an echo."""
MS_PER_CHARACTER = 65.0
"""How long a character sounds, where the end of the clause is not known yet."""


@dataclass(frozen=True, slots=True)
class Media:
    """Send this sound."""

    mulaw: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """Send a mark of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Make the peer drop what it has not played."""


Send = Media | Mark | Clear


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of a reply was heard: `text` up to a word boundary, `full_text` as far as it was said, `ms` of sound."""

    text: str
    full_text: str
    ms: int

    @property
    def whole(self) -> bool:
        """Nothing was cut off."""
        return self.text == self.full_text


@dataclass(slots=True)
class _Clause:
    reply: int
    number: int
    text: str
    audio: bytearray = field(default_factory=bytearray)
    done: bool = False
    heard_ms: float = 0.0

    @property
    def total_ms(self) -> float:
        known = len(self.audio) / BYTES_PER_MS
        return known if self.done else max(known, len(self.text) * MS_PER_CHARACTER)

    def heard_characters(self) -> int:
        """Characters heard, cut back to the end of a whole word. A clause that never sounded was never heard."""
        total = self.total_ms
        if not self.audio or not self.heard_ms:
            return 0
        if self.done and self.heard_ms >= total - 1:
            return len(self.text)
        reached = min(len(self.text), int(len(self.text) * self.heard_ms / total))
        if reached == len(self.text) or self.text[reached] == " ":
            return reached
        return self.text.rfind(" ", 0, reached) + 1

    def resume_byte(self) -> int:
        """Where to go on from after a hold: the start of the word that was being heard."""
        if not self.text:
            return int(self.heard_ms) * BYTES_PER_MS
        share = self.heard_characters() / len(self.text)
        return min(len(self.audio), int(self.total_ms * share) * BYTES_PER_MS)


@dataclass(slots=True)
class _Span:
    start_ms: float
    length_ms: float
    clause: _Clause
    offset_ms: float


class Playout:
    """One call's ledger."""

    def __init__(self) -> None:
        self.generation = 0
        self.held = False
        self.marks_sent = 0
        self.marks_heard = 0
        """Number of the last mark whose echo proved that it was heard; the numbers go on over generations."""
        self._clauses: dict[tuple[int, int], _Clause] = {}
        self._spans: deque[_Span] = deque()
        self._marks: deque[tuple[str, int, float]] = deque()
        self._queued_ms = 0.0
        self._marked_ms = 0.0
        self._acked_ms = 0.0
        self._base_ms = 0.0
        self._base_at = 0.0

    # --- sending ---

    def begin(self, reply: int, clause: int, text: str) -> None:
        """Clause `clause` of reply `reply` will sound; `text` is what it says."""
        self._clauses[reply, clause] = _Clause(reply, clause, text)

    def audio(self, now: float, reply: int, clause: int, mulaw: bytes) -> list[Send]:
        """Sound of a clause arrived. While held it is only kept."""
        entry = self._clauses.get((reply, clause))
        if entry is None or not mulaw:
            return []
        offset = len(entry.audio)
        entry.audio += mulaw
        return [] if self.held else self._send(now, entry, offset)

    def end(self, now: float, reply: int, clause: int) -> list[Send]:
        """A clause is complete: its last sound gets a mark of its own."""
        entry = self._clauses.get((reply, clause))
        if entry is None:
            return []
        entry.done = True
        return [] if self.held else self._mark_if_due(0.0)

    def sounded(self, reply: int, clause: int) -> bool:
        """Has any sound of this clause arrived?"""
        entry = self._clauses.get((reply, clause))
        return entry is not None and bool(entry.audio)

    def _send(self, now: float, entry: _Clause, offset: int) -> list[Send]:
        """Send the sound of a clause from byte `offset` on, in pieces between which a mark can stand."""
        sends: list[Send] = []
        piece = MARK_EVERY_MS * BYTES_PER_MS
        if self._position(now) >= self._queued_ms:
            self._base_ms, self._base_at = self._queued_ms, now
        for at in range(offset, len(entry.audio), piece):
            chunk = bytes(entry.audio[at : at + piece])
            length = len(chunk) / BYTES_PER_MS
            self._spans.append(_Span(self._queued_ms, length, entry, at / BYTES_PER_MS))
            self._queued_ms += length
            sends.append(Media(chunk))
            sends += self._mark_if_due(MARK_EVERY_MS)
        return sends

    def _mark_if_due(self, every_ms: float) -> list[Send]:
        unmarked = self._queued_ms - self._marked_ms
        if unmarked <= 0 or unmarked < every_ms:
            return []
        self.marks_sent += 1
        name = f"{self.generation}.{self.marks_sent}"
        self._marks.append((name, self.marks_sent, self._queued_ms))
        self._marked_ms = self._queued_ms
        return [Mark(name)]

    # --- hearing ---

    def echoed(self, now: float, name: str) -> None:
        """A mark came back. Echoes of an older generation, unknown and repeated ones change nothing."""
        if not any(name == mark for mark, _, _ in self._marks):
            return
        while self._marks:
            mark, self.marks_heard, self._acked_ms = self._marks.popleft()
            if mark == name:
                break
        self._base_ms, self._base_at = self._acked_ms, now
        self._settle(now)

    def _position(self, now: float) -> float:
        """Ms of the current generation that have been played."""
        elapsed = self._base_ms + max(0.0, now - self._base_at)
        while self._marks and elapsed - self._marks[0][2] > ECHO_GRACE_MS:
            self._acked_ms = self._marks.popleft()[2]
        limit = self._marks[0][2] if self._marks else self._queued_ms
        return max(self._acked_ms, min(elapsed, limit))

    def _settle(self, now: float) -> None:
        """Book the position into the clauses, and let go of spans that are wholly in the past."""
        position = self._position(now)
        for span in self._spans:
            if span.start_ms >= position:
                break
            played = min(span.length_ms, position - span.start_ms)
            span.clause.heard_ms = max(span.clause.heard_ms, span.offset_ms + played)
        while self._spans and self._spans[0].start_ms + self._spans[0].length_ms <= self._acked_ms:
            self._spans.popleft()

    def heard(self, now: float, reply: int) -> Heard:
        """How much of `reply` the caller has heard by now."""
        if not self.held:
            self._settle(now)
        parts: list[str] = []
        full: list[str] = []
        ms = 0.0
        for entry in self._of(reply):
            full.append(entry.text)
            ms += entry.heard_ms
            cut = entry.heard_characters()
            if cut:
                parts.append(entry.text[:cut].rstrip())
        return Heard(" ".join(parts), " ".join(full), round(ms))

    def remaining_ms(self, now: float) -> float:
        """Sound sent and not yet played; 0 when the caller hears nothing of us."""
        return max(0.0, self._queued_ms - self._position(now))

    def drained(self, now: float) -> bool:
        """All that was sent has been played, and nothing is held back. The clock alone does not say so: our ms run
        ahead of the caller's by the way to their ear, and who hangs up on the clock cuts the last word."""
        played = self._position(now) >= self._queued_ms
        return not self.held and played and not self._marks

    def _of(self, reply: int) -> list[_Clause]:
        return [entry for (of, _), entry in sorted(self._clauses.items()) if of == reply]

    # --- interruption ---

    def hold(self, now: float) -> list[Send]:
        """Fall silent but forget nothing: a new generation begins, what was not heard is kept."""
        if self.held:
            return []
        self._settle(now)
        self.held = True
        return self._renew(now)

    def resume(self, now: float) -> list[Send]:
        """Go on from the last heard word, with all that arrived while holding."""
        if not self.held:
            return []
        self.held = False
        sends: list[Send] = []
        for key in sorted(self._clauses):
            entry = self._clauses[key]
            offset = entry.resume_byte()
            if offset < len(entry.audio) and not (entry.done and entry.heard_ms >= entry.total_ms - 1):
                sends += self._send(now, entry, offset)
                if entry.done:
                    sends += self._mark_if_due(0.0)
        return sends

    def cut(self, now: float) -> list[Send]:
        """Give up all that was not heard. `heard` still answers until `forget`; bring no later sound of that reply."""
        sends = self.hold(now)
        self.held = False
        return sends

    def forget(self, reply: int) -> None:
        """The reply is over: let go of its sound and text."""
        for key in [key for key in self._clauses if key[0] == reply]:
            del self._clauses[key]
        self._spans = deque(span for span in self._spans if span.clause.reply != reply)

    def _renew(self, now: float) -> list[Send]:
        self.generation += 1
        self._spans.clear()
        self._marks.clear()
        self._queued_ms = self._marked_ms = self._acked_ms = self._base_ms = 0.0
        self._base_at = now
        return [Clear()]
