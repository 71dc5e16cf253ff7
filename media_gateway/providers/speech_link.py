"""A voice's connection: the vendor's machine, the socket under it, and the call above it. Thin: what to say to whom is
the machine's business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from websockets.exceptions import WebSocketException

from media_gateway.providers.client_socket import ClientSocket, Refused
from media_gateway.providers.speech_steps import Machine, Step
from media_gateway.voice.ports import ProviderFault, Spoken, SpokenAudio, SpokenEnd, Voice, VoiceFailed

OPEN_S = 1.5
"""A vendor that takes longer to answer is no help in a conversation; the stand-in is."""
CLOSE_S = 1.0
RENDER_S = 20.0
PING_S = 20.0
"""Both vendors count a connection without any traffic as abandoned; so do we one that does not answer a ping."""
LAG_S = 0.05
"""Who wakes later than this was not waiting for the vendor: what it sent meanwhile may still lie unread."""


async def speak_over(
    machine: Machine, url: str, headers: Mapping[str, str], key_name: str, on_spoken: Callable[[Spoken], None]
) -> LinkedSpeaking:
    """Opens a connection for this machine. Raises ProviderFault with the remedy."""
    provider = machine.name
    speaking = LinkedSpeaking(machine, on_spoken)
    try:
        async with asyncio.timeout(OPEN_S):
            speaking.begin(
                await ClientSocket.connect(url, headers=headers, on_message=speaking.received, on_lost=speaking.lost)
            )
    except Refused as refusal:
        raise refused(provider, refusal.status, key_name) from refusal
    except TimeoutError as late:
        raise ProviderFault(provider, "timeout", "it did not answer in time") from late
    except (OSError, WebSocketException) as problem:
        raise ProviderFault(provider, "refused", type(problem).__name__) from problem
    return speaking


async def try_door(machine: Machine, url: str, headers: Mapping[str, str], key_name: str) -> None:
    """Is the key good, and what is asked for there? Raises ProviderFault."""
    speaking = await speak_over(machine, url, headers, key_name, lambda _spoken: None)
    await speaking.aclose()


def refused(provider: str, status: int, key_name: str) -> ProviderFault:
    """What an HTTP status says."""
    if status in (401, 403):
        return ProviderFault(
            provider, "unauthorized", f"it does not take the key in {key_name} (HTTP {status}); put a valid one there"
        )
    if status in (402, 429):
        return ProviderFault(provider, "busy", f"HTTP {status}: the account's limit is reached")
    return ProviderFault(provider, "refused", f"HTTP {status}; check the voice and the model that are configured")


class LinkedSpeaking:
    """`voice.ports.Speaking` over one connection. Every call is one step of the machine, carried out at once."""

    def __init__(self, machine: Machine, on_spoken: Callable[[Spoken], None]) -> None:
        self._machine = machine
        self._on_spoken = on_spoken
        self._socket: ClientSocket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._excused = False
        self._pinger: asyncio.TimerHandle | None = None
        self._pongs = -1
        self._over = False
        self._early: list[tuple[bytes, bool]] = []
        self._sounding = False
        """The last message of the vendor was sound."""

    def begin(self, socket: ClientSocket) -> None:
        """The connection is there."""
        self._socket = socket
        self._ping()
        for data, is_text in self._early:  # came with the answer to the handshake
            self.received(data, is_text)
        self._early.clear()
        self._apply(())

    def say(self, reply: int, clause: int, text: str) -> None:
        """In the order they were said."""
        if not self._over:
            self._apply(self._machine.say(time.monotonic(), reply, clause, text))

    def done(self, reply: int) -> None:
        """No more clauses of this reply come."""
        if not self._over:
            self._apply(self._machine.done(time.monotonic(), reply))

    def cancel(self, reply: int) -> None:
        """Nothing of this reply is wanted any more."""
        if not self._over:
            self._apply(self._machine.cancel(time.monotonic(), reply))

    async def aclose(self) -> None:
        """Says goodbye as the vendor wants it, and does not wait long for an answer."""
        self._over = True
        self._disarm()
        if self._pinger:
            self._pinger.cancel()
        socket, self._socket = self._socket, None
        if socket:
            socket.send_text(self._machine.goodbye)
            await socket.aclose(CLOSE_S)

    # --- the socket's callbacks ---

    def received(self, data: bytes, is_text: bool) -> None:
        """A message of the vendor."""
        if self._over:
            return
        if self._socket is None:
            self._early.append((data, is_text))
            return
        self._excused = False
        try:
            message = data.decode() if is_text else data
        except UnicodeDecodeError:
            self._broke("broken", "text that is none")
            return
        more, self._sounding = self._sounding and not is_text, not is_text
        self._apply(self._machine.received(time.monotonic(), message), arm=not more)

    def lost(self, code: int, reason: str) -> None:
        """The connection is gone without us."""
        said = "".join(letter for letter in reason[:80] if letter.isprintable())
        self._broke("broken", f"closed with {code} {said}".strip())

    # --- inside ---

    def _apply(self, steps: Sequence[Step], *, arm: bool = True) -> None:
        for step in steps:
            if isinstance(step, str):
                if self._socket:
                    self._socket.send_text(step)
            elif not self._over:
                self._over = isinstance(step, VoiceFailed)
                self._on_spoken(step)
        if arm or self._over or not self._timer:  # more sound behind sound only moves on what is due
            self._arm()

    def _arm(self) -> None:
        """A timer that is early is left to find that out by itself: sound comes often, and moves what is due on."""
        now = time.monotonic()
        wakes = None if self._over else self._machine.wakes_at(now)
        if wakes is None or wakes == float("inf"):
            self._disarm()
        elif self._timer is None or wakes < self._due:
            self._disarm()
            self._due = wakes
            self._timer = asyncio.get_running_loop().call_later(max(0.001, wakes - now), self._tick)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        lag = time.monotonic() - self._due
        if lag > LAG_S and not self._excused:
            self._excused = True
            self._timer = asyncio.get_running_loop().call_later(min(lag, 1.0), self._tick)
        elif not self._over:
            self._apply(self._machine.tick(time.monotonic()))

    def _ping(self) -> None:
        socket = self._socket
        if self._over or not socket:
            return
        if socket.pongs == self._pongs:
            self._broke("timeout", "it does not answer")
            return
        self._pongs = socket.pongs
        socket.ping()
        self._pinger = asyncio.get_running_loop().call_later(PING_S, self._ping)

    def _broke(self, kind: str, detail: str) -> None:
        self._disarm()
        if not self._over:
            self._over = True
            self._on_spoken(VoiceFailed(kind, detail, self._machine.name))


async def render_by_speaking(voice: Voice, text: str, seconds: float = RENDER_S) -> bytes:
    """The whole text as sound, by having it said. Raises ProviderFault."""
    sound = bytearray()
    over: asyncio.Future[VoiceFailed | None] = asyncio.get_running_loop().create_future()

    def on_spoken(spoken: Spoken) -> None:
        if isinstance(spoken, SpokenAudio):
            sound.extend(spoken.mulaw)
        elif isinstance(spoken, SpokenEnd | VoiceFailed) and not over.done():
            over.set_result(spoken if isinstance(spoken, VoiceFailed) else None)

    speaking = await voice.open(on_spoken)
    try:
        speaking.say(0, 0, text)
        speaking.done(0)
        async with asyncio.timeout(seconds):
            failed = await over
    except TimeoutError as error:
        raise ProviderFault(voice.name, "timeout", "nothing was rendered") from error
    finally:
        await speaking.aclose()
    if failed is not None:
        raise ProviderFault(failed.provider or voice.name, failed.kind, failed.detail)
    return bytes(sound)
