"""The server's end of a WebSocket, with a way past ASGI for sockets that carry sound.

uvicorn's own protocol puts every message into a queue, stops reading, wakes the endpoint's task and reads on: more than
all that is done with 20 ms of sound. An endpoint may ask for its text messages instead (`divert`): then one read of the
socket is one call for each message that came with it. And it may write at once (`write`), without the wrappers on the
way. Everything else, and every socket that did not ask, is uvicorn's business as before; so is what is fragmented, not
text, too long or wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from media_gateway import ws_frames
from media_gateway.middleware import SEND

Take = Callable[[bytes], None]
"""Is given the payload of a text message; raises nothing."""


class DirectSocket(WebSocketsSansIOProtocol):
    """For uvicorn's `ws`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._take: Take | None = None
        self._buffer = b""
        self._core_alone = False
        """Something began that only the core can follow."""
        self._most = self.config.ws_max_size

    # --- for the endpoint ---

    def divert(self, take: Take | None) -> None:
        """Text messages go to `take` from now on, first those that wait; with None they are received as usual."""
        self._take = take
        if take is None:
            return
        waiting = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        for event in waiting:
            text = event.get("text")
            if isinstance(text, str):
                take(text.encode())
            else:
                self.queue.put_nowait(event)
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()

    def write(self, texts: list[bytes]) -> bool:
        """Write these messages now, as one; False if the peer has to be waited for or is gone, and nothing was
        written."""
        if self.disconnected or not self.writable.is_set() or self.conn.state is not State.OPEN:
            return False
        if self.transport.is_closing():
            return False
        parts: list[bytes] = []
        for text in texts:
            parts += (ws_frames.header(ws_frames.TEXT, len(text)), text)
        self.transport.write(b"".join(parts))
        return True

    # --- uvicorn's ---

    def data_received(self, data: bytes) -> None:
        """Whole frames, one by one; the handshake comes first, and alone."""
        if not self.handshake_initiated:
            self._core_alone = not data.endswith(b"\r\n\r\n")  # uvicorn hands the request over as it was
            super().data_received(data)
            return
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        at, size, most = 0, len(data), self._most
        while at < size:
            if self._core_alone or self.conn.state is not State.OPEN:
                self._core_alone = True
                super().data_received(data[at:])
                return
            span = ws_frames.payload(data, at)
            if span is not None and span[1] - span[0] > most:
                self._core_alone = True
                continue
            if span is None or span[1] > size:
                break
            start, end = span
            if data[at] == ws_frames.TEXT and self._take and not self.frames and data[at + 1] & ws_frames.MASKED:
                self._take(ws_frames.apply_mask(data[start:end], data[start - 4 : start]))
            else:
                super().data_received(data[at:end])
            at = end
        self._buffer = data[at:]

    def send_receive_event_to_app(self) -> None:
        """A message that the core put together."""
        if self._take is None or self.curr_msg_data_type != "text" or self.close_sent:
            super().send_receive_event_to_app()
            return
        data = b"".join(self.frames)
        self.frames = []
        self._take(data)


def direct(scope: Scope) -> DirectSocket | None:
    """That of an endpoint's scope, where it is served by one and nothing is compressed."""
    protocol: Any = getattr(scope.get(SEND), "__self__", None)
    return protocol if isinstance(protocol, DirectSocket) and not protocol.conn.extensions else None
