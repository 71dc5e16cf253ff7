"""The turn machine: every transition by hand (any sequence: test_turns_any.py)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from media_gateway.voice import turns as machine
from media_gateway.voice.turns import (
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
    step,
)

GREETED: tuple[TurnEvent, ...] = (Opened(), AudioBegan(), PlayedOut())
THINKING = (*GREETED, Utterance("book me in"))
SPEAKING = (*THINKING, AudioBegan())
HELD = (*SPEAKING, Words("wait"))
LOUD = (*SPEAKING, Loud(True))
TAKEN = (*SPEAKING, TakenOver())
FIRM = (*THINKING, Interruptible(False), AudioBegan())


def play(events: Sequence[TurnEvent]) -> tuple[Turns, list[TurnCommand]]:
    """The state after the events, and the commands of the last of them."""
    turns, commands = Turns(), list[TurnCommand]()
    for event in events:
        turns, given_ = step(turns, event)
        commands = list(given_)
    return turns, commands


def deeds(commands: Sequence[TurnCommand]) -> list[TurnCommand]:
    """Without the timers."""
    return [command for command in commands if not isinstance(command, Arm | Disarm)]


def armed(commands: Sequence[TurnCommand]) -> dict[str, int]:
    return {command.name: command.ms for command in commands if isinstance(command, Arm)}


TABLE: dict[str, tuple[Sequence[TurnEvent], TurnEvent, Phase, list[TurnCommand]]] = {
    "the call opens": ((), Opened(), Phase.THINKING, []),
    "the greeting sounds": ((Opened(),), AudioBegan(), Phase.SPEAKING, []),
    "the greeting is over": ((Opened(), AudioBegan()), PlayedOut(), Phase.LISTENING, []),
    "a turn": (GREETED, Utterance("hello"), Phase.THINKING, [Commit(1, "hello", True)]),
    "a yes is a turn when it is asked for": (GREETED, Utterance("yeah"), Phase.THINKING, [Commit(1, "yeah", True)]),
    "not understood is a turn": (GREETED, Utterance("", False), Phase.THINKING, [Commit(1, "", False)]),
    "nothing is no turn": (GREETED, Utterance("  "), Phase.LISTENING, []),
    "an answer with no sound": (THINKING, PlayedOut(), Phase.LISTENING, []),
    "the answer sounds": (THINKING, AudioBegan(), Phase.SPEAKING, []),
    "the answer runs dry": (SPEAKING, RanDry(), Phase.THINKING, []),
    "the answer is over": (SPEAKING, PlayedOut(), Phase.LISTENING, []),
    "words while thinking": (THINKING, Words("and also"), Phase.THINKING, []),
    "a turn while thinking": (
        THINKING,
        Utterance("no wait"),
        Phase.THINKING,
        [Cut(1, "no wait"), Commit(2, "no wait", True)],
    ),
    "an uh-huh while thinking": (THINKING, Utterance("uh-huh"), Phase.THINKING, [Ignored("uh-huh")]),
    "noise while speaking": (SPEAKING, Sound(True), Phase.SPEAKING, []),
    "an okay while speaking": (SPEAKING, Words("okay"), Phase.SPEAKING, []),
    "words while speaking": (SPEAKING, Words("wait"), Phase.HELD, [Hold()]),
    "a turn while speaking": (SPEAKING, Utterance("stop"), Phase.THINKING, [Cut(1, "stop"), Commit(2, "stop", True)]),
    "a key while speaking": (SPEAKING, Key("1"), Phase.LISTENING, [Cut(1, "")]),
    "a loud line while speaking": (SPEAKING, Loud(True), Phase.HELD, [Hold()]),
    "a loud line while thinking": (THINKING, Loud(True), Phase.THINKING, []),
    "a loud line while listening": (GREETED, Loud(True), Phase.LISTENING, []),
    "a loud line over a firm line": (FIRM, Loud(True), Phase.SPEAKING, []),
    "it was a word": (LOUD, Words("wait"), Phase.HELD, []),
    "it was two words": (LOUD, Words("wait a"), Phase.LISTENING, [Cut(1, "wait a")]),
    "it was an uh-huh": (LOUD, Words("uh-huh"), Phase.SPEAKING, [Resume("uh-huh")]),
    "it was a turn": (LOUD, Utterance("stop"), Phase.THINKING, [Cut(1, "stop"), Commit(2, "stop", True)]),
    "it was an okay": (LOUD, Utterance("okay"), Phase.SPEAKING, [Resume("okay")]),
    "it was a cough": (LOUD, TimerFired("hold"), Phase.SPEAKING, [Resume("")]),
    "it was short, and may have been a word": (LOUD, Loud(False), Phase.HELD, []),
    "a word, and the line is soft": ((*LOUD, Words("wait")), Loud(False), Phase.HELD, []),
    "words go on": (HELD, Words("wait a moment"), Phase.LISTENING, [Cut(1, "wait a moment")]),
    "the same words again": (HELD, Words("wait"), Phase.HELD, []),
    "the held words are a turn": (HELD, Utterance("wait"), Phase.THINKING, [Cut(1, "wait"), Commit(2, "wait", True)]),
    "the held words were an okay": (HELD, Utterance("okay"), Phase.SPEAKING, [Resume("okay")]),
    "the held words were not understood": (HELD, Utterance("grmbl", False), Phase.SPEAKING, [Resume("grmbl")]),
    "the sound was noise": (HELD, Sound(False), Phase.SPEAKING, [Resume("wait")]),
    "nothing more comes": (HELD, TimerFired("hold"), Phase.SPEAKING, [Resume("wait")]),
    "a key while held": (HELD, Key("1"), Phase.LISTENING, [Cut(1, "")]),
    "a firm line begins while held": (HELD, Interruptible(False), Phase.SPEAKING, [Resume("wait")]),
    "words over a firm line": (FIRM, Words("wait a moment please"), Phase.SPEAKING, []),
    "a key over a firm line": (FIRM, Key("1"), Phase.SPEAKING, []),
    "a turn over a firm line waits": (FIRM, Utterance("wait"), Phase.SPEAKING, []),
    "and is answered after it": (
        (*FIRM, Utterance("wait")),
        PlayedOut(),
        Phase.THINKING,
        [Commit(2, "wait", True)],
    ),
    "two of them are one turn": (
        (*FIRM, Utterance("wait"), Utterance("please")),
        PlayedOut(),
        Phase.THINKING,
        [Commit(2, "wait please", True)],
    ),
    "typed text cuts a firm line and takes what waits along": (
        (*FIRM, Utterance("wait")),
        Utterance("stop", typed=True),
        Phase.THINKING,
        [Cut(1, "stop"), Commit(2, "wait stop", True)],
    ),
    "typed nothing": (FIRM, Utterance(" ", typed=True), Phase.SPEAKING, []),
    "the idle time": (GREETED, TimerFired("idle"), Phase.THINKING, [Idle(1)]),
    "no whole turn for too long": (GREETED, TimerFired("deaf"), Phase.THINKING, [Idle(1)]),
    "keys are over": ((*GREETED, Key("1"), Key("2")), TimerFired("keys"), Phase.THINKING, [CommitKeys(1, "12")]),
    "keys are no idle time": ((*GREETED, Key("1")), TimerFired("idle"), Phase.LISTENING, []),
    "keys while thinking wait": ((*THINKING, Key("1")), TimerFired("keys"), Phase.THINKING, []),
    "a filler": (THINKING, TimerFired("filler"), Phase.THINKING, [Say("filler", 1)]),
    "an apology": (THINKING, TimerFired("apology"), Phase.THINKING, [Say("apology", 1)]),
    "a late filler": (SPEAKING, TimerFired("filler"), Phase.SPEAKING, []),
    "a third apology": (
        (*THINKING, TimerFired("apology"), TimerFired("apology")),
        TimerFired("apology"),
        Phase.LEAVING,
        [Cut(1, "", caller=False), Leave(2)],
    ),
    "a machine records": (SPEAKING, Recording(), Phase.THINKING, [Cut(1, "", caller=False), LeaveMessage(2)]),
    "a machine records while we listen": (
        GREETED,
        Recording(),
        Phase.THINKING,
        [Cut(0, "", caller=False), LeaveMessage(1)],
    ),
    "nobody interrupts what a machine is told": (
        (*SPEAKING, Recording(), AudioBegan()),
        Words("at the tone"),
        Phase.SPEAKING,
        [],
    ),
    "what the machine has announced is no turn": (
        (*FIRM, Utterance("please leave a message"), Recording(), AudioBegan()),
        PlayedOut(),
        Phase.LISTENING,
        [],
    ),
    "an engine is gone": (SPEAKING, GaveUp(), Phase.LEAVING, [Cut(1, "", caller=False), Leave(2)]),
    "nothing holds a farewell": ((*SPEAKING, GaveUp()), Utterance("wait a moment"), Phase.LEAVING, []),
    "the end of a farewell": ((*SPEAKING, GaveUp()), Stopped(), Phase.ENDED, [Cut(2, "", caller=False)]),
    "the end": (HELD, Stopped(), Phase.ENDED, [Cut(1, "", caller=False)]),
    "typed before the greeting": ((), Utterance("hi", typed=True), Phase.CONNECTING, []),
    "is answered after it": (
        (Utterance("hi", typed=True), Opened(), AudioBegan()),
        PlayedOut(),
        Phase.THINKING,
        [Commit(1, "hi", True)],
    ),
    "a second opening": (SPEAKING, Opened(), Phase.SPEAKING, []),
    "a slow tool": ((*THINKING, Working(True)), TimerFired("apology"), Phase.THINKING, [Say("working", 1)]),
    "a tool that is done": (
        (*THINKING, Working(True), Working(False)),
        TimerFired("apology"),
        Phase.THINKING,
        [Say("apology", 1)],
    ),
    "a tool of the turn before": (
        (*THINKING, Working(True), Utterance("no wait")),
        TimerFired("apology"),
        Phase.THINKING,
        [Say("apology", 2)],
    ),
    "a tool for ever": (
        (*THINKING, Working(True), *[TimerFired("apology")] * machine.MAX_WAITS),
        TimerFired("apology"),
        Phase.THINKING,
        [Say("apology", 1)],
    ),
    "a line while nobody speaks": (GREETED, Announce("a"), Phase.THINKING, [Announcing(1, "a")]),
    "a line while the caller speaks": ((*GREETED, Sound(True)), Announce("a"), Phase.LISTENING, []),
    "it was noise": ((*GREETED, Sound(True), Announce("a")), Sound(False), Phase.THINKING, [Announcing(1, "a")]),
    "a line after the answer": (
        (*GREETED, Sound(True), Announce("a"), Utterance("hello"), AudioBegan()),
        PlayedOut(),
        Phase.THINKING,
        [Announcing(2, "a")],
    ),
    "a line and a waiting turn": (
        (*FIRM, Utterance("wait"), Announce("a")),
        PlayedOut(),
        Phase.THINKING,
        [Commit(2, "wait", True)],
    ),
    "a line while speaking": (SPEAKING, Announce("a"), Phase.SPEAKING, []),
    "a line at once": (SPEAKING, Announce("a", True), Phase.THINKING, [Cut(1, "", caller=False), Announcing(2, "a")]),
    "a line at once goes before others": (
        (*SPEAKING, Announce("a")),
        Announce("b", True),
        Phase.THINKING,
        [Cut(1, "", caller=False), Announcing(2, "b")],
    ),
    "a line before the greeting": (
        (Announce("a"), Opened(), AudioBegan()),
        PlayedOut(),
        Phase.THINKING,
        [Announcing(1, "a")],
    ),
    "taken over": (SPEAKING, TakenOver(), Phase.SUPERVISED, [Cut(1, "", caller=False)]),
    "what waited is kept": (
        (*FIRM, Utterance("wait")),
        TakenOver(),
        Phase.SUPERVISED,
        [Cut(1, "", caller=False), Overheard(2, "wait", True)],
    ),
    "words to a supervisor": (
        TAKEN,
        Utterance("my car is broken"),
        Phase.SUPERVISED,
        [Overheard(3, "my car is broken", True)],
    ),
    "a key for a supervisor": (TAKEN, Key("1"), Phase.SUPERVISED, []),
    "silence with a supervisor": (TAKEN, TimerFired("idle"), Phase.SUPERVISED, []),
    "a line of a supervisor who is on the line": (TAKEN, Announce("a"), Phase.SUPERVISED, []),
    "given back": (TAKEN, Released(), Phase.THINKING, [Regained(3)]),
    "given back with an engine gone": (
        (*TAKEN, GaveUp()),
        Released(),
        Phase.LEAVING,
        [Cut(2, "", caller=False), Leave(3)],
    ),
    "given back by nobody": (SPEAKING, Released(), Phase.SPEAKING, []),
    "taken over before the greeting": ((), TakenOver(), Phase.CONNECTING, []),
    "the end with a supervisor": (TAKEN, Stopped(), Phase.ENDED, [Cut(2, "", caller=False)]),
}


@pytest.mark.parametrize("name", TABLE)
def test_transition(name: str) -> None:
    before, event, phase, expected = TABLE[name]
    turns, commands = play([*before, event])
    assert turns.phase is phase
    assert deeds(commands) == expected


def test_the_caller_is_given_longer_while_there_is_sound() -> None:
    _, quiet = play([Opened(), AudioBegan(), PlayedOut()])
    _, loud = play([Opened(), AudioBegan(), Sound(True), PlayedOut()])
    assert armed(quiet) == {"idle": machine.IDLE_MS, "deaf": machine.DEAF_MS}
    assert armed(loud) == {"idle": 2 * machine.IDLE_MS, "deaf": machine.DEAF_MS}


def test_a_hold_is_prolonged_by_sound_but_not_for_ever() -> None:
    turns, _ = play([*SPEAKING, Sound(True), Words("wait")])
    for _ in range(machine.MAX_HOLDS - 1):
        turns, commands = step(turns, TimerFired("hold"))
        assert armed(commands) == {"hold": machine.HOLD_MS}
    turns, commands = step(turns, TimerFired("hold"))
    assert deeds(commands) == [Resume("wait")]


def test_a_sound_that_is_over_is_waited_for_less_and_not_again_and_again() -> None:
    turns, first = play(LOUD)
    assert armed(first) == {"hold": machine.HOLD_MS}
    for _ in range(machine.MAX_HOLDS - 1):
        turns, commands = step(turns, Loud(False))
        assert armed(commands) == {"hold": machine.SOFT_MS}
        assert step(turns, Loud(True)) == (turns, ())
    assert step(turns, Loud(False)) == (turns, ())
    turns, commands = step(turns, Words("wait"))
    assert armed(commands) == {"hold": machine.HOLD_MS}


@pytest.mark.parametrize("nothing", [TimerFired("hold"), Words("uh-huh"), Utterance("okay"), Sound(False)])
def test_a_line_that_cries_wolf_is_not_listened_to(nothing: TurnEvent) -> None:
    turns, _ = play([*LOUD, nothing])
    assert turns.alert
    held, commands = step(turns, Loud(True))
    assert deeds(commands) == [Hold()]
    turns, _ = step(held, nothing)
    assert not turns.alert
    assert step(turns, Loud(True)) == (turns, ())
    _, commands = step(turns, Words("wait"))
    assert deeds(commands) == [Hold()]


@pytest.mark.parametrize("said", [Words("wait a moment"), Utterance("stop")])
def test_who_did_interrupt_is_believed_again(said: TurnEvent) -> None:
    turns, _ = play([*LOUD, TimerFired("hold"), Loud(True), said])
    assert turns.cries == 0


def test_words_that_were_let_go_do_not_hold_again() -> None:
    turns, _ = play([*HELD, TimerFired("hold")])
    turns, commands = step(turns, Words("wait"))
    assert (turns.phase, commands) == (Phase.SPEAKING, ())
    turns, commands = step(turns, Words("wait please"))
    assert deeds(commands) == [Hold()]


def test_keys_before_the_greeting_are_taken_after_it() -> None:
    _, commands = play([Key("4"), Opened()])
    assert "keys" in armed(commands)
    _, commands = play([Key("4"), Opened(), AudioBegan(), PlayedOut(), TimerFired("keys")])
    assert deeds(commands) == [CommitKeys(1, "4")]


def test_a_flood_of_keys_does_not_put_off_their_timer() -> None:
    turns, _ = play([*GREETED, *[Key("1")] * machine.MAX_KEYS])
    assert step(turns, Key("1")) == (turns, ())


@pytest.mark.parametrize("text", ["uh-huh", "Okay.", "mm", "yeah right", "I see", "oh, got it"])
def test_interjections(text: str) -> None:
    assert machine.real_words(text) == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [("no", 1), ("stop it", 2), ("I'm late", 2), ("I", 1), ("I need", 2), ("I see a", 1), ("сегодня", 1), ("42", 1)],
)
def test_words_that_count(text: str, count: int) -> None:
    assert machine.real_words(text) == count


def test_who_says_i_is_not_talked_over_and_who_says_i_see_interrupts_nothing() -> None:
    held, held_commands = play([*SPEAKING, Words("I")])
    assert held.phase is Phase.HELD
    assert Hold() in held_commands
    aside, commands = step(held, Words("I see"))
    assert aside.phase is Phase.SPEAKING
    assert commands == (Disarm("hold"), Resume("I see"))
    again, _ = step(aside, Words("I see a problem"))
    assert again.phase is Phase.HELD
    after, commands = step(held, Words("I need"))
    assert after.phase is Phase.LISTENING
    assert Cut(1, "I need") in commands


def test_somebody_who_types_is_given_time() -> None:
    _, commands = play([*GREETED, Utterance("book me in", typed=True), AudioBegan(), PlayedOut()])
    assert Arm("idle", machine.TYPING_IDLE_MS) in commands
    _, commands = play([*GREETED, Utterance("book me in"), AudioBegan(), PlayedOut()])
    assert Arm("idle", machine.IDLE_MS) in commands
