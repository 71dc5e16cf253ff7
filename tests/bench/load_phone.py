"""A caller for load: 20 ms frames on an absolute schedule, a turn every three seconds, every second answer interrupted.
Plays what comes as Twilio does: marks are echoed when what was before them has been played, or at once on `clear`."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections import deque
from dataclasses import dataclass, field

from tests.bench.bare_socket import BareSocket, framed
from tests.bench.vendors import SOUND, Watch, now, read_tag, utterance

TURN_FRAMES = 150
FRAME_S = 0.02
GAP_S = 0.02
SILENCE = b"\xff" * 160


@dataclass(slots=True)
class Seen:
    """What all callers saw together; times in seconds."""

    first_media: list[float] = field(default_factory=list)
    clears: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    slow_frames: int = 0
    frames: int = 0
    stale: int = 0
    lost: int = 0
    failed: list[str] = field(default_factory=list)
    behind_s: float = 0.0
    """How late the callers themselves were, at most."""


class LoadPhone:
    """Caller `number`."""

    def __init__(self, number: int, watch: Watch, seen: Seen) -> None:
        self.number = number
        self.stream_sid = f"MZ{number:032d}"
        self._watch, self._seen = watch, seen
        self._loop = asyncio.get_running_loop()
        self._socket: BareSocket | None = None
        self._quiet = self._frame(SILENCE)
        self._line: deque[bytes] = deque()
        self._turn = 0
        self._sent = 0
        self._began = self._started = 0.0
        self._until = 0.0
        self._marks: deque[tuple[float, str]] = deque()
        self._playing: tuple[int, int] | None = None
        self._over = False
        self._answered = False

    def _frame(self, mulaw: bytes) -> bytes:
        body = {
            "event": "media",
            "sequenceNumber": "1000",
            "streamSid": self.stream_sid,
            "media": {"track": "inbound", "chunk": "999", "timestamp": "19980", "payload": b64encode(mulaw).decode()},
        }
        return framed(json.dumps(body).encode(), 1)

    def take(self, socket: BareSocket, call_sid: str, parameters: dict[str, str]) -> None:
        """The stream is open: `connected`, `start`, and off it goes."""
        self._socket = socket
        socket.send_text(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        start = {
            "accountSid": "AC" + "0" * 32,
            "streamSid": self.stream_sid,
            "callSid": call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        self._started = now()
        socket.send_text(
            json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": self.stream_sid, "start": start})
        )
        self._began = self._loop.time()
        self._tick()

    def hang_up(self) -> None:
        """`stop`, and the socket closed."""
        self._over = True
        if self._socket and not self._socket.transport.is_closing():
            self._socket.send_text(
                json.dumps({"event": "stop", "sequenceNumber": "2", "streamSid": self.stream_sid, "stop": {}})
            )
            self._socket.close()

    def lost(self) -> None:
        """The socket is gone."""
        if not self._over:
            self._over = True
            self._seen.lost += 1

    # --- the caller's side ---

    def _tick(self) -> None:
        if self._over or self._socket is None:
            return
        due = self._began + self._sent * FRAME_S
        self._seen.behind_s = max(self._seen.behind_s, self._loop.time() - due)
        if self._sent and self._sent % TURN_FRAMES == 0:
            self._line.extend(self._frame(one) for one in utterance(self.number, self._turn))
            self._watch.spoke[self.number, self._turn] = now()
            self._turn += 1
        self._socket.transport.write(self._line.popleft() if self._line else self._quiet)
        self._sent += 1
        self._seen.frames += 1
        at = now()
        while self._marks and self._marks[0][0] <= at:
            self._echo(self._marks.popleft()[1])
        self._loop.call_at(due + FRAME_S, self._tick)

    def _echo(self, mark: str) -> None:
        if self._socket and not self._over:
            body = {"event": "mark", "sequenceNumber": "3", "streamSid": self.stream_sid, "mark": {"name": mark}}
            self._socket.send_text(json.dumps(body))

    # --- what comes ---

    def message(self, data: bytes, _is_text: bool) -> None:
        """Of the stream."""
        message = json.loads(data)
        match message["event"]:
            case "media":
                self._media(b64decode(message["media"]["payload"]))
            case "mark":
                self._marks.append((self._until, message["mark"]["name"]))
            case "clear":
                self._clear()

    def _media(self, mulaw: bytes) -> None:
        at = now()
        if not self._answered:
            self._answered = True
            self._seen.first_media.append(at - self._started)
        read = read_tag(mulaw, SOUND)
        if read:
            turn = read[:2]
            self._watch.media.setdefault(turn, at)
            if turn == self._playing and at - self._until > GAP_S:
                self._seen.gaps.append(at - self._until)
            elif self._playing and turn < self._playing:
                self._seen.stale += 1
            self._playing = turn
        self._until = max(self._until, at) + len(mulaw) / 8000

    def _clear(self) -> None:
        at = now()
        if self._until > at and self.number in self._watch.interim:
            self._seen.clears.append(at - self._watch.interim[self.number])
        self._until = at
        while self._marks:
            self._echo(self._marks.popleft()[1])
        self._playing = None
