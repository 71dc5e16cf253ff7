"""Sound towards the caller: the voice, the cache of rendered lines, the ledger and the line, as one.

Only the reply that holds the turn may emit audio: whatever comes for another one is dropped here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from media_gateway.conversation.model import Directive
from media_gateway.voice.meter import TurnMeter
from media_gateway.voice.parts import Parts
from media_gateway.voice.playout import Clear, Heard, Mark, Media, Playout, Send
from media_gateway.voice.ports import Line, ProviderFault, Speaking, Spoken, SpokenAudio, SpokenEnd, VoiceFailed
from media_gateway.voice.timers import Timers

Tap = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Whom the mouth tells: the answer's first sound went out; it was heard to its end; the voice had a fault
    (provider, kind, detail); the voice is gone for good."""

    began: Callable[[], None]
    played_out: Callable[[int, Heard, Directive], None]
    fault: Callable[[str, str, str], None]
    gone: Callable[[], None]


class Mouth:
    """One per call."""

    def __init__(self, parts: Parts, line: Line, timers: Timers, listener: Listener) -> None:
        self.playout = Playout()
        self.meter = TurnMeter(0)
        self.taps: list[Tap] = []
        self.muted = False
        self._parts = parts
        self._line = line
        self._timers = timers
        self._listener = listener
        self._speaking: Speaking | None = None
        self._turn = 0
        self._clause = 0
        self._asked: dict[int, str] = {}
        self._directive: Directive | None = None

    def now(self) -> float:
        """Ms on the session's clock."""
        return self._parts.monotonic() * 1000

    # --- the voice ---

    async def open(self) -> None:
        """Open the voice, and have it say what waits for it."""
        try:
            self._speaking = await self._parts.engines.voice.open(self._spoken)
        except ProviderFault as fault:
            self._listener.fault(fault.provider, fault.kind, fault.detail)
            self.voiceless()
            self._listener.gone()
            return
        for clause, text in self._asked.items():
            self.playout.begin(self._turn, clause, text)
            self._speaking.say(self._turn, clause, text)

    async def aclose(self) -> None:
        """Let the voice go."""
        speaking, self._speaking = self._speaking, None
        if speaking:
            with suppress(ProviderFault):
                await speaking.aclose()

    def voiceless(self) -> None:
        """What was asked of the voice will not come."""
        self._speaking = None
        self._asked.clear()

    def _spoken(self, event: Spoken) -> None:
        match event:
            case SpokenAudio(reply, clause, mulaw) if reply == self._turn and clause in self._asked:
                self._sound(clause, mulaw)
            case SpokenEnd(reply, clause) if reply == self._turn and clause in self._asked:
                del self._asked[clause]
                self._send(self.playout.end(self.now(), reply, clause))
                self.check()
            case VoiceFailed(kind, detail):
                self._speaking = None
                self._listener.fault(self._parts.engines.voice.name, kind, detail)
                self._listener.gone()

    # --- a reply ---

    def begin(self, turn: int, endpointing_ms: int = 0) -> None:
        """From now on turn `turn` has the floor."""
        self.meter = TurnMeter(turn, endpointing_ms)
        self.meter.reached("committed", self.now())
        self._turn = turn
        self._clause = 0
        self._asked = {}
        self._directive = None

    def say(self, text: str) -> None:
        """Speak this clause: from the cache when it is there, else by the voice."""
        self.meter.reached("clause", self.now())
        if self.say_prerendered(text):
            return
        number = self._next(text)
        self._asked[number] = text
        if self._speaking:
            self._speaking.say(self._turn, number, text)

    def say_prerendered(self, text: str, *, answer: bool = True) -> bool:
        """Speak a line of the cache; False if it is not there. With `answer` False it only bridges the silence: the
        answer is still awaited."""
        sound = self._parts.prerendered.get(text)
        if sound is None:
            return False
        number = self._next(text)
        self._sound(number, sound, answer=answer)
        self._send(self.playout.end(self.now(), self._turn, number))
        return True

    def answered(self, directive: Directive) -> None:
        """No more clauses come; `directive.after` applies once all has been heard."""
        self._directive = directive
        self.check()

    def _next(self, text: str) -> int:
        self._clause += 1
        self.playout.begin(self._turn, self._clause, text)
        return self._clause

    def _sound(self, clause: int, mulaw: bytes, *, answer: bool = True) -> None:
        now = self.now()
        if answer:
            self.meter.reached("sound", now)
        self._send(self.playout.audio(now, self._turn, clause, mulaw))
        if answer:
            self.meter.reached("media", now)
            self._listener.began()

    def _send(self, sends: Sequence[Send]) -> None:
        if self.muted:
            return
        for send in sends:
            match send:
                case Media(mulaw):
                    self._line.media(mulaw)
                    self._tap(mulaw)
                case Mark(name):
                    self._line.mark(name)
                case Clear():
                    self._line.clear()
                    self._tap(b"")

    def _tap(self, mulaw: bytes) -> None:
        for tap in self.taps:
            tap(1, mulaw)

    # --- what the caller heard ---

    def echoed(self, name: str) -> None:
        """A mark came back."""
        now = self.now()
        self.playout.echoed(now, name)
        if name.startswith(f"{self.playout.generation}."):
            self.meter.reached("played", now)
        self.check()

    def check(self) -> None:
        """A reply is over when all of it was given to the voice, all of that sounded, and all of that was heard."""
        if self._directive is None or self._asked or self.muted or self.playout.held:
            return
        now = self.now()
        if not self.playout.drained(now):
            self._timers.arm("drain", self.playout.remaining_ms(now) + 100)
            return
        directive, self._directive = self._directive, None
        self._timers.disarm("drain")
        heard = self.playout.heard(now, self._turn)
        self.playout.forget(self._turn)
        self._listener.played_out(self._turn, heard, directive)

    # --- interruption ---

    def hold(self) -> None:
        """Fall silent, forget nothing."""
        self._send(self.playout.hold(self.now()))

    def resume(self) -> None:
        """Go on from the last heard word."""
        self._send(self.playout.resume(self.now()))
        self.check()

    def cut(self) -> Heard:
        """Give up what was not heard of the reply; how much was."""
        if self._speaking:
            self._speaking.cancel(self._turn)
        heard = self.playout.heard(self.now(), self._turn)
        self._send(self.playout.cut(self.now()))
        self.playout.forget(self._turn)
        self._timers.disarm("drain")
        self._asked.clear()
        self._directive = None
        return heard
