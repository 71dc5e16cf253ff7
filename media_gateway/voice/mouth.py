"""Sound towards the caller: the voice, the cache of rendered lines, the ledger and the line, as one.

Only the reply that holds the turn may emit audio: whatever comes for another one is dropped here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from media_gateway.conversation.model import Directive
from media_gateway.voice.captions import Captions
from media_gateway.voice.letting_go import close, letting_go
from media_gateway.voice.meter import TurnMeter
from media_gateway.voice.parts import Parts
from media_gateway.voice.playout import Clear, Heard, Mark, Media, Playout, Send
from media_gateway.voice.ports import (
    Line,
    ProviderFault,
    Several,
    Speaking,
    Spoken,
    SpokenAudio,
    SpokenEnd,
    SpokenTogether,
    Timing,
    VoiceFailed,
    VoiceTrouble,
)
from media_gateway.voice.spoken_form import to_spoken
from media_gateway.voice.timers import Timers

Tap = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Whom the mouth tells: sound goes out at a time, and will have been heard by another (ms); it was sound of the
    answer; its words, to be shown (`Captions`); what went out was heard and more is awaited; the answer was heard to
    its end; the voice had a fault (provider, kind, detail); it has to be opened again, or (True) is gone for good."""

    sounds: Callable[[float, float], None]
    began: Callable[[], None]
    caption: Callable[[Mapping[str, object]], None]
    ran_dry: Callable[[], None]
    played_out: Callable[[int, Heard, Directive], None]
    fault: Callable[[str, str, str], None]
    lost: Callable[[bool], None]


TIMERS = ("drain", "voice")
"""The mouth's own timers: when what was sent should have been heard; when the voice owes us sound."""
DRAIN_SLACK_MS = 100
TRIES = 2
"""How often in a row the voice is opened again before it counts as gone for good: by the stand-in, and once more."""
AGAIN_MS = (50.0, 300.0)
"""How long the second try waits, at random: a voice that is restarting meets all its calls at once."""


class Mouth:
    """One per call."""

    def __init__(self, parts: Parts, line: Line, timers: Timers, listener: Listener) -> None:
        self.playout = Playout(parts.pace_of(parts.engines.voice.name))
        self.meter = TurnMeter(0)
        self.taps: list[Tap] = []
        self.muted = False
        self.opener = ""
        """Said before a greeting that is not at hand as sound; "": nothing is."""
        self._parts = parts
        self._voice = parts.engines.voice
        self._line = line
        self._timers = timers
        self._listener = listener
        self._captions = Captions(listener.caption)
        self._speaking: Speaking | None = None
        self._failed: Speaking | None = None
        self._opening = 0
        self._tries = TRIES
        self._sounded_at = 0.0
        self._turn = 0
        self._clause = 0
        self._asked: dict[int, str] = {}
        """Clauses the voice owes the end of, and what it was given of them to say."""
        self._told_all = False
        self._directive: Directive | None = None
        self._answer_mark: int | None = None

    def now(self) -> float:
        """Ms on the session's clock."""
        return self._parts.monotonic() * 1000

    # --- the voice ---

    async def open(self) -> None:
        """Open the voice, or open it again, and have it say what waits for it: of a clause in which it broke off, the
        rest."""
        going = (self._speaking, self._failed)
        self._speaking = self._failed = None
        async with letting_go(going, self._parts.patience.close):
            await self._open()

    async def _open(self) -> None:
        self._opening += 1
        opening = self._opening
        if self._tries < TRIES - 1:
            await asyncio.sleep(random.uniform(*AGAIN_MS) / 1000)  # noqa: S311 (jitter, not a secret)
        try:
            async with asyncio.timeout(self._parts.patience.open):
                speaking = await self._voice.open(lambda event: self._spoken(opening, event))
        except ProviderFault as fault:
            self._gone(fault.provider, fault.kind, fault.detail)
            return
        except TimeoutError:
            self._gone(self._voice.name, "timeout", "not open in time")
            return
        if opening != self._opening:  # it failed before it was open
            self._failed = speaking
            await self.aclose()
            return
        self._speaking = speaking
        self._say_the_rest(speaking)
        self._expect_sound()

    def _say_the_rest(self, speaking: Speaking) -> None:
        for clause, text in list(self._asked.items()):
            rest = self.playout.again(self._turn, clause) if self.playout.sounded(self._turn, clause) else text
            if rest:
                self._asked[clause] = rest
                speaking.say(self._turn, clause, rest)
            else:
                self._ended(clause)
        if self._told_all and self._asked:
            speaking.done(self._turn)
        if not self._asked:
            self.check()

    async def aclose(self) -> None:
        """Let the voice go."""
        going = (self._speaking, self._failed)
        self._speaking = self._failed = None
        await close(going, self._parts.patience.close)

    def _spoken(self, opening: int, event: Spoken) -> None:
        if opening != self._opening:
            return
        match event:
            case SpokenAudio(reply, clause, mulaw, timing) if reply == self._turn and clause in self._asked:
                self._sounded_at = self.now()
                self._sound(clause, mulaw, timing)
            case SpokenEnd(reply, clause) if reply == self._turn and clause in self._asked:
                if not self.playout.sounded(reply, clause):
                    self._gone(self._voice.name, "broken", "no sound")
                    return
                self._sounded_at = self.now()
                self._tries = TRIES  # it works again
                self._ended(clause)
                self.check()
            case SpokenTogether(reply, first, last) if reply == self._turn:
                self._together(first, last)
            case VoiceTrouble(provider, kind, detail):
                self._listener.fault(provider, kind, detail)
            case VoiceFailed(kind, detail, provider):
                self._gone(provider or self._voice.name, kind, detail)

    def _together(self, first: int, last: int) -> None:
        if first not in self._asked:
            return
        for clause in range(first + 1, last + 1):
            more = self._asked.pop(clause, "")
            self._asked[first] += f" {more}" if more else ""
        self.playout.join(self._turn, first, last)

    def _ended(self, clause: int) -> None:
        del self._asked[clause]
        self._send(self.playout.end(self._turn, clause))

    def _gone(self, provider: str, kind: str, detail: str) -> None:
        self._opening += 1
        self._failed, self._speaking = self._speaking or self._failed, None
        self._timers.disarm("voice")
        if isinstance(self._parts.engines.voice, Several):
            self._voice = self._parts.engines.voice.without(provider)
            self.playout.pace = self._parts.pace_of(self._voice.name)
        self._listener.fault(provider, kind, detail)
        self._tries -= 1
        self._listener.lost(self._tries < 0)

    def _expect_sound(self) -> None:
        """From now on the voice owes us sound."""
        if self._asked and self._speaking and not self._timers.armed("voice"):
            self._sounded_at = self.now()
            self._timers.arm("voice", self._parts.patience.sound * 1000)

    def timer_fired(self, name: str) -> None:
        """One of `TIMERS`."""
        if name == "drain":
            self.check()
        elif self._asked and self._speaking:
            left = self._sounded_at + self._parts.patience.sound * 1000 - self.now()
            if left > 0:
                self._timers.arm("voice", left)
            else:
                self._gone(self._voice.name, "timeout", "no sound in time")

    # --- a reply ---

    def begin(self, turn: int, endpointing_ms: int = 0) -> None:
        """From now on turn `turn` has the floor."""
        self.meter = TurnMeter(turn, endpointing_ms)
        self.meter.reached("committed", self.now())
        self._captions.begin()
        self._clause = self._clause if turn == self._turn else 0  # what was said before the greeting counts
        self._turn = turn
        self._asked = {}
        self._told_all = False
        self._directive = None
        self._answer_mark = None

    @property
    def unheard(self) -> bool:
        """Nothing has been said in this call yet."""
        return not self.playout.generation and not self.playout.sent_ms

    def thought(self, text: str) -> None:
        """More text of the answer has come."""
        now = self.now()
        self.meter.reached("text", now)
        self._captions.add(now, self._turn, text)

    def say(self, text: str) -> None:
        """Speak this clause: from the cache when it is there and would not overtake the voice, else by the voice."""
        self.meter.reached("clause", self.now())
        if not self._asked and self.say_prerendered(text):
            return
        self.say_something()
        number, spoken = self._next(text)
        self._asked[number] = spoken
        self.meter.characters += len(spoken)
        if self._speaking:
            self._speaking.say(self._turn, number, spoken)
            self._expect_sound()

    def say_something(self) -> None:
        """Whoever calls hears at once that somebody is there."""
        if self.opener and self.unheard and not self.muted:
            self.say_prerendered(self.opener, answer=False)

    def say_prerendered(self, text: str, *, answer: bool = True) -> bool:
        """Speak a line of the cache; False if it is not there. With `answer` False it only bridges the silence: the
        answer is still awaited."""
        sound = self._parts.prerendered.get(text)
        if sound is None:
            return False
        number, _ = self._next(text)
        self._sound(number, sound, answer=answer)
        self._send(self.playout.end(self._turn, number))
        return True

    def answered(self, directive: Directive) -> None:
        """No more clauses come; `directive.after` applies once all has been heard."""
        self._directive = directive
        self._told_all = True
        self._captions.flush(self._turn)
        if self._speaking and self._asked:
            self._speaking.done(self._turn)
        self.check()

    def _next(self, text: str) -> tuple[int, str]:
        """The number of a new clause, and its text as it is spoken."""
        self._clause += 1
        said = to_spoken(text)
        self.playout.begin(self._turn, self._clause, said)
        return self._clause, said.text

    def _sound(self, clause: int, mulaw: bytes, timing: Timing = (), *, answer: bool = True) -> None:
        now = self.now()
        if answer:
            self.meter.reached("sound", now)
            if self._answer_mark is None:
                self._answer_mark = self.playout.marks_sent + 1
        self._send(self.playout.audio(now, self._turn, clause, mulaw, timing))
        remaining = self.playout.remaining_ms(now)
        if not self._timers.armed("drain"):
            self._timers.arm("drain", remaining + DRAIN_SLACK_MS)
        if not self.playout.held:
            self._listener.sounds(now, now + remaining)
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

    def relay(self, mulaw: bytes) -> None:
        """Sound of a supervisor, to the caller as it is: it is no part of any reply."""
        if not self.muted:
            self._line.media(mulaw)
            self._tap(mulaw)

    def _tap(self, mulaw: bytes) -> None:
        for tap in self.taps:
            tap(1, mulaw)

    # --- what the caller heard ---

    def echoed(self, name: str) -> None:
        """A mark came back."""
        now = self.now()
        self.playout.echoed(now, name)
        if self._answer_mark is not None and self.playout.marks_heard >= self._answer_mark:
            self.meter.reached("played", now)
        self.check()

    def check(self) -> None:
        """A reply is over when all of it was given to the voice, all of that sounded, and all of that was heard."""
        if self.muted or self.playout.held:
            return
        now = self.now()
        if not self.playout.drained(now):
            self._timers.arm("drain", self.playout.remaining_ms(now) + DRAIN_SLACK_MS)
            return
        if self._directive is None or self._asked:
            self._listener.ran_dry()
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
        for timer in TIMERS:
            self._timers.disarm(timer)
        self._asked.clear()
        self._directive = None
        return heard
