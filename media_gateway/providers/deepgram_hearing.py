"""One caller's open recogniser: sound out, turns in, and another connection when one breaks.

What is kept of the sound is bounded (`KEEP`): of an outage longer than that, the oldest is lost. A new connection hears
what the machine says was not understood for good, without the silence before it, at `CATCH_UP` times real time: the
frames that come set the pace, so that there is no task and no clock for it. Positions are bytes of the call's sound.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
from msgspec.structs import replace

from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers import deepgram_messages as wire
from media_gateway.providers import deepgram_v1, deepgram_v2
from media_gateway.providers.deepgram_link import Hopeless, Link
from media_gateway.providers.hearing_steps import (
    At,
    Command,
    Dropped,
    Force,
    GaveUp,
    Lifecycle,
    Listen,
    Opened,
    Wait,
    Waited,
)
from media_gateway.voice.ports import BYTES_PER_MS, SILENCE, EarsFailed, EarsStumbled, Heard, ProviderFault

KEEP = 7_000 * BYTES_PER_MS
"""Enough for a line, for finding out that nobody hears it (`_PONG`), and for another connection."""
CATCH_UP = 1.2
"""The vendor takes 1.25 times real time."""
LEAD = 300 * BYTES_PER_MS
"""Of the silence before what is sent again."""
PAUSE = 700 * BYTES_PER_MS
"""Silence that a vendor needs to see; more of it is not sent again."""
DELAYS = (0.2, 0.5, 1.0, 1.5)
"""Before each try, at most; with jitter, so that all calls of an instance do not come back at once."""
OUTAGE_S = 4.0
"""All tries together: after that the caller must be told something."""
HEALTHY_S = 5.0
"""A connection that lasted this long gives all tries back."""
CLOSE_S = 1.0
TICK_S = 1.0
FRAME = 20 * BYTES_PER_MS
BURST = 400 * BYTES_PER_MS
"""More than this at once is not sent at once."""
_QUIET = bytes([*range(0x70, 0x80), *range(0xF0, 0x100)])
"""The softest codes: line noise."""
_MUTE, _MUTE_LONG = 3, 8
"""Seconds of sound to which the vendor says nothing: when it has never answered a ping, and whatever it does."""
_IDLE = 6
"""Seconds without a word of the vendor's, of any kind, nor ever an answer to a ping."""
_PONG = 2
"""Seconds that one which answers pings is given for the next answer, when it says nothing either. What the caller says
meanwhile is still kept for another connection."""
_ANSWER = 5
"""Seconds that it is given to answer a Configure."""
log = structlog.get_logger(__name__)

State = deepgram_v1.Listening | deepgram_v2.Listening
Connect = Callable[
    [ListeningProfile, Callable[[wire.Message], None], Callable[[str, str], None]],
    Awaitable[Link],
]


class DeepgramHearing:
    """The port `Hearing`."""

    def __init__(
        self,
        api: Literal["v1", "v2"],
        connect: Connect,
        profile: ListeningProfile,
        on_heard: Callable[[Heard], None],
        jitter: Callable[[float, float], float],
    ) -> None:
        self._v1 = api == "v1"
        patience = profile.patience_ms
        self._state: State = deepgram_v1.Listening(patience) if self._v1 else deepgram_v2.Listening(patience)
        self._connect = connect
        self._profile = profile
        self._on_heard = on_heard
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._over = False
        self._ring: deque[bytes] = deque()
        self._kept = self._fed = 0
        self._backlog: deque[bytes] | None = None
        self._behind = self._ticked = 0
        self._credit = 0.0
        self._quiet = 0
        self._tries = len(DELAYS)
        self._opened_at = 0.0
        self._wait: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._mending: asyncio.Task[None] | None = None
        self._applied = ""
        self._configuring = 0
        self._watch = _Watch()

    # --- the port ---

    async def start(self) -> None:
        """The first connection. Raises ProviderFault."""
        await self._open()
        self._ticking = self._loop.call_later(TICK_S, self._tick)

    def feed(self, mulaw: bytes) -> None:
        """A frame: kept, and sent as it is."""
        if self._over or not mulaw:  # to the vendor, an empty message is the end of the stream
            return
        size = len(mulaw)
        if size > BURST:
            self._feed_late([mulaw[at : at + FRAME] for at in range(0, size, FRAME)])
            return
        self._keep(mulaw)
        if self._backlog is not None:
            self._backlog.append(mulaw)
            self._behind += size
            self._catch_up(self._backlog, CATCH_UP * size)
        elif self._link is not None:
            self._link.send_binary(mulaw)

    def configure(self, profile: ListeningProfile) -> None:
        """Other patience at once; what the vendor must know is told to it."""
        self._profile = profile
        self._tell(Listen(profile.patience_ms))
        self._configure()

    def unheard(self) -> bytes:
        """See `Remembering`."""
        return b"".join(self._unheard()[1])

    async def aclose(self) -> None:
        """Let the vendor go in order, but do not wait for it long."""
        self._over = True
        for timer in (self._wait, self._ticking):
            if timer:
                timer.cancel()
        if self._mending:
            self._mending.cancel()
            await asyncio.wait({self._mending})
        link, self._link = self._link, None
        if link:
            await link.aclose(CLOSE_S)

    # --- sound ---

    def _keep(self, frame: bytes) -> None:
        self._fed += len(frame)
        self._kept += len(frame)
        self._ring.append(frame)
        while self._kept > KEEP:
            self._kept -= len(self._ring.popleft())

    def _feed_late(self, frames: list[bytes]) -> None:
        """Sound that had to wait: the frames that follow it set the pace."""
        for frame in frames:
            self._keep(frame)
        if self._link is None:
            return  # it is in the ring, from which the next connection begins
        self._backlog = deque() if self._backlog is None else self._backlog
        self._backlog.extend(frames)
        self._behind += sum(map(len, frames))

    def _catch_up(self, backlog: deque[bytes], credit: float) -> None:
        """Send what waits, at the rate that is allowed. A silence that has lasted is cut short: so the next thing the
        caller says is heard when it is said, and not as late as what came before it."""
        self._credit += credit
        while backlog and len(backlog[0]) <= self._credit and self._link:
            frame = backlog.popleft()
            size = len(frame)
            self._behind -= size
            self._quiet = 0 if loud(frame) else self._quiet + size
            if self._quiet > PAUSE:
                self._state = replace(self._state, offset_ms=self._state.offset_ms + size / BYTES_PER_MS)
                continue
            self._credit -= size
            self._link.send_binary(frame)
        if not backlog:
            self._backlog = None
            self._credit = 0.0

    async def _open(self) -> None:
        """A connection, and the sound that it has to hear first. Raises ProviderFault."""
        profile = self._profile
        link = await self._connect(profile, self._on_message, self._on_lost)
        self._link = link
        self._opened_at = self._loop.time()
        self._watch = _Watch()
        self._configuring = 0
        self._applied = _wanted(self._v1, profile)
        begin, backlog = self._unheard()
        self._backlog = backlog or None
        self._behind = self._fed - begin
        self._credit = 0.0
        self._quiet = 0
        self._tell(Opened(begin / BYTES_PER_MS))
        self._configure()  # the profile may have changed meanwhile

    def _unheard(self) -> tuple[int, deque[bytes]]:
        """From where the call must be heard again, and its frames from there. Silence before them is left out."""
        at = self._fed - self._kept
        wanted = int(self._state.resume_ms * BYTES_PER_MS)
        quiet: deque[bytes] = deque()
        frames: deque[bytes] = deque()
        begin = self._fed
        for frame in self._ring:
            at += len(frame)
            if at <= wanted:
                continue
            if not frames and not loud(frame):
                quiet.append(frame)
                while sum(map(len, quiet)) > LEAD:
                    quiet.popleft()
                continue
            if not frames:
                begin = at - len(frame) - sum(map(len, quiet))
                frames.extend(quiet)
            frames.append(frame)
        return begin, frames

    # --- the machine ---

    def _at(self) -> At:
        return At((self._fed - self._behind) / BYTES_PER_MS, self._fed / BYTES_PER_MS)

    def _tell(self, event: wire.Message | Lifecycle) -> None:
        state, commands = advance(self._state, event, self._at())
        self._state = state
        for command in commands:
            self._do(command)

    def _do(self, command: Command) -> None:
        if self._over:
            return
        match command:
            case Wait(ms):
                if self._wait:
                    self._wait.cancel()
                self._wait = None if ms is None else self._loop.call_later(ms / 1_000, self._waited)
            case Force():
                self._force()
            case _:
                self._on_heard(command)

    def _waited(self) -> None:
        self._wait = None
        self._tell(Waited())

    def _force(self) -> None:
        if self._link:
            self._link.send_text(wire.FINALIZE if self._v1 else wire.FORCE_END_TURN)

    # --- the vendor ---

    def _on_message(self, message: wire.Message) -> None:
        if self._over:
            return
        if isinstance(message, wire.Configured | wire.NotConfigured):
            self._configuring = 0
            if isinstance(message, wire.NotConfigured):
                log.warning("provider_warning", stage="hearing", code=(message.code or "ConfigureFailure")[:60])
            self._configure()
            return
        self._tell(message)

    def _configure(self) -> None:
        """One at a time: the vendor refuses a second before it has answered the first."""
        if not self._link or self._configuring:
            return
        wanted = _wanted(self._v1, self._profile)
        if wanted != self._applied:
            self._applied = wanted
            self._configuring = _ANSWER
            self._link.send_text(wanted)

    def _on_lost(self, kind: str, detail: str) -> None:
        if self._over:
            return
        self._link = self._backlog = None
        self._behind = 0
        if self._loop.time() - self._opened_at >= HEALTHY_S:
            self._tries = len(DELAYS)
        self._tell(Dropped())
        self._on_heard(EarsStumbled(kind, detail))
        self._mending = self._loop.create_task(self._mend(kind, detail), name="deepgram again")

    async def _mend(self, kind: str, detail: str) -> None:
        try:
            async with asyncio.timeout(OUTAGE_S):
                while self._tries:
                    delay = DELAYS[-self._tries]
                    self._tries -= 1
                    await asyncio.sleep(self._jitter(0.0, delay))
                    try:
                        await self._open()
                    except ProviderFault as fault:
                        kind, detail = fault.kind, fault.detail
                        if isinstance(fault, Hopeless):
                            break
                    else:
                        return
        except TimeoutError:
            kind, detail = "timeout", f"not back within {OUTAGE_S:.0f} s"
        self._tell(GaveUp())
        if not self._over:
            self._over = True
            self._on_heard(EarsFailed(kind, detail))

    def _tick(self) -> None:
        """Once a second: is there still somebody at the other end, and does it know that we are here?"""
        self._ticking = self._loop.call_later(TICK_S, self._tick)
        link = self._link
        if link is None:
            return
        if self._configuring:
            self._configuring -= 1
            self._configure()
        if self._backlog is not None and self._fed == self._ticked:  # no frames set the pace
            self._catch_up(self._backlog, CATCH_UP * 1_000 * TICK_S * BYTES_PER_MS)
        self._ticked = self._fed
        match self._watch.look(link, self._fed, self._ring):
            case "force" if self._state.pending:
                self._force()
            case "keep":
                self._keep_alive(link)
            case "ping":
                link.ping()
            case "dead":
                link.fail("timeout", "it does not answer")

    def _keep_alive(self, link: Link) -> None:
        """v2 knows no KeepAlive, and v1 wants sound before the first one: silence is sound."""
        if self._v1 and self._fed:
            link.send_text(wire.KEEP_ALIVE)
            return
        link.send_binary(SILENCE * FRAME)
        self._state = replace(self._state, offset_ms=self._state.offset_ms - FRAME / BYTES_PER_MS)


class _Watch:
    """What a connection has been like, second by second."""

    def __init__(self) -> None:
        self._fed = self._messages = 0
        self._still = self._mute = self._loud = self._waited = 0
        self._pongs: int | None = None
        """How many there were when the ping was sent that is not answered yet."""
        self._pinged = False

    def look(self, link: Link, fed: int, ring: deque[bytes]) -> Literal["force", "keep", "ping", "dead", "well"]:
        """A second has passed: what is to be done?"""
        flows, self._fed = fed != self._fed, fed
        speaks, self._messages = link.messages != self._messages, link.messages
        if not flows:
            self._still += 1
            if self._still == 2:
                return "force"
            return "keep" if self._still % 4 == 0 else "well"
        self._still = 0
        if self._pongs != link.pongs:
            self._pongs, self._waited = None, 0
        if speaks:
            self._mute = self._loud = self._waited = 0
            return "well" if self._pinged else self._ping(link)  # does it answer at all?
        self._mute += 1
        self._loud += loud(b"".join(list(ring)[-50:]))
        self._waited += self._pongs is not None
        long = self._loud >= _MUTE or self._mute >= _IDLE
        if self._loud >= _MUTE_LONG or (self._waited >= _PONG and (link.pongs or long)):
            return "dead"
        return self._ping(link) if self._pongs is None else "well"

    def _ping(self, link: Link) -> Literal["ping"]:
        self._pongs, self._pinged = link.pongs, True
        return "ping"


def loud(mulaw: bytes) -> bool:
    """More than line noise in a tenth of it?"""
    return 10 * len(mulaw.translate(None, _QUIET)) > len(mulaw)


def advance(state: State, event: wire.Message | Lifecycle, at: At) -> tuple[State, tuple[Command, ...]]:
    """A step of whichever machine it is."""
    if isinstance(state, deepgram_v1.Listening):
        return deepgram_v1.step(state, event, at)
    return deepgram_v2.step(state, event, at)


def _wanted(v1: bool, profile: ListeningProfile) -> str:
    return wire.configure_v1(profile) if v1 else wire.configure_v2(profile)
