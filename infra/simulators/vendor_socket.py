"""The server's end of a vendor's WebSocket: websockets' sans-I/O core on an asyncio transport, with faults.

Made for two hundred callers who send fifty frames a second each on a fraction of a core: a masked binary message that
is whole is taken apart here; everything else (handshake, text, control frames, what is wrong) goes through the core,
frame by frame, so that it is as strict as the library. No permessage-deflate.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol

from infra.simulators.vendor_faults import Faults, Kind, Trouble

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.INFO)  # at DEBUG the core would log every header, and with them the client's key
MAX_MESSAGE = 1 << 20
_BINARY, _MASKED = 0x82, 0x80


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer instead of a WebSocket."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Talk(Protocol):
    """What a vendor does on one socket. All calls are on the event loop and return at once."""

    def opened(self) -> None:
        """The handshake is over."""

    def binary(self, data: bytes) -> None:
        """A binary message."""

    def text(self, text: str) -> None:
        """A text message."""

    def error_message(self) -> str:
        """The vendor's own words for having a fault."""

    def gone(self) -> None:
        """The socket is closed."""


Enter = Callable[[Request, "VendorSocket"], "Talk | Refusal"]


class VendorSocket(asyncio.Protocol):
    """`enter` looks at the request and answers who talks, or a refusal. `refused` words those that are faults."""

    def __init__(
        self, enter: Enter, faults: Faults, refused: Callable[[int], Refusal], latency_ms: float = 0.0
    ) -> None:
        self._enter = enter
        self._faults = faults
        self._refused = refused
        self._latency = latency_ms / 1_000
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE, logger=_LOGGER)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._talk: Talk | None = None
        self._buffer = b""
        self._deaf = False
        self.trouble = Trouble()
        self.received: list[str] = []
        """The text messages that came."""

    # --- what a talk may do ---

    def send(self, message: str | bytes) -> None:
        """What the vendor says: late, otherwise or not at all, where that is the fault."""
        kind = self.trouble.strikes()
        fault = self.trouble.fault
        late = self._latency + (fault.delay_ms / 1_000 if fault and kind is Kind.SLOW else 0.0)
        if kind in (None, Kind.SLOW, Kind.EMPTY):
            if late:
                self._loop.call_later(late, self._send, message)
            else:
                self._send(message)
        elif kind is Kind.GARBAGE:
            self._send(self.trouble.garbage())
        else:
            self._strike()

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """An orderly end, after what was said before; without a code where the vendor gives none."""
        if self._latency:
            self._loop.call_later(self._latency, self._close, code, reason)
        else:
            self._close(code, reason)

    def cut(self) -> None:
        """The connection breaks."""
        if self._transport:
            self._transport.abort()

    @property
    def empty(self) -> bool:
        """Is there to be nothing in what the vendor says?"""
        return self.trouble.striking is Kind.EMPTY

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there: what they meet is decided now."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.trouble = self._faults.take(self._loop.time)
        if self.trouble.striking is Kind.REFUSED:
            self._transport.abort()

    def connection_lost(self, _problem: Exception | None) -> None:
        """Over, whoever ended it."""
        self._deaf = True
        self.trouble.woken = None  # the list of faults outlives the connection
        if self._talk:
            self._talk.gone()

    def eof_received(self) -> bool:
        """The client has gone."""
        return False

    def data_received(self, data: bytes) -> None:
        """The handshake, or frames."""
        if self._deaf:
            return
        if self._protocol.state is CONNECTING:
            self._feed(data)
            return
        if self._buffer:
            data = self._buffer + data
        at, whole = 0, len(data)
        while (end := _frame_end(data, at)) is not None and end <= whole and self._hears():
            if data[at] == _BINARY and data[at + 1] & _MASKED and self._talk and self._protocol.state is OPEN:
                head = 4 if data[at + 1] & 0x7F == 126 else 10 if data[at + 1] & 0x7F == 127 else 2
                start = at + head + 4
                self._talk.binary(apply_mask(data[start:end], data[start - 4 : start]))
            else:
                self._feed(data[at:end])
            at = end
        self._buffer = data[at:]
        if len(self._buffer) > MAX_MESSAGE:
            self._close(CloseCode.MESSAGE_TOO_BIG, "")

    # --- inside ---

    def _hears(self) -> bool:
        return not self._deaf

    def _feed(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._requested(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT and self._talk:
                text = bytes(event.data).decode(errors="replace")
                self.received.append(text)
                self._talk.text(text)
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY and self._talk:
                self._talk.binary(bytes(event.data))
        self._flush()
        if self._transport and self._protocol.state is not CONNECTING and self._protocol.close_expected():
            self._transport.close()

    def _requested(self, request: Request) -> None:
        status = self.trouble.refusal
        answer = self._refused(status) if status else self._enter(request, self)
        if isinstance(answer, Refusal):
            self._answer(self._protocol.reject(answer.status, answer.body), answer.headers)
            return
        response = self._protocol.accept(request)
        self._answer(response, {})
        if self._protocol.state is not OPEN:
            return
        self._talk = answer
        self.trouble.woken = self._strike
        if self.trouble.striking is Kind.HUNG:
            self._deaf = True
            return
        if (wakes := self.trouble.wakes_after) is not None:
            self._loop.call_later(wakes, self._strike)
        answer.opened()

    def _answer(self, response: Response, headers: Mapping[str, str]) -> None:
        response.headers.update(Headers(headers))
        self._protocol.send_response(response)
        self._flush()
        if response.status_code != 101 and self._transport:
            self._transport.close()

    def _strike(self) -> None:
        """The fault comes, by itself or instead of a message."""
        fault = self.trouble.fault
        if self._deaf or not fault:
            return
        match fault.kind:
            case Kind.HUNG:
                self._deaf = True
            case Kind.ERROR:
                if self._talk:
                    self._send(self._talk.error_message())
                self._close(fault.code, fault.reason)
            case Kind.CLOSE:
                self._close(fault.code, fault.reason)
            case _:
                self.cut()

    def _send(self, message: str | bytes) -> None:
        if self._deaf or self._protocol.state is not OPEN:
            return
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._flush()

    def _close(self, code: int | None, reason: str) -> None:
        if self._deaf or self._protocol.state is not OPEN:
            return
        self._protocol.send_close(code, reason)
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._transport and data:
                self._transport.write(data)


def _frame_end(data: bytes, at: int) -> int | None:
    """Where the frame that begins here ends; None when its head is not whole."""
    if len(data) < at + 2:
        return None
    masked = 4 if data[at + 1] & _MASKED else 0
    size = data[at + 1] & 0x7F
    if size < 126:
        return at + 2 + masked + size
    width = 2 if size == 126 else 8
    if len(data) < at + 2 + width:
        return None
    return at + 2 + width + masked + int.from_bytes(data[at + 2 : at + 2 + width], "big")
