"""Deepgram `listen` v2 (Flux): from its messages to turns. A pure reducer; times are ms of the call's sound.

    StartOfTurn --Update...--> EagerEndOfTurn --EndOfTurn--> (the next turn)
                      ^------TurnResumed------'

Flux decides when a turn is over; how sure it has to be is set per state of the conversation (`thresholds`). What is
added: a turn is said once; speculation is never left hanging (an `EagerFinal` is followed by the same text as `Final`,
or by `TurnResumed`, even when the connection is lost in between or the vendor forgets); and a turn that was under way
when a connection broke goes on in the next one, whose own turn starts with the sound that follows (`prefix`).
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from media_gateway.providers.deepgram_messages import Message, TurnInfo
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
    joined,
)
from media_gateway.voice.ports import EagerFinal, Final, Partial, SpeechEnded, SpeechStarted, TurnResumed

STUCK_MS = 4_000
"""Beyond the vendor's own time-out: then it is asked to end the turn, and after as long again it is ended for it."""
REHEARD_MS = 1_500
OVERLAP_MS = 400
"""Sound that was listened to without a word may hold the beginning of one."""


class Listening(msgspec.Struct, frozen=True):
    """`text` is the turn as this connection has it, after `prefix` from the one before. `index` is the vendor's number
    of it, `turns` that of the last one that is over. `words_ms` are the ends of the words of `text`, () where the
    vendor gave none."""

    patience_ms: int = 600
    offset_ms: float = 0.0
    heard_ms: float = 0.0
    settled_ms: float = 0.0
    prefix: str = ""
    text: str = ""
    words: tuple[str, ...] = ()
    words_ms: tuple[float, ...] = ()
    eager: str | None = None
    sounding: bool = False
    turns: int = -1
    index: int = -1
    forced: bool = False

    @property
    def whole(self) -> str:
        """The turn so far."""
        return joined(self.prefix, self.text)

    @property
    def timeout_ms(self) -> int:
        """Generously more than the vendor's own."""
        return 2 * self.patience_ms + STUCK_MS

    @property
    def pending(self) -> bool:
        """Words that are not a turn yet."""
        return bool(self.whole)

    @property
    def resume_ms(self) -> float:
        """From where a new connection has to hear the call (asked after `Dropped`)."""
        return self.settled_ms


Next = tuple[Listening, tuple[Command, ...]]


def step(state: Listening, event: Message | Lifecycle, at: At) -> Next:
    """One step."""
    match event:
        case TurnInfo():
            return _turn_info(state, event, at)
        case Waited():
            return _waited(state, at)
        case Listen(patience_ms):
            return replace(state, patience_ms=patience_ms), ()
        case Opened(offset_ms):
            state = replace(state, offset_ms=offset_ms, heard_ms=max(state.heard_ms, offset_ms), turns=-1, index=-1)
            behind = max(at.now_ms - offset_ms, 0.0)
            return state, (Wait(state.timeout_ms + behind + REHEARD_MS),) if state.prefix else ()
        case Dropped():
            return _dropped(state)
        case GaveUp():
            return _final(state, at, None) if state.whole else (state, (Wait(None),))
        case _:
            return state, ()


def _call_ms(state: Listening, seconds: float, at: At) -> float:
    """A time of the connection as one of the call; never before the connection, never in the future."""
    return min(state.offset_ms + max(seconds, 0.0) * 1_000, max(at.sent_ms, state.offset_ms))


def _turn_info(state: Listening, info: TurnInfo, at: At) -> Next:
    if info.turn_index <= state.turns:
        return state, ()  # that turn has been answered
    text = info.transcript.strip()
    before = state.whole
    ends = tuple(_call_ms(state, word.end, at) for word in info.words if word.end is not None)
    state = replace(
        state,
        heard_ms=max(state.heard_ms, _call_ms(state, info.audio_window_end, at)),
        index=info.turn_index,
        text=text,
        words=tuple(word.text for word in info.words),
        words_ms=ends if len(ends) == len(info.words) else (),
    )
    if not state.whole:
        state = replace(state, settled_ms=max(state.settled_ms, state.heard_ms - OVERLAP_MS))
    began: tuple[Command, ...] = ()
    if not state.sounding and (text or info.event == "StartOfTurn"):
        state, began = replace(state, sounding=True), (SpeechStarted(),)
    if info.event == "EndOfTurn":
        state, commands = _end_of_turn(replace(state, turns=info.turn_index), info, at)
        return state, (*began, *commands)
    resumed: tuple[Command, ...] = ()
    if info.event == "TurnResumed" and state.eager is not None:
        state, resumed = replace(state, eager=None), (TurnResumed(),)
    news: tuple[Command, ...] = ()
    if state.whole and state.whole != before:
        news = (Partial(state.whole), Wait(state.timeout_ms + STUCK_MS))
    if info.event == "EagerEndOfTurn" and text and state.eager != state.whole:
        if state.eager is not None:
            resumed = (TurnResumed(),)
        state = replace(state, eager=state.whole)
        eager = EagerFinal(state.whole, info.end_of_turn_confidence, _silence(state, at))
        return state, (*began, *resumed, *news, eager)
    return state, (*began, *resumed, *news)


def _end_of_turn(state: Listening, info: TurnInfo, at: At) -> Next:
    if state.whole:
        return _final(state, at, info.end_of_turn_confidence)
    ended: tuple[Command, ...] = (SpeechEnded(),) if state.sounding else ()
    return replace(state, sounding=False, settled_ms=state.heard_ms), (Wait(None), *ended)


def _silence(state: Listening, at: At) -> int:
    last = state.words_ms[-1] if state.words_ms else state.heard_ms
    return max(0, round(at.now_ms - last))


def _final(state: Listening, at: At, sure: float | None) -> Next:
    taken_back: tuple[Command, ...] = ()
    if state.eager is not None and state.eager != state.whole:
        taken_back = (TurnResumed(),)
    final = Final(state.whole, confidence=sure, speech_end_ms=_silence(state, at))
    after = replace(
        state,
        settled_ms=state.heard_ms,
        prefix="",
        text="",
        words=(),
        words_ms=(),
        eager=None,
        sounding=False,
        forced=False,
    )
    return after, (Wait(None), *taken_back, final)


def _waited(state: Listening, at: At) -> Next:
    if not state.whole:
        return state, ()
    if state.text and not state.forced:
        return replace(state, forced=True), (Force(), Wait(STUCK_MS))
    # The vendor's turn is still open: what it says of it from here on has been said.
    return _final(replace(state, turns=state.index), at, None)


def _dropped(state: Listening) -> Next:
    """Keep what is certain, and hear the last word again: it may have been half a word."""
    taken_back: tuple[Command, ...] = (TurnResumed(),) if state.eager is not None else ()
    if not state.text:
        settled = max(state.settled_ms, state.heard_ms - OVERLAP_MS)
        prefix = state.prefix
    elif not state.words_ms:
        settled, prefix = state.heard_ms, state.whole
    elif len(state.words) == 1:
        settled, prefix = state.settled_ms, state.prefix
    else:
        settled, prefix = state.words_ms[-2], joined(state.prefix, *state.words[:-1])
    ended: tuple[Command, ...] = (SpeechEnded(),) if state.sounding else ()  # nobody would say so otherwise
    after = replace(
        state,
        settled_ms=max(state.settled_ms, settled),
        prefix=prefix,
        text="",
        words=(),
        words_ms=(),
        eager=None,
        sounding=False,
        forced=False,
    )
    return after, (Wait(None), *taken_back, *ended)
