"""Twilio Media Streams without I/O: what its messages mean, and the bytes of ours.

Source: Twilio's "Media Streams - WebSocket messages". All frames are JSON text; sequence numbers, chunks and
timestamps are strings (and of no use to us: the socket keeps the order). Sound is mu-law, 8,000 Hz, mono, base64.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from typing import Annotated, Literal

import msgspec

MAX_FRAME = 64 * 1024
"""Characters of one incoming message; Twilio's are about 400."""

BAD_ORDER = 1002  # protocol error
NOT_TEXT = 1003
BAD_DATA = 1007
REFUSED = 1008  # policy: token, start too late
TOO_BIG = 1009

_Sid = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]


class ProtocolError(Exception):
    """The peer does not speak Media Streams. `code` closes the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Struct(msgspec.Struct, frozen=True, rename="camel", tag_field="event", gc=False):
    pass


class _Part(msgspec.Struct, frozen=True, rename="camel", gc=False):
    pass


class Connected(_Struct, tag="connected", frozen=True):
    """The first message; has no stream sid."""

    protocol: Literal["Call"] = "Call"


class MediaFormat(_Part, frozen=True):
    """Fixed by Twilio."""

    encoding: Literal["audio/x-mulaw"]
    sample_rate: Literal[8000]
    channels: Literal[1]


class StartBody(_Part, frozen=True):
    """`custom_parameters` are the <Parameter>s of the TwiML; always strings."""

    stream_sid: _Sid
    call_sid: _Sid
    media_format: MediaFormat
    custom_parameters: dict[str, str] = {}


class Start(_Struct, tag="start", frozen=True):
    """The stream begins."""

    stream_sid: _Sid
    start: StartBody


class MediaBody(_Part, frozen=True):
    """`payload` is decoded from base64 here."""

    payload: bytes
    track: Literal["inbound"] = "inbound"


class Media(_Struct, tag="media", frozen=True):
    """The caller's sound, about 20 ms."""

    stream_sid: str
    media: MediaBody


class DtmfBody(_Part, frozen=True):
    """One key."""

    digit: Annotated[str, msgspec.Meta(pattern=r"\A[0-9*#A-D]\Z")]


class Dtmf(_Struct, tag="dtmf", frozen=True):
    """A key was pressed."""

    stream_sid: str
    dtmf: DtmfBody


class MarkBody(_Part, frozen=True):
    """The name we gave it."""

    name: Annotated[str, msgspec.Meta(max_length=200)]


class Mark(_Struct, tag="mark", frozen=True):
    """Echo of a mark: what was sent before it has been played, or was cleared."""

    stream_sid: str
    mark: MarkBody


class Stop(_Struct, tag="stop", frozen=True):
    """The stream or the call is over."""

    stream_sid: str


Incoming = Connected | Start | Media | Dtmf | Mark | Stop
_decode = msgspec.json.Decoder(Incoming).decode


class MediaProtocol:
    """One stream's order of messages: connected, start, then anything else, and nothing after stop."""

    __slots__ = ("_connected", "_stopped", "_stream_sid")

    def __init__(self) -> None:
        self._connected = False
        self._stopped = False
        self._stream_sid: str | None = None

    def receive(self, text: str | bytes) -> Incoming:
        """The message in this frame (bytes: UTF-8). Raises ProtocolError."""
        if len(text) > MAX_FRAME:
            raise ProtocolError(TOO_BIG, "message too big")
        try:
            message: Incoming = _decode(text)
        except msgspec.ValidationError as error:
            raise ProtocolError(BAD_ORDER, "not a Media Streams message") from error
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ProtocolError(BAD_DATA, "not JSON") from error
        kind = type(message)
        if kind is Media and message.stream_sid == self._stream_sid and not self._stopped:  # type: ignore[union-attr]
            return message
        self._check_order(message)
        return message

    def _check_order(self, message: Incoming) -> None:
        if self._stopped:
            raise ProtocolError(BAD_ORDER, "message after stop")
        match message:
            case Connected():
                if self._connected or self._stream_sid is not None:
                    raise ProtocolError(BAD_ORDER, "second connected")
                self._connected = True
            case Start():
                if self._stream_sid is not None:
                    raise ProtocolError(BAD_ORDER, "second start")
                if message.stream_sid != message.start.stream_sid:
                    raise ProtocolError(BAD_ORDER, "two stream sids")
                self._stream_sid = message.stream_sid
            case _:
                if self._stream_sid is None:
                    raise ProtocolError(BAD_ORDER, "message before start")
                if message.stream_sid != self._stream_sid:
                    raise ProtocolError(BAD_ORDER, "wrong stream sid")
                self._stopped = isinstance(message, Stop)


class Frames:
    """The three messages that Twilio accepts, for one stream, as UTF-8. Nothing but the payload is built twice."""

    __slots__ = ("_clear", "_mark", "_media")

    def __init__(self, stream_sid: str) -> None:
        sid = json.dumps(stream_sid)
        self._media = f'{{"event":"media","streamSid":{sid},"media":{{"payload":"'.encode()
        self._mark = f'{{"event":"mark","streamSid":{sid},"mark":{{"name":'
        self._clear = f'{{"event":"clear","streamSid":{sid}}}'.encode()

    def media(self, mulaw: bytes) -> bytes:
        """Sound of any length; no header bytes."""
        return self._media + b2a_base64(mulaw, newline=False) + b'"}}'

    def mark(self, name: str) -> bytes:
        """Asks for an echo."""
        return f"{self._mark}{json.dumps(name)}}}}}".encode()

    def clear(self) -> bytes:
        """Empties Twilio's buffer."""
        return self._clear
