"""The turn machine under any sequence of events, by hypothesis."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

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

TEXTS = st.sampled_from(["", " ", "uh-huh", "okay", "wait", "wait a moment", "wait a moment please", "no", "yes"])
TIMERS = ("idle", "deaf", "hold", "keys", "filler", "apology")
EVENTS: st.SearchStrategy[TurnEvent] = st.one_of(
    st.builds(Sound, st.booleans()),
    st.builds(Loud, st.booleans()),
    st.builds(Words, TEXTS),
    st.builds(Utterance, TEXTS, st.booleans(), st.booleans()),
    st.builds(Key, st.sampled_from("0123456789*#")),
    st.builds(Interruptible, st.booleans()),
    st.just(AudioBegan()),
    st.just(RanDry()),
    st.just(PlayedOut()),
    st.builds(TimerFired, st.sampled_from(TIMERS)),
    st.sampled_from([Opened(), Recording(), GaveUp(), Stopped()]),
    st.sampled_from([Working(True), Working(False), TakenOver(), Released()]),
    st.builds(Announce, st.sampled_from("abc"), st.booleans()),
)
SEQUENCES = st.lists(EVENTS, max_size=60)


class Watch:
    """Runs a sequence as the session would (a timer fires only if it is armed) and checks every step."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.running: set[str] = set()
        self.holding = False

    def feed(self, event: TurnEvent) -> tuple[TurnCommand, ...]:
        if isinstance(event, TimerFired):
            if event.name not in self.running:
                return ()
            self.running.discard(event.name)
        before = self.turns
        self.turns, commands = step(before, event)
        assert self.turns.turn >= before.turn
        if before.phase is Phase.ENDED:
            assert (self.turns, commands) == (before, ())
        for command in commands:
            self._obey(before, event, command)
        self._settled()
        return commands

    def _obey(self, before: Turns, event: TurnEvent, command: TurnCommand) -> None:
        match command:
            case Arm(name, ms):
                assert ms > 0
                self.running.add(name)
            case Disarm(name):
                self.running.discard(name)
            case Hold():
                assert not self.holding
                assert before.interruptible
                self.holding = True
            case Resume():
                assert self.holding
                self.holding = False
            case Cut(turn):
                assert turn == before.turn
                assert self.turns.turn > turn
                self.holding = False
                self._cut_is_allowed(before, event)
            case Commit(turn) | CommitKeys(turn) | Idle(turn) | LeaveMessage(turn) | Leave(turn):
                assert turn == self.turns.turn == before.turn + 1
            case Announcing(turn) | Regained(turn) | Overheard(turn):
                # What is committed and said in one step is two turns.
                assert before.turn < turn <= self.turns.turn
            case _:
                assert before.phase not in (Phase.ENDED, Phase.LEAVING)

    @staticmethod
    def _cut_is_allowed(before: Turns, event: TurnEvent) -> None:
        if isinstance(event, Stopped | GaveUp | TimerFired | Recording | Announce | TakenOver | Released):
            return
        if isinstance(event, Utterance) and event.typed:
            return
        assert before.interruptible
        if isinstance(event, Utterance | Words):
            assert machine.real_words(event.text)

    def _settled(self) -> None:
        assert self.holding is (self.turns.phase is Phase.HELD)
        match self.turns.phase:
            case Phase.LISTENING:
                assert self.running & {"idle", "keys", "deaf"}
                assert not (self.turns.keys and "keys" not in self.running)
            case Phase.THINKING:
                assert "apology" in self.running
            case Phase.HELD:
                assert "hold" in self.running
            case Phase.LEAVING | Phase.ENDED | Phase.SUPERVISED:
                assert not self.running
            case _:
                pass


@settings(max_examples=400, deadline=None)
@given(SEQUENCES)
def test_any_sequence(events: list[TurnEvent]) -> None:
    watch = Watch()
    for event in events:
        commands = watch.feed(event)
        if any(isinstance(command, Commit | CommitKeys | Idle | LeaveMessage) for command in commands):
            assert {"filler", "apology"} <= watch.running


@settings(max_examples=300, deadline=None)
@given(SEQUENCES)
def test_every_phase_has_a_way_out(events: list[TurnEvent]) -> None:
    """From anywhere: with the wall clock alone, and sound that plays, the call reaches an answer, an idle turn or its
    farewell, however long the recogniser claims that there is sound."""
    watch = Watch()
    for event in [*events, Opened(), Sound(True), Released()]:
        watch.feed(event)
    for _ in range(40 + machine.MAX_WAITS):
        if watch.turns.phase in (Phase.ENDED, Phase.LEAVING):
            return
        if watch.turns.phase is Phase.SPEAKING:
            watch.feed(PlayedOut())
            continue
        (name,) = sorted(watch.running & {"deaf", "keys", "hold", "apology"})[:1] or ("idle",)
        assert name in watch.running
        watch.feed(TimerFired(name))
    raise AssertionError(f"stuck in {watch.turns}")


@settings(max_examples=200, deadline=None)
@given(SEQUENCES, st.sampled_from(["wait", "no", "wait a moment"]))
def test_what_was_said_over_a_firm_line_is_answered_after_it(events: list[TurnEvent], text: str) -> None:
    watch = Watch()
    for event in [*events, Opened()]:
        watch.feed(event)
    if watch.turns.phase not in (Phase.THINKING, Phase.SPEAKING):
        return
    watch.feed(Interruptible(False))
    watch.feed(AudioBegan())
    assert not any(isinstance(command, Commit | Cut) for command in watch.feed(Utterance(text)))
    (commit,) = [command for command in watch.feed(PlayedOut()) if isinstance(command, Commit)]
    assert commit.text.endswith(text)


@given(SEQUENCES)
def test_an_interjection_alone_never_cuts(events: list[TurnEvent]) -> None:
    watch = Watch()
    for event in events:
        watch.feed(event)
    phase = watch.turns.phase
    for event in (Words("uh-huh"), Utterance("okay")):
        commands = watch.feed(event)
        if phase is not Phase.LISTENING:
            assert not any(isinstance(command, Cut | Hold) for command in commands)
