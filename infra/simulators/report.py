"""What happened on a simulated call, as plain frozen data. All times are milliseconds since the incoming webhook was
sent, measured by the phone; `stream` counts the call's media streams from 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from infra.simulators.playout import Outcome
from infra.simulators.recorder import ProtocolViolations, Violation

EndedBy = Literal["caller", "cut", "gateway", "dial", "rejected", "deadline", "step_timeout", "failed"]
"""caller: hung up. cut: the socket was dropped. gateway: `<Hangup/>`, or the TwiML ended. dial: the caller talked to
somebody that the TwiML rang, and hung up. rejected: never answered. deadline, step_timeout: the scenario's patience
ended. failed: a webhook or its TwiML was unusable (see `violations`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    at_ms: float
    what: str
    detail: Mapping[str, Any]


Observer = Callable[[Entry], None]
"""Told of every timeline entry as it happens, on the event loop; must return at once."""


@dataclass(frozen=True, slots=True)
class TwimlSeen:
    """A document that a webhook answered with."""

    at_ms: float
    url: str
    status: int
    body: str
    took_ms: float


@dataclass(frozen=True, slots=True)
class HeardSpan:
    """Audio that the caller heard without a pause. `first_byte`..`end_byte` (exclusive) count the audio bytes that
    the gateway sent on that stream, in order; `mark` is the mark behind this audio; `cut`: the rest was dropped."""

    stream: int
    start_ms: float
    end_ms: float
    first_byte: int
    end_byte: int
    mark: str | None
    cut: bool


@dataclass(frozen=True, slots=True)
class MarkSeen:
    """A mark: when it came, when its audio had truly played (or was dropped), when it was echoed (None: never)."""

    stream: int
    name: str
    received_ms: float
    settled_ms: float
    echoed_ms: float | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ClearSeen:
    """A clear. `after_speech_ms` is how long after the caller's first audible frame it came (the barge-in latency), of
    the line being said or said within the last two seconds; None when the caller was silent."""

    stream: int
    at_ms: float
    dropped_ms: float
    marks: tuple[str, ...]
    after_speech_ms: float | None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line the caller said (whole only if `complete`). `over` is whether it was meant to talk over the assistant."""

    clip: str
    text: str
    start_ms: float
    end_ms: float
    over: bool
    complete: bool


@dataclass(frozen=True, slots=True)
class StreamSeen:
    """One media stream. `first_media_ms` is how long after `start` the first audio came. `late_ms` is the worst
    lateness of the phone's own 20 ms schedule: a figure above some 10 ms says that this machine was too busy."""

    stream_sid: str
    url: str
    started_ms: float
    ended_ms: float
    close_code: int | None
    close_reason: str
    first_media_ms: float | None
    frames_sent: Mapping[str, int]
    frames_received: Mapping[str, int]
    sent_audio_ms: float
    heard_audio_ms: float
    late_ms: float


@dataclass(frozen=True, slots=True)
class DialSeen:
    """The TwiML rang somebody."""

    at_ms: float
    number: str
    status: str


@dataclass(frozen=True, slots=True)
class LegSeen:
    """The other telephone of a `<Dial>`. `heard` is what Twilio's voice said to it alone; `hold_ms` how long the caller
    heard it ring, `joined_ms` how long the two then talked; `wav` what both sides of this leg sounded like."""

    call_sid: str
    number: str
    rang_ms: float
    status: str
    answered: bool
    bridged: bool
    heard: tuple[str, ...]
    pressed: str
    hold_ms: float
    joined_ms: float
    twiml: tuple[TwimlSeen, ...]
    wav: str | None


@dataclass(frozen=True, slots=True)
class CallReport:
    """The whole call."""

    call_sid: str
    account_sid: str
    caller: str
    called: str
    scenario: str
    ended_by: EndedBy
    problem: str | None
    status: str
    duration_ms: float
    steps_done: int
    steps_total: int
    twiml: tuple[TwimlSeen, ...]
    streams: tuple[StreamSeen, ...]
    marks: tuple[MarkSeen, ...]
    clears: tuple[ClearSeen, ...]
    heard: tuple[HeardSpan, ...]
    spoken: tuple[Spoken, ...]
    dials: tuple[DialSeen, ...]
    violations: tuple[Violation, ...]
    timeline: tuple[Entry, ...]
    wav: str | None
    legs: tuple[LegSeen, ...] = ()
    announced: tuple[str, ...] = ()
    """What Twilio's own voice said to the caller."""

    @property
    def first_media_ms(self) -> float | None:
        """How long after the first `start` the assistant was first heard from."""
        return self.streams[0].first_media_ms if self.streams else None

    @property
    def frames_sent(self) -> dict[str, int]:
        return _sum([stream.frames_sent for stream in self.streams])

    @property
    def frames_received(self) -> dict[str, int]:
        return _sum([stream.frames_received for stream in self.streams])

    def responses_ms(self) -> list[float | None]:
        """For each line of the caller that waited for its turn: from its end to the next thing heard; None: nothing."""
        starts = sorted(span.start_ms for span in self.heard)
        ends = [line.end_ms for line in self.spoken if line.complete and not line.over]
        return [next((start - end for start in starts if start >= end), None) for end in ends]

    def longest_silence_ms(self) -> float:
        """The longest time in which neither of the two spoke, from the first `start` to the last thing heard."""
        sounds = [(span.start_ms, span.end_ms) for span in self.heard]
        until = max((end for _, end in sounds), default=0.0)
        sounds += [(line.start_ms, line.end_ms) for line in self.spoken if line.start_ms < until]
        quiet_since, longest = self.streams[0].started_ms if self.streams else 0.0, 0.0
        for start, end in sorted(sounds):
            longest, quiet_since = max(longest, start - quiet_since), max(quiet_since, end)
        return longest

    def raise_for_violations(self) -> None:
        """Raises ProtocolViolations listing them all, if there are any."""
        if self.violations:
            raise ProtocolViolations(self.violations)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, the derived figures with them."""
        derived = {
            "first_media_ms": self.first_media_ms,
            "frames_sent": self.frames_sent,
            "frames_received": self.frames_received,
            "responses_ms": self.responses_ms(),
            "longest_silence_ms": self.longest_silence_ms(),
        }
        return asdict(self) | derived


def _sum(counts: list[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            total[name] = total.get(name, 0) + count
    return total
