"""The playout ledger: what was sent to the caller and how much of it they heard.

Pure: no clock and no I/O. Times are ms on any monotonic clock, audio is mu-law 8 kHz (8 bytes a ms). Methods that send
return what to send, in order.

Twilio plays from a buffer of its own and echoes a *mark* when all that was queued before it has been played; on `clear`
it drops the buffer and echoes every outstanding mark at once. So a mark proves hearing only while no `clear` came
between: its name carries the *generation*, which `hold` moves on, and echoes of an older generation mean "dropped".

Where the caller is in what was sent is `playhead`'s; which words that is, `sounding`'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from media_gateway.voice.clearing import Clearing
from media_gateway.voice.playhead import Playhead
from media_gateway.voice.ports import BYTES_PER_MS, Timing
from media_gateway.voice.sounding import Pace, Sounding
from media_gateway.voice.spoken_form import Spoken

MARK_EVERY_MS = 320
"""Finer marks cost messages (one a frame was reported to delay audio), coarser ones lose precision."""


class Media(msgspec.Struct, frozen=True, gc=False):
    """Send this sound."""

    mulaw: bytes


class Mark(msgspec.Struct, frozen=True, gc=False):
    """Send a mark of this name."""

    name: str


class Clear(msgspec.Struct, frozen=True, gc=False):
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
class _Span:
    start_ms: float
    length_ms: float
    clause: Sounding
    offset_ms: float


class Playout:
    """One call's ledger. `pace` is that of the voice, which other calls have taught too."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.generation = 0
        self.held = False
        self.marks_sent = 0
        self._head = Playhead()
        self.pace = pace or Pace()
        self._clauses: dict[tuple[int, int], Sounding] = {}
        self._spans: deque[_Span] = deque()
        self._clearing: Clearing | None = None
        self._cleared: tuple[_Span, ...] = ()
        self._marked_ms = 0.0
        self._sounded = 0

    @property
    def marks_heard(self) -> int:
        """Number of the last mark whose echo proved that it was heard; the numbers go on over generations."""
        return self._head.heard_mark

    @property
    def sent_ms(self) -> float:
        """Sound sent in this generation."""
        return self._head.queued_ms

    # --- sending ---

    def begin(self, reply: int, clause: int, said: Spoken) -> None:
        """Clause `clause` of reply `reply` will sound."""
        self._clauses[reply, clause] = Sounding(reply, clause, said, self.pace)

    def join(self, reply: int, first: int, last: int) -> None:
        """Clauses `first` to `last` sound as one stretch, that of the first."""
        into = self._clauses.get((reply, first))
        for clause in range(first + 1, last + 1):
            other = self._clauses.get((reply, clause))
            if into is not None and other is not None and not other.audio:
                into.join(other)
                del self._clauses[reply, clause]

    def audio(self, now: float, reply: int, clause: int, mulaw: bytes, timing: Timing = ()) -> list[Send]:
        """Sound of a clause arrived. While held it is only kept."""
        entry = self._clauses.get((reply, clause))
        if entry is None or not mulaw:
            return []
        offset = len(entry.audio)
        if not offset:
            self._sounded += 1
            entry.place = self._sounded
        entry.add(mulaw, timing)
        return [] if self.held else self._send(now, entry, offset)

    def end(self, reply: int, clause: int) -> list[Send]:
        """A clause is complete: its last sound gets a mark of its own."""
        entry = self._clauses.get((reply, clause))
        if entry is None:
            return []
        entry.end()
        return [] if self.held else self._mark_if_due(0.0)

    def sounded(self, reply: int, clause: int) -> bool:
        """Has any sound of this clause arrived?"""
        entry = self._clauses.get((reply, clause))
        return entry is not None and bool(entry.audio)

    def again(self, reply: int, clause: int) -> str:
        """The voice broke off in this clause: what of it (as it is spoken) is still to be said; its sound goes on
        behind what there is. Empty when all of it has sounded."""
        entry = self._clauses.get((reply, clause))
        rest = entry.rest() if entry else ""
        if entry and rest:
            entry.again()
        return rest

    def _send(self, now: float, entry: Sounding, offset: int) -> list[Send]:
        """Send the sound of a clause from byte `offset` on, in pieces between which a mark can stand."""
        sends: list[Send] = []
        piece = MARK_EVERY_MS * BYTES_PER_MS
        for at in range(offset, len(entry.audio), piece):
            chunk = bytes(entry.audio[at : at + piece])
            length = len(chunk) / BYTES_PER_MS
            self._spans.append(_Span(self._head.queued_ms, length, entry, at / BYTES_PER_MS))
            self._head.queue(now, length)
            sends.append(Media(chunk))
            sends += self._mark_if_due(MARK_EVERY_MS)
        return sends

    def _mark_if_due(self, every_ms: float) -> list[Send]:
        unmarked = self._head.queued_ms - self._marked_ms
        if unmarked <= 0 or unmarked < every_ms:
            return []
        self.marks_sent += 1
        name = f"{self.generation}.{self.marks_sent}"
        self._head.mark(name, self.marks_sent)
        self._marked_ms = self._head.queued_ms
        return [Mark(name)]

    # --- hearing ---

    def echoed(self, now: float, name: str) -> None:
        """A mark came back. Echoes of an older generation, unknown and repeated ones change nothing."""
        if self._head.echoed(now, name):
            self._settle(now)
        elif self._clearing and (
            self._clearing.arrived(now) if name == self._probe else self._clearing.echoed(now, name)
        ):
            self._put_right(self._clearing.position)

    @property
    def _probe(self) -> str:
        """The mark right behind the last `clear`."""
        return f"{self.generation}.0"

    def _settle(self, now: float) -> None:
        """Book the position into the clauses, and let go of spans that are wholly in the past."""
        position = self._head.position(now)
        self._book(self._spans, position, max(self._head.acked_ms, position - self._head.doubt_ms))
        while self._spans and self._spans[0].start_ms + self._spans[0].length_ms <= self._head.acked_ms:
            self._spans.popleft()

    @staticmethod
    def _book(spans: Iterable[_Span], position: float, safe: float) -> None:
        for span in spans:
            if span.start_ms >= position:
                break
            clause = span.clause
            clause.heard_ms = max(clause.heard_ms, span.offset_ms + min(span.length_ms, position - span.start_ms))
            if span.start_ms < safe:
                clause.safe_ms = max(clause.safe_ms, span.offset_ms + min(span.length_ms, safe - span.start_ms))

    def _put_right(self, position: float) -> None:
        """It is known now where the last `clear` caught the caller: it may be less than was believed."""
        for span in self._cleared:
            span.clause.heard_ms = max(span.clause.kept_ms, min(span.clause.heard_ms, span.offset_ms))
        self._book(self._cleared, position, 0.0)
        for span in self._cleared:
            span.clause.safe_ms = min(span.clause.safe_ms, span.clause.heard_ms)

    def heard(self, now: float, reply: int) -> Heard:
        """How much of `reply` the caller has heard by now."""
        if not self.held:
            self._settle(now)
        elif self._clearing:
            self._put_right(self._clearing.so_far(now))
        entries = self._of(reply)
        texts = [text for entry in entries if (text := entry.heard_text())]
        ms = sum(entry.heard_ms for entry in entries)
        return Heard(" ".join(texts), " ".join(entry.text for entry in entries), round(ms))

    def remaining_ms(self, now: float) -> float:
        """Sound sent and not yet played; 0 when the caller hears nothing of us."""
        return max(0.0, self._head.queued_ms - self._head.position(now))

    def drained(self, now: float) -> bool:
        """All that was sent has been played, and nothing is held back. The clock alone does not say so: our ms run
        ahead of the caller's by the way to their ear, and who hangs up on the clock cuts the last word."""
        played = self._head.position(now) >= self._head.queued_ms
        return not self.held and played and not self._head.marks

    def _of(self, reply: int) -> list[Sounding]:
        """As they are heard: a line that bridges a silence was asked for later than what it is heard before."""
        return [entry for entry in self._in_order() if entry.reply == reply]

    def _in_order(self) -> list[Sounding]:
        return sorted(self._clauses.values(), key=lambda entry: (entry.reply, entry.place, entry.number))

    # --- interruption ---

    def hold(self, now: float) -> list[Send]:
        """Fall silent but forget nothing: a new generation begins, what was not heard is kept."""
        if self.held:
            return []
        self._settle(now)
        self.held = True
        self.generation += 1
        self._cleared = tuple(self._spans)
        self._spans.clear()
        self._marked_ms = 0.0
        self._clearing = self._head.renew(now)
        return [Clear(), Mark(self._probe)]

    def resume(self, now: float) -> list[Send]:
        """Go on from the last heard word, with all that arrived while holding."""
        if not self.held:
            return []
        self.held = False
        self._clearing, self._cleared = None, ()
        sends: list[Send] = []
        for entry in self._in_order():
            entry.kept_ms = entry.heard_ms
            offset = entry.resume_byte()
            if offset < len(entry.audio):
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
        self._cleared = tuple(span for span in self._cleared if span.clause.reply != reply)
