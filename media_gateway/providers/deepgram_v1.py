"""Deepgram `listen` v1 (nova-3): from its messages to turns. A pure reducer; times are ms of the call's sound.

The vendor says three things that can end a turn: `speech_final` on a result (silence of its endpointing), then
`UtteranceEnd` (no words for a second), and neither in some noise. Both may come for the same words, in either order
with the final result, and neither knows how patient this state of the conversation is. So:

    words --speech_final or UtteranceEnd--> waiting until the silence after the last word is `patience_ms` --> Final
      ^---- more words (or, for a moment, sound) ----'

and every word is placed in the call's time: what lies before the end of the last turn has been said and is not said
again, however often it comes.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from media_gateway.providers.deepgram_messages import Alternative, Message, Results, SpeechBegan, UtteranceEnd, Word
from media_gateway.providers.hearing_steps import (
    At,
    Command,
    Dropped,
    GaveUp,
    Lifecycle,
    Listen,
    Opened,
    Wait,
    Waited,
    joined,
)
from media_gateway.voice.ports import Final, Partial, SpeechEnded, SpeechStarted

STUCK_MS = 4_000
"""Words and then nothing at all, for this much longer than a turn's silence: the turn is over all the same."""
SOUND_MS = 600
"""Sound while a turn is about to end: the words of it need this long to come."""
MAX_EXTENSIONS = 2
REHEARD_MS = 1_500
"""What a new connection needs to say what it heard, beyond the time that the sound takes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the turn that will not change any more."""

    text: str
    confidence: float
    words: int


class Listening(msgspec.Struct, frozen=True):
    """`settled_ms`: sound before this need never be sent again. `said_ms`: words before this belong to turns that are
    over. `waiting`: the vendor says that speech has ended; `extensions`: how often sound has stretched that wait."""

    patience_ms: int = 600
    offset_ms: float = 0.0
    settled_ms: float = 0.0
    said_ms: float = -1.0
    pieces: tuple[Piece, ...] = ()
    interim: str = ""
    last_word_ms: float = 0.0
    sounding: bool = False
    waiting: bool = False
    extensions: int = 0

    @property
    def text(self) -> str:
        """The turn so far."""
        return joined(*(piece.text for piece in self.pieces), self.interim)

    @property
    def pending(self) -> bool:
        """Words that are not a turn yet."""
        return bool(self.text)

    @property
    def resume_ms(self) -> float:
        """From where a new connection has to hear the call."""
        return self.settled_ms


Next = tuple[Listening, tuple[Command, ...]]


def step(state: Listening, event: Message | Lifecycle, at: At) -> Next:
    """One step."""
    match event:
        case Results():
            return _results(state, event, at)
        case SpeechBegan():
            return _sound(state, at)
        case UtteranceEnd():
            return _ended(state, at)
        case Waited():
            return _waited(state, at)
        case Listen(patience_ms):
            state = replace(state, patience_ms=patience_ms)
            return _ended(state, at) if state.waiting else (state, ())
        case Opened(offset_ms):
            state = replace(state, offset_ms=offset_ms)
            behind = max(at.now_ms - offset_ms, 0.0)
            return state, (Wait(state.patience_ms + behind + REHEARD_MS),) if state.text else ()
        case Dropped():
            ended: tuple[Command, ...] = (SpeechEnded(),) if state.sounding else ()  # nobody would say so otherwise
            return replace(state, sounding=False, waiting=False, extensions=0), (Wait(None), *ended)
        case GaveUp():
            return _final(state, at) if state.text else (state, (Wait(None),))
        case _:
            return state, ()


def _results(state: Listening, results: Results, at: At) -> Next:
    best = results.channel.alternatives[0] if results.channel.alternatives else Alternative()
    text, words = _news(state, best, at)
    if results.is_final:
        until = _call_ms(state, results.start + results.duration, at)
        state = replace(state, settled_ms=max(state.settled_ms, until), interim="")
    if not text:
        return _ended(state, at) if results.speech_final or results.from_finalize else (state, ())
    last = words[-1].end if words else None
    end_ms = _call_ms(state, results.start + results.duration if last is None else last, at)
    before = state.text
    state = replace(state, last_word_ms=max(state.last_word_ms, end_ms), waiting=False, extensions=0)
    if results.is_final:
        piece = Piece(text, best.confidence, max(len(words), 1))
        state = replace(state, pieces=(*state.pieces, piece), interim="")
    else:
        state = replace(state, interim=text)
    began: tuple[Command, ...] = () if state.sounding else (SpeechStarted(),)
    state = replace(state, sounding=True)
    news: tuple[Command, ...] = (Partial(state.text),) if state.text != before else ()
    if not (results.speech_final or results.from_finalize):
        return state, (*began, *news, Wait(max(state.patience_ms, 1_000) + STUCK_MS))
    after, commands = _ended(state, at)
    return after, (*began, *news, *commands)


def _news(state: Listening, best: Alternative, at: At) -> tuple[str, tuple[Word, ...]]:
    """What of it has not been part of an earlier turn. The middle of a word decides: its ends move from one result to
    the next."""
    new = tuple(word for word in best.words if _middle(state, word, at) > state.said_ms)
    if len(new) == len(best.words):
        return best.transcript.strip(), new
    return joined(*(word.text for word in new)), new


def _middle(state: Listening, word: Word, at: At) -> float:
    if word.start is None or word.end is None:
        return at.sent_ms
    return _call_ms(state, (word.start + word.end) / 2, at)


def _call_ms(state: Listening, seconds: float, at: At) -> float:
    """A time of the connection as one of the call; never before the connection, never in the future."""
    return min(state.offset_ms + max(seconds, 0.0) * 1_000, max(at.sent_ms, state.offset_ms))


def _sound(state: Listening, at: At) -> Next:
    began: tuple[Command, ...] = () if state.sounding else (SpeechStarted(),)
    state = replace(state, sounding=True)
    if not state.waiting or state.extensions >= MAX_EXTENSIONS:
        return state, began
    state = replace(state, extensions=state.extensions + 1)
    return state, (*began, Wait(max(_left(state, at), SOUND_MS)))


def _left(state: Listening, at: At) -> float:
    return state.patience_ms - (at.sent_ms - state.last_word_ms)


def _ended(state: Listening, at: At) -> Next:
    """The vendor says that speech is over."""
    if not state.text:
        ended: tuple[Command, ...] = (SpeechEnded(),) if state.sounding else ()
        return replace(state, sounding=False), ended
    left = _left(state, at)
    if left > 0:
        return replace(state, waiting=True, sounding=False), (Wait(left),)
    return _final(state, at)


def _waited(state: Listening, at: At) -> Next:
    return _final(state, at) if state.text else (state, ())


def _final(state: Listening, at: At) -> Next:
    words = sum(piece.words for piece in state.pieces)
    sure = sum(piece.confidence * piece.words for piece in state.pieces) / words if words else None
    final = Final(state.text, confidence=sure, speech_end_ms=max(0, round(at.now_ms - state.last_word_ms)))
    after = replace(
        state,
        said_ms=max(state.said_ms, state.last_word_ms),
        pieces=(),
        interim="",
        sounding=False,
        waiting=False,
        extensions=0,
    )
    return after, (Wait(None), final)
