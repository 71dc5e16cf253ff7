"""The caller's mouth: hands out 20 ms frames, silence when there is nothing to say. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from infra.simulators import mulaw
from infra.simulators.clips import Clip
from infra.simulators.report import Spoken

JUST_NOW_US = 2_000_000
QUIET_FRAME = mulaw.SILENCE * mulaw.FRAME_BYTES


@dataclass(slots=True)
class _Line:
    clip: Clip
    over: bool
    sent: int = 0
    start_us: int | None = None
    sound_us: int | None = None


class Mouth:
    """One line at a time. `spoken` is what was said so far; `audio` keeps the frames with sound for the recording."""

    def __init__(self, *, keep_audio: bool = False) -> None:
        self._keep_audio = keep_audio
        self._line: _Line | None = None
        self._last: tuple[int | None, int] = (None, 0)
        self.spoken: list[Spoken] = []
        self.audio: list[tuple[int, bytes]] = []

    @property
    def speaking(self) -> bool:
        return self._line is not None

    def sound_since_us(self, now_us: int) -> int | None:
        """When the first audible frame of the line being said, or said within the last two seconds, went out."""
        if self._line is not None:
            return self._line.sound_us
        since_us, until_us = self._last
        return since_us if now_us - until_us <= JUST_NOW_US else None

    def say(self, clip: Clip, *, over: bool) -> None:
        """Begin this line with the next frame."""
        assert self._line is None, "the caller says one line at a time"
        self._line = _Line(clip, over)

    def next_frame(self, now_us: int, *, due_us: int) -> bytes:
        """The 160 bytes that go out now. `due_us` is when they should have: a line's own times, and its place on the
        recording, are those of the schedule, however unevenly the frames were sent."""
        line = self._line
        if line is None:
            return QUIET_FRAME
        frame = line.clip.audio[line.sent : line.sent + mulaw.FRAME_BYTES].ljust(mulaw.FRAME_BYTES, mulaw.SILENCE)
        line.start_us = due_us if line.start_us is None else line.start_us
        if line.sound_us is None and mulaw.is_loud(frame):
            line.sound_us = now_us
        if self._keep_audio:
            self.audio.append((due_us, frame))
        line.sent += mulaw.FRAME_BYTES
        if line.sent >= len(line.clip.audio):
            self._finish(due_us + mulaw.FRAME_MS * 1000, complete=True)
        return frame

    def stop(self, now_us: int) -> None:
        """The line is cut short: the call or the stream is over."""
        if self._line is not None:
            self._finish(now_us, complete=False)

    def _finish(self, end_us: int, *, complete: bool) -> None:
        line, self._line = self._line, None
        if line is None or line.start_us is None:
            return
        clip = line.clip
        self._last = (line.sound_us, end_us)
        start_ms = line.start_us / 1000
        self.spoken.append(Spoken(clip.name, clip.text, start_ms, end_us / 1000, line.over, complete))
