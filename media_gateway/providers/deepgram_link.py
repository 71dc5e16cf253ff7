"""One stream to Deepgram, from the handshake to its end; whoever holds it sees messages and, once, why it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog

from media_gateway.providers import deepgram_messages as wire
from media_gateway.providers.client_socket import ClientSocket
from media_gateway.voice.ports import ProviderFault

MAX_GARBLED = 3
"""Messages in one stream that are none; then the stream is not worth listening to."""
log = structlog.get_logger(__name__)


class Hopeless(ProviderFault):
    """The vendor has understood us and does not want us: the same again would be answered the same."""


class Link:
    """`on_message` gets what is of use, `on_lost(kind, detail)` comes once unless we let go first."""

    def __init__(
        self,
        api: Literal["v1", "v2"],
        on_message: Callable[[wire.Message], None],
        on_lost: Callable[[str, str], None],
    ) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._socket: ClientSocket | None = None
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if api == "v1":
            self._greeted.set_result(None)  # v1 says nothing before it hears something
        self._garbled = 0
        self._over = False
        self.send_binary: Callable[[bytes], None] = lambda _mulaw: None
        """A frame of sound: the socket's own method, once there is one."""
        self.messages = 0
        """How many it has said."""

    async def ready(self, socket: ClientSocket) -> None:
        """Wait until the vendor is there. Raises OSError when it goes instead."""
        self._socket = socket
        self.send_binary = socket.send_binary
        if self._over:  # before we even held it
            raise ConnectionResetError
        await self._greeted

    def send_text(self, text: str) -> None:
        """A control message."""
        if self._socket:
            self._socket.send_text(text)

    def ping(self) -> None:
        """See `pongs`."""
        if self._socket:
            self._socket.ping()

    @property
    def pongs(self) -> int:
        """How often the vendor has answered a ping."""
        return self._socket.pongs if self._socket else 0

    def received(self, data: bytes, is_text: bool) -> None:
        """A message of the socket."""
        if self._over:
            return
        try:
            message = wire.decode(data) if is_text else None
        except wire.Garbled:
            self._garble()
            return
        if not is_text:
            self._garble()
            return
        self.messages += 1
        if isinstance(message, wire.Connected) and not self._greeted.done():
            self._greeted.set_result(None)
        elif isinstance(message, wire.Problem):
            self.fail("broken", f"the vendor reports {message.name[:60]}")
        elif isinstance(message, wire.Caution):
            log.info("provider_warning", stage="hearing", code=message.code[:60])
        elif message is not None:
            self._on_message(message)

    def lost(self, code: int, reason: str) -> None:
        """The socket is gone without us."""
        said = "".join(letter for letter in reason[:80] if letter.isprintable())
        self._end(("broken", f"closed with {code}" + (f" {said}" if said else "")))

    def fail(self, kind: str, detail: str) -> None:
        """This stream is of no more use."""
        self.abort()
        self._end((kind, detail))

    def abort(self) -> None:
        """Let go at once."""
        if self._socket:
            self._socket.abort()

    async def aclose(self, patience: float) -> None:
        """Let go in order: the vendor is told that no more sound comes."""
        self._over = True
        if self._socket:
            self._socket.send_text(wire.CLOSE_STREAM)
            await self._socket.aclose(patience)

    def _garble(self) -> None:
        self._garbled += 1
        if self._garbled >= MAX_GARBLED:
            self.fail("broken", "it says what is no message")

    def _end(self, cause: tuple[str, str]) -> None:
        if self._over:
            return
        self._over = True
        if not self._greeted.done():
            self._greeted.set_exception(ConnectionResetError(cause[1]))
            self._greeted.exception()  # whoever waits gets it all the same
            return
        if self._socket:
            self._on_lost(*cause)
