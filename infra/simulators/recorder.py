"""The strict side of the phone: whatever the gateway sends that Twilio would reject or ignore is a violation. Twilio
itself says nothing on the socket (it logs a warning once and goes silent), which is why a test must.

Codes are Twilio's where one fits: 11200 HTTP retrieval failed, 12100 TwiML cannot be parsed, 12200 TwiML schema,
13224 invalid number, 31920 stream handshake, 31921 stream close, 31922 stream scheme, 31923 stream URL, 31924 stream
protocol, 31951 invalid Media Streams message.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

HTTP_RETRIEVAL = 11200
TWIML_PARSE = 12100
TWIML_SCHEMA = 12200
DIAL_NUMBER = 13224
STREAM_HANDSHAKE = 31920
STREAM_SCHEME = 31922
STREAM_URL = 31923
STREAM_PROTOCOL = 31924
STREAM_MESSAGE = 31951

_FILE_HEADERS = {
    b"RIFF": "WAV",
    b"RIFX": "WAV",
    b"ID3": "MP3",
    b"OggS": "Ogg",
    b"fLaC": "FLAC",
    b"FORM": "AIFF",
    b".snd": "AU",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that Twilio would not have taken. `at_ms` counts from the start of the call."""

    code: int
    what: str
    at_ms: float = 0.0

    def __str__(self) -> str:
        return f"[{self.code}] at {self.at_ms:.0f} ms: {self.what}"


class ProtocolViolations(AssertionError):
    """The gateway broke Twilio's protocol; the message lists every violation."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        self.violations = violations
        lines = "\n".join(f"  {violation}" for violation in violations)
        super().__init__(f"{len(violations)} protocol violation(s):\n{lines}")


@dataclass(frozen=True, slots=True)
class MediaFrame:
    """Audio for the caller: raw mu-law."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class MarkFrame:
    """Tell me when everything before this has played."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearFrame:
    """Forget what has not played."""


Frame = MediaFrame | MarkFrame | ClearFrame


def judge_frame(message: str | bytes, *, stream_sid: str, started: bool = True) -> Frame | Violation:
    """One WebSocket message from the gateway: the frame it is, or why Twilio would not take it. `started` is whether
    the phone has sent `start` yet: before it the gateway cannot know the stream."""
    if isinstance(message, bytes):
        return Violation(STREAM_PROTOCOL, f"a binary frame of {len(message)} bytes; Media Streams are JSON text frames")
    try:
        data = json.loads(message)
    except ValueError as error:
        return Violation(STREAM_PROTOCOL, f"not JSON ({error}): {message[:60]!r}")
    if not isinstance(data, dict):
        return Violation(STREAM_PROTOCOL, f"not a JSON object: {message[:60]!r}")
    event = data.get("event")
    if event not in ("media", "mark", "clear"):
        return Violation(STREAM_MESSAGE, f"unknown event {event!r}; only media, mark and clear can be sent")
    if not started:
        return Violation(STREAM_MESSAGE, f"{event} before start")
    if data.get("streamSid") != stream_sid:
        return Violation(
            STREAM_MESSAGE, f"{event} for streamSid {data.get('streamSid')!r}, this stream is {stream_sid}"
        )
    if event == "media":
        return _media(data)
    return _mark(data) if event == "mark" else ClearFrame()


def _media(data: dict[str, Any]) -> MediaFrame | Violation:
    media = data.get("media")
    payload = media.get("payload") if isinstance(media, dict) else None
    if not isinstance(payload, str):
        return Violation(STREAM_MESSAGE, "media without media.payload as a string")
    if not payload:
        return Violation(STREAM_MESSAGE, "media with an empty payload")
    try:
        audio = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        return Violation(STREAM_MESSAGE, f"media.payload is not base64 ({error}): {payload[:40]!r}")
    for header, kind in _FILE_HEADERS.items():
        if audio.startswith(header):
            return Violation(STREAM_MESSAGE, f"media.payload starts with a {kind} file header; raw mu-law only")
    return MediaFrame(audio)


def _mark(data: dict[str, Any]) -> MarkFrame | Violation:
    mark = data.get("mark")
    name = mark.get("name") if isinstance(mark, dict) else None
    if not isinstance(name, str) or not name:
        return Violation(STREAM_MESSAGE, "mark without mark.name as a non-empty string")
    return MarkFrame(name)
