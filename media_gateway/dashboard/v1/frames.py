"""The frames of `callboard.v1`: commands in, JSON text out, and the numbers both sides agree on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct
from websockets.frames import Frame, Opcode

SUBPROTOCOL: Final = "callboard.v1"
ALL: Final = "*"

NORMAL, GOING_AWAY, TOO_BIG = 1000, 1001, 1009
BAD_MESSAGE, UNAUTHENTICATED, FORBIDDEN, EXPIRED, SUBPROTOCOL_NEEDED = 4400, 4401, 4403, 4405, 4406
CONNECT_TIMEOUT, DUPLICATE_ID, TOO_MANY = 4408, 4409, 4429
INTERNAL, PLANNED, SLOW, INSUFFICIENT, NO_PONG, STORE_AWAY = 4500, 4501, 4508, 4510, 4512, 4513

MAX_FIRST = 8 * 1024
MAX_FRAME = 16 * 1024
"""Bytes of a client's first frame, and of every other."""

ErrorCode = Literal[
    "bad_request",
    "unauthorized",
    "forbidden",
    "unknown_call",
    "already_subscribed",
    "limit",
    "too_many_requests",
    "unavailable",
    "internal",
]
RETRY: Final = frozenset({"unknown_call", "too_many_requests", "unavailable", "internal"})
"""Errors after which the same command may succeed later."""

Id = Annotated[int, Meta(ge=1, le=2**53)]
Text = Annotated[str, Meta(max_length=128)]
Lane = Literal["durable", "live"]


class Since(Struct, frozen=True):
    """The last event seen of a call, or for `*` the cursor of an earlier answer."""

    seq: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    epoch: Text | None = None
    cursor: Annotated[str, Meta(max_length=4096)] | None = None


class Filter(Struct, frozen=True):
    """Of `*`."""

    org: Text | None = None


class Cursor(Struct, frozen=True):
    """As `*` gave it."""

    cursor: Annotated[str, Meta(max_length=4096)] | None = None


class Resume(Struct, frozen=True):
    """What an earlier connection had."""

    all: Cursor | None = None


class Connect(Struct, frozen=True, tag="connect"):
    """The first frame."""

    id: Id
    token: str
    client: Text = ""
    resume: Resume | None = None


class Subscribe(Struct, frozen=True, tag="subscribe"):
    """One call by any of its ids, or `*`."""

    id: Id
    call_id: Text | None = None
    call_sid: Text | None = None
    conversation_id: Text | None = None
    since: Since | None = None
    filter: Filter | None = None
    lanes: frozenset[Lane] = frozenset(("durable", "live"))

    @property
    def name(self) -> str | None:
        """The one id that was given."""
        given = [name for name in (self.call_id, self.call_sid, self.conversation_id) if name is not None]
        return given[0] if len(given) == 1 else None


class Unsubscribe(Struct, frozen=True, tag="unsubscribe"):
    """By the id that was subscribed with, or the call id."""

    id: Id
    call_id: Text


class Ack(Struct, frozen=True, tag="ack"):
    """Up to where the client has it."""

    id: Id
    call_id: Text
    seq: Annotated[int, Meta(ge=0, le=2**53)]


class Refresh(Struct, frozen=True, tag="refresh"):
    """A new ticket for an open connection."""

    id: Id
    token: str


class Pong(Struct, frozen=True, tag="pong"):
    """The answer to a ping."""


Command = Connect | Subscribe | Unsubscribe | Ack | Refresh
_decoder: msgspec.json.Decoder[Command | Pong] = msgspec.json.Decoder(Command | Pong)


class _Outline(Struct, frozen=True):
    type: str
    id: Id


_outline = msgspec.json.Decoder(_Outline)


class Malformed(Exception):
    """No command. With `id`, it can be answered; without, the connection is over."""

    def __init__(self, text: str, id: int | None = None) -> None:
        super().__init__(text)
        self.id = id


def parse(text: str) -> Command | Pong:
    """Raises Malformed."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        problem = str(error)
    try:
        raise Malformed(problem, _outline.decode(text).id)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Malformed(problem) from None


class Line:
    """One message as it goes over the wire, built once and the same bytes for everybody who gets it: a text frame as a
    server writes it, in one piece, unmasked, not compressed (RFC 6455, 5.2)."""

    __slots__ = ("_payload", "frame")

    def __init__(self, payload: bytes) -> None:
        """`payload`: UTF-8."""
        self._payload = payload
        self.frame = Frame(Opcode.TEXT, payload).serialize(mask=False)

    @property
    def text(self) -> str:
        """The message, for a server that makes its own frames."""
        return self._payload.decode()

    def __len__(self) -> int:
        """Bytes on the wire."""
        return len(self.frame)


def line(frame: Mapping[str, Any]) -> Line:
    """This message, encoded."""
    return Line(msgspec.json.encode(frame))


def reply(id: int, result: Mapping[str, Any]) -> dict[str, Any]:
    """The command was done."""
    return {"type": "reply", "id": id, "ok": True, "result": dict(result)}


def failure(id: int, code: ErrorCode, message: str) -> dict[str, Any]:
    """It was not."""
    return {"type": "reply", "id": id, "ok": False, "error": {"code": code, "message": message, "retry": code in RETRY}}
