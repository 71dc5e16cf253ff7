"""Turn-taking: who may speak, when a turn is over, what an interruption is. A pure reducer: `step(turns, event)`
gives the next `Turns` and the commands for the shell. No clock (timers come back as events), no I/O, no randomness.

    CONNECTING --Opened--> THINKING                      (what comes before the greeting is answered after it)

    LISTENING --Utterance--> THINKING --AudioBegan--> SPEAKING --PlayedOut--> LISTENING
                                      <---RanDry-----   |  ^
                                sound, words over it    v  | noise, "uh-huh", nothing more
                                                       HELD --words go on--> cut, the caller has the floor

    anything --TakenOver--> SUPERVISED --Released--> THINKING   (a supervisor talks with the caller; we only listen)

    anything --an engine is gone, nothing to say for too long--> LEAVING --Stopped--> ENDED

`turn` is the one token of the call: whatever was started for an older turn may not emit audio any more. No phase waits
for an event that may never come: LISTENING, THINKING and HELD have a timer of their own, SPEAKING and LEAVING end with
the sound that was sent, which the ledger bounds, and SUPERVISED with the supervisor's socket.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from media_gateway.voice.turn_model import (
    IDLE_MS,
    Announce,
    Announcing,
    Arm,
    AudioBegan,
    Commit,
    CommitKeys,
    Cut,
    Disarm,
    GaveUp,
    Hold,
    Idle,
    Ignored,
    Interruptible,
    Key,
    Leave,
    LeaveMessage,
    Loud,
    Opened,
    Overheard,
    Phase,
    PlayedOut,
    RanDry,
    Recording,
    Regained,
    Released,
    Resume,
    Say,
    Sound,
    Stopped,
    TakenOver,
    TimerFired,
    TurnCommand,
    TurnEvent,
    Turns,
    Utterance,
    Words,
    Working,
)

__all__ = [
    "IDLE_MS",
    "Announce",
    "Announcing",
    "Arm",
    "AudioBegan",
    "Commit",
    "CommitKeys",
    "Cut",
    "Disarm",
    "GaveUp",
    "Hold",
    "Idle",
    "Ignored",
    "Interruptible",
    "Key",
    "Leave",
    "LeaveMessage",
    "Loud",
    "Opened",
    "Overheard",
    "Phase",
    "PlayedOut",
    "RanDry",
    "Recording",
    "Regained",
    "Released",
    "Resume",
    "Say",
    "Sound",
    "Stopped",
    "TakenOver",
    "TimerFired",
    "TurnCommand",
    "TurnEvent",
    "Turns",
    "Utterance",
    "Words",
    "Working",
]

HOLD_MS = 900
"""How long a hold waits for more words before speech goes on."""
SOFT_MS = 500
"""How long a hold of mere sound waits once the sound is over: what was a word comes from a recogniser by then."""
MAX_HOLDS = 3
TYPING_IDLE_MS = 60_000
"""Somebody who types is not silent: they are thinking and looking for keys."""
DEAF_MS = 30_000
"""However much sound and however many half words there are: after this long without a whole utterance we speak."""
KEYS_MS = 1_500
FILLER_MS = 1_000
"""After this long in thought something is said: with the way to the caller's ear, inside the 1.2 s of the design."""
APOLOGY_MS = 3_500
APOLOGY_AGAIN_MS = 8_000
WORKING_MS = 6_000
"""While a tool runs, that often the caller is told that it does."""
MAX_WAITS = 8
"""Times in a row. Tools have deadlines of their own; but the caller's patience does not depend on those."""
MAX_APOLOGIES = 2
"""In a row, with no answer between them; then the call is given to a human."""
MAX_KEYS = 32
CONFIRM_WORDS = 2

_INTERJECTIONS = frozenset(
    {"uh", "huh", "uhhuh", "um", "mm", "hm", "hmm", "mhm", "mmhm", "ah", "oh", "ok", "okay", "right", "yeah", "yep"}
    | {"sure", "alright"}
)
_ASIDE = re.compile(r"\b(?:i see|(?:i )?got it)\b")
"""Interjections of more than one word. Their first alone is none: most who break in begin with "I", and are not to be
talked over until their second word is known."""


Next = tuple[Turns, tuple[TurnCommand, ...]]


def real_words(text: str) -> int:
    """Words that are more than an interjection ("uh-huh", "okay")."""
    words = " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower()))
    return sum(word not in _INTERJECTIONS for word in _ASIDE.sub("", words).split())


def step(turns: Turns, event: TurnEvent) -> Next:
    """One step. Every event is allowed in every phase."""
    if turns.phase is Phase.ENDED:
        return turns, ()
    if isinstance(event, Stopped):
        after = replace(turns, phase=Phase.ENDED, turn=turns.turn + 1)
        return after, (Cut(turns.turn, "", caller=False), *_disarm_all())
    if turns.phase is Phase.LEAVING:
        return turns, ()
    if turns.phase is Phase.SUPERVISED:
        return _supervised(turns, event)
    if isinstance(event, GaveUp):
        return _leave(turns)
    if turns.phase is Phase.CONNECTING:
        return _connecting(turns, event)
    after, commands = _step(turns, event)
    if not after.lines or isinstance(event, Words) or not _quiet(after):
        return after, commands
    after, more = _line(after)
    return after, (*commands, *more)


def _quiet(turns: Turns) -> bool:
    """Nobody is in the middle of something."""
    return turns.phase is Phase.LISTENING and not turns.sounding and not turns.keys


def _line(turns: Turns) -> Next:
    """The announcement that waits longest."""
    after = _think(replace(turns, lines=turns.lines[1:]))
    return after, (*_thinking(), Announcing(after.turn, turns.lines[0]))


def _announce(turns: Turns, event: Announce) -> Next:
    if not event.now:
        return replace(turns, lines=(*turns.lines, event.key)), ()
    after, commands = _line(replace(turns, lines=(event.key, *turns.lines)))
    return after, (Cut(turns.turn, "", caller=False), *commands)


def _taken_over(turns: Turns) -> Next:
    after = replace(_think(turns), phase=Phase.SUPERVISED, waiting=None)
    commands = (Cut(turns.turn, "", caller=False), *_disarm_all())
    waited = turns.waiting
    return after, (*commands, Overheard(after.turn, waited.text, waited.understood)) if waited else commands


def _supervised(turns: Turns, event: TurnEvent) -> Next:
    """A supervisor has the caller: what is said is kept, and that is all."""
    match event:
        case Utterance(text, understood) if text.strip():
            after = replace(turns, turn=turns.turn + 1, sounding=False)
            return after, (Overheard(after.turn, text, understood),)
        case Sound(on):
            return replace(turns, sounding=on), ()
        case GaveUp():
            return replace(turns, lost=True), ()
        case Announce():
            return _announce(turns, event)
        case Released() if turns.lost:
            return _leave(turns)
        case Released():
            after = _think(turns)
            return after, (*_thinking(), Regained(after.turn))
        case _:
            return turns, ()


def _step(turns: Turns, event: TurnEvent) -> Next:
    match event:
        case Interruptible(on):
            return _interruptible(turns, on)
        case Sound(on):
            return _sound(replace(turns, sounding=on))
        case Loud(on):
            return _loud(turns, on)
        case Words(text):
            return _words(turns, text)
        case Utterance(typed=True):
            return _utterance(replace(turns, sounding=False, idle_ms=TYPING_IDLE_MS), event)
        case Utterance():
            return _utterance(replace(turns, sounding=False), event)
        case Key(digit):
            return _key(turns, digit)
        case AudioBegan() if turns.phase is Phase.THINKING:
            return replace(turns, phase=Phase.SPEAKING, apologies=0), (Disarm("filler"), Disarm("apology"))
        case RanDry() if turns.phase is Phase.SPEAKING:
            return replace(turns, phase=Phase.THINKING), _awaiting()
        case PlayedOut():
            return _played_out(turns)
        case TimerFired(name):
            return _timer(turns, name)
        case Working(on):
            after = replace(turns, working=on)
            # What was due from a model is due again from now.
            return after, (Arm("apology", APOLOGY_MS),) if turns.phase is Phase.THINKING and not on else ()
        case Announce():
            return _announce(turns, event)
        case TakenOver():
            return _taken_over(turns)
        case Recording():
            # What its announcement said was no caller's turn.
            after = replace(_think(turns), waiting=None, interruptible=False)
            return after, (Cut(turns.turn, "", caller=False), *_thinking(), LeaveMessage(after.turn))
        case _:
            return turns, ()


def _disarm_all() -> tuple[TurnCommand, ...]:
    return tuple(Disarm(name) for name in ("idle", "deaf", "hold", "keys", "filler", "apology"))


def _connecting(turns: Turns, event: TurnEvent) -> Next:
    """Before the greeting: what the caller does is kept for afterwards."""
    match event:
        case Opened():
            keys = (Arm("keys", KEYS_MS),) if turns.keys else ()
            return replace(turns, phase=Phase.THINKING), (*_awaiting(), *keys)
        case Sound(on):
            return replace(turns, sounding=on), ()
        case Utterance() if _counts(event):
            return replace(turns, waiting=_joined(turns.waiting, event)), ()
        case Key(digit):
            return replace(turns, keys=(turns.keys + digit)[:MAX_KEYS]), ()
        case Announce(key):
            return replace(turns, lines=(*turns.lines, key)), ()
        case _:
            return turns, ()


def _counts(said: Utterance) -> bool:
    """Is it more than noise and "uh-huh"? What was typed always is, unless it is nothing."""
    return bool(said.text.strip()) if said.typed else said.understood and real_words(said.text) > 0


def _joined(before: Utterance | None, said: Utterance) -> Utterance:
    return Utterance(f"{before.text} {said.text}", said.understood, said.typed) if before else said


def _interruptible(turns: Turns, on: bool) -> Next:
    after = replace(turns, interruptible=on)
    # The line that follows must be heard whole, so nothing may hold it.
    return _resume(after, turns.words) if turns.phase is Phase.HELD and not on else (after, ())


def _sound(turns: Turns) -> Next:
    if turns.phase is Phase.LISTENING:
        # Sound alone only stretches the wait: hold music never ends, and a wall clock must.
        return turns, (_idle(turns),)
    if turns.phase is Phase.HELD and not turns.sounding:
        return _resume(turns, turns.words)
    return turns, ()


def _loud(turns: Turns, on: bool) -> Next:
    """The first stage of an interruption, as soon as a person would take it for one: it costs a moment's pause if it
    was none, and who does interrupt is not talked over for half a second."""
    if on and turns.phase is Phase.SPEAKING and turns.alert:
        return replace(turns, phase=Phase.HELD, words="", holds=1), (Hold(), Arm("hold", HOLD_MS))
    if not on and turns.phase is Phase.HELD and not turns.words and turns.holds < MAX_HOLDS:
        return replace(turns, holds=turns.holds + 1), (Arm("hold", SOFT_MS),)
    return turns, ()


def _idle(turns: Turns) -> Arm:
    return Arm("idle", turns.idle_ms * (2 if turns.sounding else 1))


def _words(turns: Turns, text: str) -> Next:
    count, news = real_words(text), text != turns.words
    match turns.phase:
        case Phase.SPEAKING if count and news and turns.interruptible:
            return replace(turns, phase=Phase.HELD, words=text, holds=1), (Hold(), Arm("hold", HOLD_MS))
        case Phase.HELD if count >= CONFIRM_WORDS and news:
            freed = replace(turns, phase=Phase.LISTENING, words="", turn=turns.turn + 1, cries=0)
            return freed, (Disarm("hold"), Cut(turns.turn, text), *_floor(freed))
        case Phase.HELD if count and not turns.words:  # what was only loud is a word
            return replace(turns, words=text, holds=1), (Arm("hold", HOLD_MS),)
        case Phase.HELD if not count and news and text.strip():
            return _resume(replace(turns, words=text), text)  # "I", and then "I see"
        case Phase.LISTENING:
            return turns, (Arm("idle", turns.idle_ms * 2),)
        case _:
            return turns, ()


def _floor(turns: Turns) -> tuple[TurnCommand, ...]:
    """The caller has the floor, and not for ever."""
    return (_idle(turns), Arm("deaf", DEAF_MS))


def _utterance(turns: Turns, said: Utterance) -> Next:
    if said.typed and not said.text.strip():
        return turns, ()
    if turns.phase is Phase.LISTENING:
        empty = not said.text.strip() and said.understood
        return (turns, (_idle(turns),)) if empty else _commit(turns, said)
    if said.typed:
        return _interrupt(turns, said)
    if turns.phase is Phase.HELD:
        return _interrupt(replace(turns, cries=0), said) if _counts(said) else _resume(turns, said.text)
    if not _counts(said):
        return replace(turns, words=""), ((Ignored(said.text),) if said.text.strip() else ())
    if not turns.interruptible:
        return replace(turns, waiting=_joined(turns.waiting, said)), ()
    return _interrupt(turns, said)


def _interrupt(turns: Turns, said: Utterance) -> Next:
    cut = Cut(turns.turn, said.text)
    after, commands = _commit(turns, said)
    return after, (cut, *commands)


def _commit(turns: Turns, said: Utterance) -> Next:
    """What waited is part of what is answered now: never lost, and never answered when it is stale."""
    said = _joined(turns.waiting, said)
    after = _think(replace(turns, waiting=None))
    return after, (*_thinking(), Commit(after.turn, said.text, said.understood))


def _think(turns: Turns) -> Turns:
    return replace(
        turns,
        phase=Phase.THINKING,
        turn=turns.turn + 1,
        words="",
        holds=0,
        keys="",
        interruptible=True,
        working=False,
        waits=0,
    )


def _thinking() -> tuple[TurnCommand, ...]:
    return (*(Disarm(name) for name in ("idle", "deaf", "hold", "keys")), *_awaiting())


def _awaiting() -> tuple[TurnCommand, ...]:
    return (Arm("filler", FILLER_MS), Arm("apology", APOLOGY_MS))


def _resume(turns: Turns, words: str) -> Next:
    cries = turns.cries if real_words(turns.words) else turns.cries + 1
    return replace(turns, phase=Phase.SPEAKING, holds=0, cries=cries), (Disarm("hold"), Resume(words))


def _key(turns: Turns, digit: str) -> Next:
    if len(turns.keys) >= MAX_KEYS:
        return turns, ()  # the timer runs out, whatever keeps pressing
    keys = turns.keys + digit
    commands: tuple[TurnCommand, ...] = (Disarm("idle"), Arm("keys", KEYS_MS))
    if turns.phase in (Phase.SPEAKING, Phase.HELD) and turns.interruptible:
        freed = replace(turns, phase=Phase.LISTENING, turn=turns.turn + 1, words="", keys=keys)
        return freed, (Disarm("hold"), Cut(turns.turn, ""), *commands)
    return replace(turns, keys=keys), commands


def _played_out(turns: Turns) -> Next:
    if turns.phase not in (Phase.SPEAKING, Phase.THINKING):
        return turns, ()
    after = replace(turns, phase=Phase.LISTENING, interruptible=True, words="", apologies=0)
    quiet: tuple[TurnCommand, ...] = (Disarm("filler"), Disarm("apology"))
    if turns.waiting:
        after, commands = _commit(replace(after, waiting=None), turns.waiting)
        return after, (*quiet, *commands)
    return after, (*quiet, *_floor(after))


def _timer(turns: Turns, name: str) -> Next:
    if name == "hold" and turns.phase is Phase.HELD:
        if turns.sounding and turns.holds < MAX_HOLDS:
            return replace(turns, holds=turns.holds + 1), (Arm("hold", HOLD_MS),)
        return _resume(turns, turns.words)
    if name in ("idle", "deaf") and turns.phase is Phase.LISTENING and not turns.keys:
        after = _think(turns)
        return after, (*_thinking(), Idle(after.turn))
    if name == "keys" and turns.keys:
        if turns.phase is not Phase.LISTENING:
            return turns, (Arm("keys", KEYS_MS),)
        after = _think(turns)
        return after, (*_thinking(), CommitKeys(after.turn, turns.keys))
    if turns.phase is Phase.THINKING:
        return _silence(turns, name)
    return turns, ()


def _silence(turns: Turns, name: str) -> Next:
    """Nothing of the answer has been heard for too long."""
    if name == "filler":
        return turns, (Say(name, turns.turn),)
    if name != "apology":
        return turns, ()
    if turns.working and turns.waits < MAX_WAITS:
        return replace(turns, waits=turns.waits + 1), (Say("working", turns.turn), Arm("apology", WORKING_MS))
    if turns.apologies >= MAX_APOLOGIES:
        return _leave(turns)
    after = replace(turns, apologies=turns.apologies + 1)
    return after, (Say(name, turns.turn), Arm("apology", APOLOGY_AGAIN_MS))


def _leave(turns: Turns) -> Next:
    after = replace(turns, phase=Phase.LEAVING, turn=turns.turn + 1)
    return after, (Cut(turns.turn, "", caller=False), *_disarm_all(), Leave(after.turn))
