"""What the caller's handset does with what the gateway sends: buffer, play at real-time rate, echo marks. Pure: every
call is told the time, in microseconds of the call (one mu-law byte is 125), and nothing here waits or does I/O.

As Twilio's Media Streams do it:
- audio plays in the order it came, 8,000 bytes a second, starting at once when the buffer was empty;
- a mark is echoed when all audio before it has played, or at once when nothing is buffered;
- `clear` empties the buffer and echoes every outstanding mark at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from infra.simulators.mulaw import audible_end

US_PER_BYTE = 125

Outcome = Literal["played", "idle", "cleared", "dropped"]
"""`played`: its audio was heard. `idle`: nothing was buffered. `cleared`: echoed because of a clear. `dropped`: never
echoed (the call ended first, or the peer does not echo on clear)."""


@dataclass(frozen=True, slots=True)
class Span:
    """Audio that was played without a pause. `first_byte` up to but not including `end_byte` count the audio bytes
    of the stream in the order they were sent; `mark` is the mark that follows this audio, None if none had come yet;
    `cut` means that a clear (or the end) dropped audio that belonged to the same mark."""

    start_us: int
    end_us: int
    first_byte: int
    end_byte: int
    mark: str | None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of a mark, and when. `settled_us` is when it was due, to the byte."""

    name: str
    received_us: int
    settled_us: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a clear did. `dropped_bytes` were sent and will never be heard."""

    at_us: int
    dropped_bytes: int
    marks: tuple[Mark, ...]


class Playout:
    """One stream's buffer. `keep_audio` retains what was played for a recording. `echo_cleared=False` is a peer that
    does not send marks back on `clear`."""

    def __init__(self, *, echo_cleared: bool = True, keep_audio: bool = False) -> None:
        self._echo_cleared = echo_cleared
        self._keep_audio = keep_audio
        self._queue: deque[bytes | tuple[str, int]] = deque()
        self._cursor_us = 0  # when the first byte of the queue starts to play
        self._span: tuple[int, int] | None = None  # (start_us, first_byte) of the span being played
        self.buffered_bytes = 0
        self.sent_bytes = 0
        self.played_bytes = 0
        self.last_sound_us: int | None = None
        self.spans: list[Span] = []
        self.marks: list[Mark] = []
        self.audio: list[tuple[int, bytes]] = []

    def feed(self, now_us: int, mulaw: bytes) -> tuple[Mark, ...]:
        """Audio has arrived. Returns the marks that came due before it."""
        due = self.advance(now_us)
        if not self.buffered_bytes:
            self._cursor_us = now_us
        self._queue.append(mulaw)
        self.buffered_bytes += len(mulaw)
        self.sent_bytes += len(mulaw)
        return due

    def mark(self, now_us: int, name: str) -> tuple[Mark, ...]:
        """A mark has arrived. Returns the marks that are due by now, perhaps this one."""
        due = self.advance(now_us)
        if self.buffered_bytes:
            self._queue.append((name, now_us))
            return due
        idle = Mark(name, now_us, now_us, "idle")
        self.marks.append(idle)
        return (*due, idle)

    def clear(self, now_us: int) -> tuple[tuple[Mark, ...], Cleared]:
        """A clear has arrived. Returns the marks that had come due before it, and what it did."""
        due = self.advance(now_us)
        return due, self._drop(now_us, "cleared" if self._echo_cleared else "dropped")

    def finish(self, now_us: int) -> tuple[tuple[Mark, ...], Cleared]:
        """The stream is over: what is still buffered is not heard, and outstanding marks never come back."""
        due = self.advance(now_us)
        return due, self._drop(now_us, "dropped")

    def advance(self, now_us: int) -> tuple[Mark, ...]:
        """Play up to now. Returns the marks that have come due, in order."""
        due: list[Mark] = []
        while self._queue:
            head = self._queue[0]
            if isinstance(head, tuple):
                self._queue.popleft()
                due.append(self._settle(head))
                continue
            playable = (now_us - self._cursor_us) // US_PER_BYTE
            if playable <= 0:
                break
            self._play(head[:playable])
            if playable < len(head):
                self._queue[0] = head[playable:]
                break
            self._queue.popleft()
        if not self.buffered_bytes:
            self._end_span(None)
        self.marks.extend(due)
        return tuple(due)

    def next_mark_us(self) -> int | None:
        """When the next mark comes due if nothing else happens; None if there is none."""
        ahead = 0
        for item in self._queue:
            if isinstance(item, tuple):
                return self._cursor_us + ahead * US_PER_BYTE
            ahead += len(item)
        return None

    def _play(self, audio: bytes) -> None:
        if self._span is None:
            self._span = (self._cursor_us, self.position)
        sound = audible_end(audio)
        if sound:
            self.last_sound_us = self._cursor_us + sound * US_PER_BYTE
        if self._keep_audio:
            self.audio.append((self._cursor_us, audio))
        self._cursor_us += len(audio) * US_PER_BYTE
        self.buffered_bytes -= len(audio)
        self.played_bytes += len(audio)

    @property
    def position(self) -> int:
        """The position in what was sent: bytes played plus bytes dropped."""
        return self.sent_bytes - self.buffered_bytes

    def _settle(self, item: tuple[str, int]) -> Mark:
        name, received_us = item
        self._end_span(name)
        return Mark(name, received_us, max(received_us, self._cursor_us), "played")

    def _end_span(self, mark: str | None, *, cut: bool = False) -> None:
        if self._span is None:
            return
        start_us, first_byte = self._span
        self._span = None
        self.spans.append(Span(start_us, self._cursor_us, first_byte, self.position, mark, cut))

    def _drop(self, now_us: int, outcome: Literal["cleared", "dropped"]) -> Cleared:
        outstanding = [item for item in self._queue if isinstance(item, tuple)]
        cut = isinstance(next(iter(self._queue), None), bytes)
        self._end_span(outstanding[0][0] if outstanding else None, cut=cut)
        marks = tuple(Mark(name, received_us, now_us, outcome) for name, received_us in outstanding)
        dropped = self.buffered_bytes
        self._queue.clear()
        self.buffered_bytes = 0
        self.marks.extend(marks)
        return Cleared(now_us, dropped, marks)
