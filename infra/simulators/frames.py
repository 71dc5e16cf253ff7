"""The messages that Twilio sends on a media stream. `sequenceNumber`, `chunk` and `timestamp` are strings;
`connected` has neither a sequence number nor a stream."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


@dataclass(slots=True)
class FrameWriter:
    """One stream's messages, numbered as they are made."""

    account_sid: str
    call_sid: str
    stream_sid: str
    counts: dict[str, int] = field(default_factory=dict)
    _sequence: int = 0
    _chunk: int = 0

    def connected(self) -> str:
        self._count("connected")
        return CONNECTED

    def start(self, parameters: Mapping[str, str]) -> str:
        return self._message(
            "start",
            start={
                "accountSid": self.account_sid,
                "streamSid": self.stream_sid,
                "callSid": self.call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(parameters),
            },
        )

    def media(self, audio: bytes, timestamp_ms: int) -> str:
        self._chunk += 1
        payload = base64.b64encode(audio).decode("ascii")
        body = {"track": "inbound", "chunk": str(self._chunk), "timestamp": str(timestamp_ms), "payload": payload}
        return self._message("media", media=body)

    def dtmf(self, digit: str) -> str:
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        return self._message("mark", mark={"name": name})

    def stop(self) -> str:
        return self._message("stop", stop={"accountSid": self.account_sid, "callSid": self.call_sid})

    def _message(self, event: str, **body: Any) -> str:
        self._count(event)
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self.stream_sid}
        return json.dumps(head | body)

    def _count(self, event: str) -> None:
        self.counts[event] = self.counts.get(event, 0) + 1
