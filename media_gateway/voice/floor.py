"""The floor of a call: carries out what the turn machine decides, tells it what the ear and the mouth report, and books
what was said and heard. One a call; everything here happens on the event loop and returns at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import structlog

from media_gateway.conversation.model import (
    Directive,
    HeardDigits,
    HeardText,
    Input,
    Quiet,
    Started,
    VoicemailReached,
)
from media_gateway.voice import prices
from media_gateway.voice import turns as machine
from media_gateway.voice.answering import Answering
from media_gateway.voice.clauses import Clauser
from media_gateway.voice.ear import Ear
from media_gateway.voice.mouth import TIMERS, Listener, Mouth
from media_gateway.voice.opening import Kept
from media_gateway.voice.pace import BargeIn, missed
from media_gateway.voice.parts import Parts
from media_gateway.voice.playout import Heard
from media_gateway.voice.ports import (
    EagerFinal,
    EarsFailed,
    Final,
    Line,
    Message,
    Partial,
    SpeechEnded,
    SpeechStarted,
    TurnResumed,
    Usage,
)
from media_gateway.voice.ports import Heard as HeardSound
from media_gateway.voice.scribe import Scribe
from media_gateway.voice.silence import FIRST_MS, Silence
from media_gateway.voice.timers import Timers
from realtime.clock import iso
from realtime.events import EventType, LiveType

log = structlog.get_logger()

MAX_LINES = 4
"""Announcements that may wait."""
WAITING = (machine.Phase.CONNECTING, machine.Phase.THINKING, machine.Phase.LEAVING)
"""While the caller has nobody to hear but us."""
SILENCE_AGAIN_MS = 500.0
"""How often a silence that was told is looked at again: a break is told once, and the next one too."""

Ending = Literal["caller", "hangup", "handoff", "lost", "move", "fenced"]
"""Why the stream ended: the caller hung up, we did, a human takes over, the socket broke, this instance is going
away, another instance has taken the call."""


@dataclass(slots=True)
class _Announcement:
    """A line that is not the conversation's own; `by` is who wanted it said. `done` is how much of it was heard, None
    if it was never begun."""

    text: str
    after: Literal["listen", "hangup", "handoff"]
    by: str | None
    done: asyncio.Future[Heard | None]
    turn: int | None = None


class Floor:
    """`over` is set once the stream is to end, and `ending` says why. `reopen` is asked for an engine that was lost.
    Satisfies `answering.Stage`."""

    def __init__(
        self,
        parts: Parts,
        call_id: str,
        scribe: Scribe,
        line: Line,
        *,
        reopen: Callable[[Ear | Mouth], None],
        telephone: bool = True,
    ) -> None:
        self.turns = machine.Turns()
        self.timers = Timers(self._timer_fired)
        self.answering: Answering | None = None
        self.ending: Ending | None = None
        self.over = asyncio.Event()
        self.tokens = 0
        self.cost: dict[str, float] = {}
        """US dollars so far, by part and in all (`prices.cost`)."""
        self.hello: Started | None = None
        """What the conversation was begun with."""
        self.unreached = False
        """The caller is back from a person who was not there: a call that is broken does not send them there again."""
        self._announcements: dict[str, _Announcement] = {}
        self._parts = parts
        self._call_id = call_id
        self._scribe = scribe
        self._reopen = reopen
        self._billed_at = parts.monotonic()
        self._barge_in = BargeIn()
        engines = parts.engines
        self._vendors = prices.Vendors(
            ears=engines.ears.name, mind=engines.mind.name, voice=engines.voice.name, telephone=telephone
        )
        self._lines = self._idles = self._endpointing_ms = 0
        self._silence = Silence()
        listener = Listener(
            sounds=lambda now, until: self._silence_broken(self._silence.sounds(now, until)),
            began=self._began,
            caption=partial(self._show, LiveType.AI_RESPONSE_CHUNK),
            ran_dry=lambda: self.tell(machine.RanDry()),
            played_out=self._played_out,
            fault=partial(self.fault, "speaking"),
            lost=lambda for_good: self._engine_lost(self.mouth, for_good),
        )
        self.mouth = Mouth(parts, line, self.timers, listener)
        self.ear = Ear(
            parts,
            heard=self._heard,
            fault=partial(self.fault, "hearing"),
            lost=lambda for_good: self._engine_lost(self.ear, for_good),
        )

    def end(self, ending: Ending) -> None:
        """The stream is over, or is to be; the first reason counts."""
        if self.ending:
            return
        self.ending = ending
        self.mouth.muted = True
        self.tell(machine.Stopped())
        for waiting in self._announcements.values():
            waiting.done.set_result(None)
        self._announcements.clear()
        self.over.set()

    def take_over(self, before: Kept) -> None:
        """Go on where another instance was."""
        assert self.answering
        self.answering.history += before.history
        self.tokens = before.tokens
        self.cost = dict(before.cost)
        self.turns = self.turns.counted_on(before.turn)

    def digit(self, digit: str) -> None:
        """A key was pressed. Where keys are no answer it is written down, and that is all."""
        if self.ending:
            return
        self._scribe.note(EventType.DTMF, {"turn": self.turns.turn, "digit": digit})
        if self.ear.profile.dtmf:
            self.tell(machine.Key(digit))

    def loud(self, on: bool, since_ms: float) -> None:
        """The caller's line became loud so long ago, while we speak; or soft."""
        if on:
            self._signed(since_ms)
        self.tell(machine.Loud(on))

    # --- what is not the conversation's own ---

    def announce(
        self,
        text: str,
        *,
        now: bool = False,
        after: Literal["listen", "hangup", "handoff"] = "listen",
        by: str | None = None,
    ) -> asyncio.Future[Heard | None]:
        """Say this line, as a turn of its own: when nobody is in the middle of something, or `now`. The future says how
        much of it was heard, None if it never came to that."""
        done: asyncio.Future[Heard | None] = asyncio.get_running_loop().create_future()
        if self.ending or len(self._announcements) >= MAX_LINES:
            done.set_result(None)
            return done
        self._lines += 1
        key = str(self._lines)
        self._announcements[key] = _Announcement(text, after, by, done)
        self.tell(machine.Announce(key, now))
        return done

    def _announcing(self, turn: int, key: str) -> None:
        line = self._announcements[key]
        line.turn = turn
        self.mouth.begin(turn)
        if line.after != "listen":
            self.tell(machine.Interruptible(False))
        clauser = Clauser()
        for clause in [*clauser.feed(line.text), *clauser.flush()]:
            self.mouth.say(clause)
        self.mouth.answered(Directive(say=line.text, after=line.after))

    def _announced(self, turn: int, heard: Heard) -> str | None:
        """Who wanted what was said in this turn, if it was an announcement; it is over now."""
        key = next((key for key, line in self._announcements.items() if line.turn == turn), None)
        if key is None:
            return None
        line = self._announcements.pop(key)
        line.done.set_result(heard)
        return line.by

    def bridge(self) -> None:
        """Say that somebody is coming."""
        self.mouth.begin(self.turns.turn)
        self.mouth.say_prerendered(self._parts.filler, answer=False)

    def overheard(self, speaker: Literal["user", "supervisor"], turn: int, text: str, understood: bool = True) -> None:
        """This was said between the caller and a supervisor: it is kept, and belongs to what was said."""
        data = {"turn": turn, "speaker": speaker, "text": text, "confidence": None, "understood": understood}
        self._scribe.note(EventType.FINAL_TRANSCRIPT, data)
        if self.answering:
            self.answering.history.append(Message("user" if speaker == "user" else "assistant", text))

    def _regained(self, turn: int) -> None:
        """The conversation goes on where it was: it is started once more."""
        assert self.answering
        assert self.hello
        self.mouth.begin(turn)
        self.answering.tell(turn, replace(self.hello, now=self._parts.local_now()))

    # --- engines ---

    def _engine_lost(self, engine: Ear | Mouth, for_good: bool) -> None:
        if for_good:
            self.tell(machine.GaveUp())
        else:
            self._reopen(engine)

    def fault(self, stage: str, provider: str, kind: str, detail: str) -> None:
        """A provider did not do its part: written down."""
        log.warning("provider_fault", call_id=self._call_id, stage=stage, kind=kind)
        self._parts.telemetry.fault(self._call_id, stage, provider, kind)
        data = {"stage": stage, "provider": provider, "kind": kind, "detail": detail}
        self._scribe.note(EventType.PROVIDER_FAULT, data)

    def _leave(self, turn: int) -> None:
        """The call cannot go on: apologise with the sound that is at hand, and hand the caller to a human if there is
        one."""
        line = self._parts.regret if self.unreached else self._parts.apology
        self.mouth.begin(turn)
        self.mouth.say_prerendered(line)
        after: Literal["hangup", "handoff"] = "hangup" if self.unreached else "handoff"
        self.mouth.answered(Directive(say=line, after=after, interruptible=False))

    def _heard(self, event: HeardSound) -> None:
        """The recogniser's callback."""
        match event:
            case SpeechStarted():
                self._signed()
                self.tell(machine.Sound(True))
            case SpeechEnded():
                self._barge_in.nothing()
                self.tell(machine.Sound(False))
            case Partial(text):
                self._signed()
                self.tell(machine.Words(text))
                self._show(LiveType.PARTIAL_TRANSCRIPT, {"turn": self.turns.turn + 1, "text": text})
            case EagerFinal(text):
                if self.answering and self.turns.phase is machine.Phase.LISTENING:
                    self.answering.guess(text)
            case TurnResumed():
                if self.answering:
                    self.answering.resumed()
            case Final(text, _, understood, speech_end_ms):
                self._endpointing_ms = speech_end_ms or 0
                self.tell(machine.Utterance(text, understood))
                self._endpointing_ms = 0
            case EarsFailed():
                pass  # the ear has dealt with it

    # --- the turn machine's commands ---

    def tell(self, event: machine.TurnEvent) -> None:
        """One step of the turn machine."""
        before = self.turns
        self.turns, commands = machine.step(before, event)
        if self.turns.phase is not before.phase or self.turns.turn != before.turn:
            self._watch_silence(before)
        for command in commands:
            self._do(command)
        if self.turns.phase not in (machine.Phase.SPEAKING, machine.Phase.HELD):
            self._barge_in.nothing()  # a sign that came to nothing is none of the next answer

    def _do(self, command: machine.TurnCommand) -> None:
        match command:
            case machine.Arm(name, ms):
                self.timers.arm(name, ms)
            case machine.Disarm(name):
                self.timers.disarm(name)
            case machine.Hold():
                self.mouth.hold()
                self._silenced()
            case machine.Resume(words):
                self._interrupted(words, None, confirmed=False)
                self.mouth.resume()
            case machine.Ignored(words):
                self._barge_in.nothing()
                self._interrupted(words, None, confirmed=False)
            case machine.Cut(turn, words, caller):
                self._cut(turn, words, caller)
            case machine.Say(what, _):
                self._stand_in(what)
            case machine.Commit(turn, text, understood):
                self._commit(turn, text, understood)
            case machine.Leave(turn):
                self._leave(turn)
            case machine.CommitKeys(turn, digits):
                self._answer(turn, HeardDigits(digits, self._parts.local_now()), digits)
            case machine.Announcing(turn, key):
                self._announcing(turn, key)
            case machine.Overheard(turn, text, understood):
                self.overheard("user", turn, text, understood)
            case machine.Regained(turn):
                self._regained(turn)
            case machine.LeaveMessage(turn):
                self._answer(turn, VoicemailReached(self._parts.local_now()))
            case machine.Idle(turn):
                self._idles += 1
                self._scribe.note(EventType.IDLE, {"turn": turn, "count": self._idles})
                self._answer(turn, Quiet(self._parts.local_now()))

    def _timer_fired(self, name: str) -> None:
        if name in TIMERS:
            self.mouth.timer_fired(name)
        elif name == "silence":
            now = self.mouth.now()
            self._silence_broken(self._silence.broken(now))
            left = self._silence.left(now)
            self.timers.arm(name, left if left > 0 else SILENCE_AGAIN_MS)
        else:
            self.tell(machine.TimerFired(name))

    def _commit(self, turn: int, text: str, understood: bool) -> None:
        data = {"turn": turn, "speaker": "user", "text": text, "confidence": None, "understood": understood}
        self._scribe.note(EventType.FINAL_TRANSCRIPT, data)
        self._answer(turn, HeardText(text, self._parts.local_now(), understood), text)

    def _answer(self, turn: int, event: Input, text: str = "") -> None:
        """`text` is the caller's turn as a model is shown it."""
        assert self.answering  # no turn is committed before the call was opened
        if text:
            self.answering.history.append(Message("user", text))
        self.mouth.begin(turn, self._endpointing_ms)
        self._endpointing_ms = 0
        self.answering.tell(turn, event)

    def _cut(self, turn: int, words: str, caller: bool) -> None:
        """The caller has the floor, or the call is over."""
        if self.answering:
            self.answering.cut()
        heard = self.mouth.cut()
        self._silenced()
        if caller and (words or heard.full_text):
            self._interrupted(words, heard, confirmed=True)
        self._book(turn, heard)

    def _signed(self, ago_ms: float = 0.0) -> None:
        if self.turns.phase is machine.Phase.SPEAKING and self.turns.interruptible:
            self._barge_in.sign(self.mouth.now() - ago_ms)

    def _silenced(self) -> None:
        """An alert counts these lines and those of turns that were slow (infra/gcloud/alerts.py)."""
        ms = self._barge_in.silenced(self.mouth.now())
        if ms is not None:
            log.warning("barge_in_slow", call_id=self._call_id, ms=ms)

    def _interrupted(self, words: str, heard: Heard | None, *, confirmed: bool) -> None:
        said = {"confirmed": confirmed, "words": words, "heard_text": heard and heard.text}
        self._scribe.note(EventType.INTERRUPTION, {"turn": self.turns.turn, **said})

    def _stand_in(self, what: str) -> None:
        """Nothing has been heard for too long: say something that is at hand."""
        if what != "apology":
            line = self._parts.filler if what == "filler" else self._parts.working
            self.mouth.say_prerendered(line, answer=False)
            return
        self.fault("answering", "turn", "timeout", "nothing to say in time")
        self.mouth.say_prerendered(self._parts.apology, answer=False)

    # --- the silence that must not be ---

    def begin(self) -> None:
        """Somebody is on the line and hears nothing yet."""
        self._silence.waits(self.mouth.now())
        self.timers.arm("silence", FIRST_MS)

    def _watch_silence(self, before: machine.Turns) -> None:
        """Whether the caller waits for us now."""
        if self.turns.phase not in WAITING:
            self._silence.over()
            self.timers.disarm("silence")
        elif before.phase not in WAITING or self.turns.turn != before.turn:
            self.begin()

    def _silence_broken(self, ms: float | None) -> None:
        """An alert counts this line (infra/gcloud/alerts.py)."""
        if ms is not None:
            log.error("silence_broken", call_id=self._call_id, ms=round(ms))

    # --- Answering's stage ---

    def current(self, turn: int) -> bool:
        """Does this turn still have the floor?"""
        return turn == self.turns.turn and self.ending is None

    def directed(self, turn: int, directive: Directive) -> None:
        """The manager has decided."""
        self.ear.configure(directive.listening)
        self.tell(machine.Interruptible(directive.interruptible))

    def working(self, turn: int, on: bool) -> None:
        """Tools run for this turn, or have ended."""
        if self.current(turn):
            self.mouth.meter.working(on, self.mouth.now())
            self.tell(machine.Working(on))

    def thought(self, turn: int, text: str) -> None:
        """More text of the answer."""
        if self.current(turn):
            self.mouth.thought(text)

    def say(self, turn: int, clause: str) -> None:
        """Speak this clause."""
        if self.current(turn):
            self.mouth.say(clause)

    def used(self, turn: int, usage: Usage) -> None:
        """Tokens were used, whether or not the answer was wanted in the end."""
        self.tokens += usage.prompt + usage.completion
        if self.current(turn):
            self.mouth.meter.used(usage.prompt, usage.completion, usage.cached)

    def answered(self, turn: int, directive: Directive) -> None:
        """All of the answer has been given to the voice."""
        if self.current(turn):
            self.mouth.answered(directive)

    # --- the mouth's listener ---

    def _began(self) -> None:
        """Every piece of sound says so; it is news only where sound is awaited."""
        if self.turns.phase is machine.Phase.THINKING:
            self.tell(machine.AudioBegan())

    def _played_out(self, turn: int, heard: Heard, directive: Directive) -> None:
        self._book(turn, heard)
        if directive.after == "listen":
            self.tell(machine.PlayedOut())
        else:
            self.end(directive.after)

    def _book(self, turn: int, heard: Heard) -> None:
        """What was heard goes into the history, the journal, and the turn's figures."""
        by = self._announced(turn, heard)
        data: dict[str, object] = {
            "turn": turn,
            "speaker": "assistant",
            "text": heard.text,
            "full_text": heard.full_text,
            "interrupted": not heard.whole,
            "heard_ms": heard.ms,
        }
        if by:
            data["by"] = by
        if heard.full_text:
            self._scribe.note(EventType.AI_RESPONSE_COMPLETE, data)
        if self.answering and heard.text:
            self.answering.history.append(Message("assistant", heard.text))
        meter = self.mouth.meter
        if turn == meter.turn and not meter.told and (heard.full_text or meter.total_tokens):
            meter.told = True
            metrics = {**meter.data(), "cost": self.bill(characters=meter.characters, **meter.tokens)}
            self._scribe.note(
                EventType.TURN_METRICS, metrics, change={"total_tokens": self.tokens, "cost": dict(self.cost)}
            )
            self._parts.telemetry.turn(self._call_id, metrics)
            if waits := missed(metrics["stages"]):
                log.warning("turn_slow", call_id=self._call_id, turn=turn, **waits)

    def bill(self, **used: int) -> dict[str, float]:
        """What this and the time since the last bill cost; it is added to what the call has cost."""
        now = self._parts.monotonic()
        seconds, self._billed_at = now - self._billed_at, now
        bill = prices.cost(self._vendors, seconds=seconds, **used)
        self.cost = {part: round(self.cost.get(part, 0.0) + usd, 6) for part, usd in bill.items()}
        return bill

    def _show(self, type_: LiveType, data: Mapping[str, object]) -> None:
        self._parts.audience.live(self._call_id, type_, data, iso(self._parts.clock()))
