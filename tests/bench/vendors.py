"""The simulated vendors with a stopwatch: when each said or was asked something of which call and which turn.

A caller's first word of a turn names call and turn; the model's answer begins with it; the voice's sound carries it.
So no party that is measured has to help with it.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from websockets.http11 import Request

from infra.simulators import mulaw, openai_brain
from infra.simulators.deepgram import Deepgram
from infra.simulators.deepgram_listen import DeepgramListen
from infra.simulators.deepgram_listen_words import HeardWord
from infra.simulators.deepgram_speak import PATH, DeepgramSpeak, Delays
from infra.simulators.openai_api import Asked, OpenAiApi
from infra.simulators.openai_reply import Call, Reply, tokens
from infra.simulators.vendor_socket import Refusal, Talk, VendorSocket

Turn = tuple[int, int]
"""Which call, and which turn of it."""
REST = ("where", "are", "you", "located", "please")
SPEECH, SOUND = b"\x01\x81", b"\x02\x82"
WORD_FRAMES = 8
FRAME = 160
SHORT_MS, LONG_MS = 800, 4_000
TOOL_EVERY = 4
TOOL = "get_available_slots"
"""Looked up in the records, with arguments that it takes: a whole round of a tool, read from the store."""
_NAME = re.compile(r"\bz([a-j]{5})z\b")
now = time.perf_counter


def name(call: int, turn: int) -> str:
    """The word that names a turn."""
    return "z" + "".join("abcdefghij"[int(digit)] for digit in f"{call:03d}{turn:02d}") + "z"


def named(text: str) -> Turn | None:
    """The last turn that is named in a text."""
    found = _NAME.findall(text)
    if not found:
        return None
    digits = "".join(str("abcdefghij".index(letter)) for letter in found[-1])
    return int(digits[:3]), int(digits[3:])


def tag(magic: bytes, call: int, turn: int, word: int = 0) -> bytes:
    """20 ms of sound that says whose it is."""
    return (magic + bytes((call >> 8, call & 255, turn, word))).ljust(FRAME, b"\x01")


def read_tag(mulaw: bytes, magic: bytes) -> tuple[int, int, int] | None:
    """Call, turn, word."""
    return (mulaw[2] << 8 | mulaw[3], mulaw[4], mulaw[5]) if mulaw[:2] == magic else None


def utterance(call: int, turn: int) -> list[bytes]:
    """What a caller says in a turn, in frames."""
    return [tag(SPEECH, call, turn, word) for word in range(1 + len(REST)) for _ in range(WORD_FRAMES)]


@dataclass(slots=True)
class Watch:
    """Seconds, by turn; `interim` by call. `legs`: from a caller's frame sent to the recogniser."""

    spoke: dict[Turn, float] = field(default_factory=dict)
    legs: dict[Turn, float] = field(default_factory=dict)
    end_of_turn: dict[Turn, float] = field(default_factory=dict)
    asked: dict[Turn, float] = field(default_factory=dict)
    thought: dict[Turn, float] = field(default_factory=dict)
    clause: dict[Turn, float] = field(default_factory=dict)
    speak: dict[Turn, float] = field(default_factory=dict)
    sound: dict[Turn, float] = field(default_factory=dict)
    media: dict[Turn, float] = field(default_factory=dict)
    interim: dict[int, float] = field(default_factory=dict)
    tools_asked: int = 0
    tools_answered: int = 0


@dataclass(slots=True)
class Reader:
    """Recognises by the tags."""

    watch: Watch
    _last: tuple[int, int, int] | None = None

    def hear(self, mulaw: bytes, at_ms: float, ms: float) -> Sequence[HeardWord]:
        """See `Source`."""
        read = read_tag(mulaw, SPEECH)
        if read is None or read == self._last:
            return ()
        self._last = read
        call, turn, word = read
        if not word and (call, turn) in self.watch.spoke:
            self.watch.legs[call, turn] = now() - self.watch.spoke[call, turn]
        return (HeardWord(REST[word - 1] if word else name(call, turn), at_ms, at_ms + ms),)


LINEAR, MULAW = "encoding=linear16", "encoding=mulaw"
"""A peer has linear samples in both directions, at the line's rate: the simulators, which know mu-law alone, hear and
say the same, exactly."""
_to_mulaw, _to_linear = lru_cache(4096)(mulaw.encode), lru_cache(4096)(mulaw.decode)


@dataclass(slots=True)
class _Timed:
    """A talk whose requests are noted."""

    talk: Talk
    note: Callable[[str], None]
    linear: bool = False

    def opened(self) -> None:
        self.talk.opened()

    def binary(self, data: bytes) -> None:
        self.talk.binary(_to_mulaw(data) if self.linear else data)

    def text(self, text: str) -> None:
        self.note(text)
        self.talk.text(text)

    def error_message(self) -> str:
        return self.talk.error_message()

    def gone(self) -> None:
        self.talk.gone()


class TimedDeepgram(Deepgram):
    """Ears and voice."""

    def __init__(self, watch: Watch) -> None:
        listen = DeepgramListen(lambda: Reader(watch))
        super().__init__(listen, DeepgramSpeak(sound=sound_of, delays=Delays(first_ms=100.0, every_ms=15.0)))
        self._watch = watch

    def _enter(self, request: Request, socket: VendorSocket) -> Talk | Refusal:
        said = self._sounded if request.path.startswith(PATH) else self._heard
        send = socket.send
        linear = LINEAR in request.path

        def noted(message: str | bytes) -> None:
            said(message)
            send(_to_linear(message) if linear and isinstance(message, bytes) else message)

        socket.send = noted  # type: ignore[method-assign]
        talk = super()._enter(replace(request, path=request.path.replace(LINEAR, MULAW)), socket)
        return talk if isinstance(talk, Refusal) else _Timed(talk, self._told, linear)

    def _heard(self, message: str | bytes) -> None:
        turn = named(message) if isinstance(message, str) else None
        if turn is None:
            return
        if '"EndOfTurn"' in message or '"EagerEndOfTurn"' in message:
            if turn not in self._watch.asked:
                self._watch.end_of_turn[turn] = now()
        else:
            self._watch.interim[turn[0]] = now()

    def _told(self, text: str) -> None:
        if '"Speak"' in text and (turn := named(text)):
            self._watch.speak.setdefault(turn, now())

    def _sounded(self, message: str | bytes) -> None:
        if isinstance(message, bytes) and (read := read_tag(message, SOUND)):
            self._watch.sound.setdefault(read[:2], now())


def sound_of(text: str) -> bytes:
    """Short or long by turns: every second answer is there to be interrupted."""
    turn = named(text)
    if turn is None:
        return b"\x05" * (80 * max(len(text), 20))
    ms = LONG_MS if turn[1] % 2 else SHORT_MS
    return tag(SOUND, *turn) * (ms // 20)


def answer_to(turn: Turn) -> str:
    """The model's words."""
    return f"Surely {name(*turn)} we are at twelve Harbor Street."


class TimedMind(OpenAiApi):
    """The language model."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(brain=self._think, first_s=0.15, rate=100.0, chunk_sent=self._sent)
        self._watch = watch

    def _think(self, body: Mapping[str, Any]) -> Reply:
        turn = _turn_of(body)
        if turn is None or body.get("response_format"):
            return openai_brain.think(body)
        if turn not in self._watch.asked:
            self._watch.asked[turn] = now()
        if turn[1] % TOOL_EVERY == 0 and body["messages"][-1]["role"] == "user" and TOOL in _offered(body):
            self._watch.tools_asked += 1
            return Reply(calls=(Call(name=TOOL, arguments={"date": _workday(), "service_type": "oil_change"}),))
        if body["messages"][-1]["role"] == "tool" and '"times"' in openai_brain.text_of(body["messages"][-1]):
            self._watch.tools_answered += 1
        return Reply(text=answer_to(turn))

    def _sent(self, asked: Asked) -> None:
        if asked.sent == 1:
            return
        turn = _turn_of(asked.body)
        if turn and asked.sent == 1 + len(tokens(answer_to(turn))):  # the last word: the clause is whole
            self._watch.clause[turn] = now()


def _offered(body: Mapping[str, Any]) -> set[str]:
    return {one["function"]["name"] for one in body.get("tools") or ()}


def _workday() -> str:
    """Some day of next week on which the shop is open."""
    today = date.today()
    return (today + timedelta(days=9 - today.weekday())).isoformat()


def _turn_of(body: Mapping[str, Any]) -> Turn | None:
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            return named(openai_brain.text_of(message))
    return None


@asynccontextmanager
async def vendors(watch: Watch) -> AsyncIterator[tuple[TimedDeepgram, TimedMind]]:
    """Both, on loopback."""
    async with AsyncExitStack() as stack:
        deepgram, mind = TimedDeepgram(watch), TimedMind(watch)
        await stack.enter_async_context(deepgram.serving())
        await stack.enter_async_context(mind.serving())
        yield deepgram, mind
