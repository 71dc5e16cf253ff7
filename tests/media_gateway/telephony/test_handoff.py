"""The machine of a handoff: outcome by outcome, and in any order whatever."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_gateway.telephony.handoff import (
    MISSES,
    Answer,
    Answered,
    DialOver,
    Event,
    Handoff,
    Mode,
    Note,
    Outcome,
    Person,
    Phase,
    Pressed,
    Screened,
    Wanted,
    step,
    told,
)

WARM = Person("+15551230000")
COLD = Person("+15551230000", "cold")
OF_CALLER = {Answer.RING, Answer.ASSISTANT, Answer.REGRET, Answer.HANG_UP}
OF_PERSON = {Answer.BRIEF, Answer.ASK, Answer.JOIN, Answer.DISMISS}


def run(*events: Event, state: Handoff | None = None) -> tuple[Handoff, list[Answer], list[str]]:
    """The state afterwards, every answer, and what the journal says."""
    state, answers, notes = state or Handoff(), list[Answer](), list[str]()
    for event in events:
        state, commands = step(state, event)
        answers += [command for command in commands if isinstance(command, Answer)]
        notes += [command.outcome.value for command in commands if isinstance(command, Note)]
    return state, answers, notes


@pytest.mark.parametrize(
    ("name", "events", "answers", "notes", "phase"),
    [
        (
            "accepted, and the person hangs up later",
            (Answered(1), Pressed(1, 1, "1"), DialOver(1, "completed", bridged=True)),
            [Answer.BRIEF, Answer.JOIN, Answer.ASSISTANT],
            ["accepted", "ended"],
            Phase.BACK,
        ),
        (
            "accepted, and the caller hangs up later",
            (Answered(1), Pressed(1, 1, "1"), DialOver(1, "completed", bridged=True, caller_gone=True)),
            [Answer.BRIEF, Answer.JOIN, Answer.HANG_UP],
            ["accepted", "ended"],
            Phase.OVER,
        ),
        ("nobody answers", (DialOver(1, "no-answer"),), [Answer.ASSISTANT], ["no_answer"], Phase.BACK),
        ("busy", (DialOver(1, "busy"),), [Answer.ASSISTANT], ["busy"], Phase.BACK),
        ("the number does not work", (DialOver(1, "failed"),), [Answer.ASSISTANT], ["failed"], Phase.BACK),
        ("a status nobody knows", (DialOver(1, "???"),), [Answer.ASSISTANT], ["failed"], Phase.BACK),
        (
            "a machine that Twilio recognises while the brief is spoken",
            (Answered(1), Screened(1, machine=True), Pressed(1, 1, ""), DialOver(1, "completed", bridged=False)),
            [Answer.BRIEF, Answer.NOTHING, Answer.DISMISS, Answer.ASSISTANT],
            ["machine"],
            Phase.BACK,
        ),
        (
            "a machine that is known at once is told nothing",
            (Answered(1, machine=True), DialOver(1, "completed", bridged=False)),
            [Answer.DISMISS, Answer.ASSISTANT],
            ["machine"],
            Phase.BACK,
        ),
        (
            "somebody who does not press a key",
            (Answered(1), Pressed(1, 1, ""), Pressed(1, 2, ""), DialOver(1, "completed", bridged=False)),
            [Answer.BRIEF, Answer.ASK, Answer.DISMISS, Answer.ASSISTANT],
            ["no_answer"],
            Phase.BACK,
        ),
        (
            "refused with a key",
            (Answered(1), Pressed(1, 1, "2"), DialOver(1, "completed", bridged=False)),
            [Answer.BRIEF, Answer.DISMISS, Answer.ASSISTANT],
            ["refused"],
            Phase.BACK,
        ),
        (
            "refused by hanging up during the brief",
            (Answered(1), DialOver(1, "completed", bridged=False)),
            [Answer.BRIEF, Answer.ASSISTANT],
            ["refused"],
            Phase.BACK,
        ),
        (
            "another key, then 1",
            (Answered(1), Pressed(1, 1, "7"), Pressed(1, 2, "1")),
            [Answer.BRIEF, Answer.ASK, Answer.JOIN],
            ["accepted"],
            Phase.JOINED,
        ),
        (
            "the caller hangs up while it rings",
            (DialOver(1, "no-answer", bridged=False, caller_gone=True),),
            [Answer.HANG_UP],
            ["caller_hung_up"],
            Phase.OVER,
        ),
        (
            "the caller hangs up during the brief, and the person presses 1",
            (Answered(1), DialOver(1, "canceled", bridged=False, caller_gone=True), Pressed(1, 1, "1")),
            [Answer.BRIEF, Answer.HANG_UP, Answer.DISMISS],
            ["caller_hung_up"],
            Phase.OVER,
        ),
        (
            "accepted, but Twilio could not join them",
            (Answered(1), Pressed(1, 1, "1"), DialOver(1, "failed", bridged=False)),
            [Answer.BRIEF, Answer.JOIN, Answer.ASSISTANT],
            ["accepted", "failed"],
            Phase.BACK,
        ),
        (
            "joined while the store was away",
            (Answered(1), DialOver(1, "completed", bridged=True)),
            [Answer.BRIEF, Answer.ASSISTANT],
            ["accepted", "ended"],
            Phase.BACK,
        ),
    ],
)
def test_warm(name: str, events: tuple[Event, ...], answers: list[Answer], notes: list[str], phase: Phase) -> None:
    state, answered, noted = run(Wanted(WARM), *events)
    assert answered == [Answer.RING, *answers], name
    assert noted == ["dialled", *notes], name
    assert state.phase is phase, name


@pytest.mark.parametrize(
    ("status", "notes"),
    [
        ("completed", ["accepted", "ended"]),
        ("answered", ["accepted", "ended"]),
        ("busy", ["busy"]),
        ("no-answer", ["no_answer"]),
        ("failed", ["failed"]),
    ],
)
def test_cold_has_no_brief_and_no_key(status: str, notes: list[str]) -> None:
    state, answers, noted = run(Wanted(COLD), DialOver(1, status))
    assert answers == [Answer.RING, Answer.ASSISTANT]
    assert noted == ["dialled", *notes]
    assert state.phase is Phase.BACK


def test_without_anybody_to_ring_the_caller_is_back_at_once() -> None:
    state, answers, notes = run(Wanted(None))
    assert (state.phase, answers, notes) == (Phase.BACK, [Answer.ASSISTANT], ["unavailable"])
    assert told({"handoff": state.to_dict()}) == {"handoff": "unavailable", "handoff_attempt": 1}


def test_the_same_question_twice_has_the_same_answer_and_is_journalled_once() -> None:
    events = (Wanted(WARM), Answered(1), Pressed(1, 1, "1"), DialOver(1, "completed", bridged=True))
    twice = [event for event in events for _ in range(2)]
    # A conversation that wants a person again is another attempt, so only Twilio's own repetition is asked here.
    _, answers, notes = run(*twice)
    assert answers[::2] == answers[1::2] == run(*events)[1]
    assert notes == ["dialled", "accepted", "ended"]


def test_news_of_an_old_attempt_changes_nothing() -> None:
    state, _, _ = run(Wanted(WARM), DialOver(1, "busy"), Wanted(WARM), Answered(2))
    for late in (DialOver(1, "completed", bridged=True), Answered(1), Pressed(1, 1, "1"), Screened(1, machine=True)):
        assert step(state, late)[0] == state


def test_a_call_that_reaches_nobody_again_and_again_ends_with_words() -> None:
    missed = [event for n in range(1, MISSES + 1) for event in (Wanted(WARM), DialOver(n, "no-answer"))]
    state, answers, _ = run(*missed, Wanted(WARM))
    assert answers[-1] is Answer.REGRET
    assert state.phase is Phase.OVER
    talked = [
        event
        for n in range(1, 9)
        for event in (Wanted(WARM), Answered(n), Pressed(n, 1, "1"), DialOver(n, "completed"))
    ]
    assert run(*talked)[1].count(Answer.RING) == 8, "a person who is reached may be asked for again"


attempts = st.integers(0, 3)
digits = st.sampled_from(["", "1", "2", "5", "#"])
events = st.one_of(
    st.builds(Wanted, st.sampled_from([None, WARM, COLD])),
    st.builds(Answered, attempts, st.booleans()),
    st.builds(Screened, attempts, st.booleans()),
    st.builds(Pressed, attempts, st.integers(0, 3), digits, st.booleans()),
    st.builds(
        DialOver,
        attempts,
        st.sampled_from(["completed", "answered", "busy", "no-answer", "failed", "canceled", ""]),
        st.sampled_from([None, True, False]),
        st.booleans(),
    ),
)


@given(st.lists(events, max_size=40))
@settings(max_examples=400)
def test_whatever_happens_the_caller_is_never_left_in_silence(happened: list[Event]) -> None:
    state = Handoff()
    for event in happened:
        before = state
        state, commands = step(state, event)
        answers = [command for command in commands if isinstance(command, Answer)]
        assert len(answers) == 1, "Twilio waits for one answer"
        (answer,) = answers
        assert Handoff.from_dict(state.to_dict()) == state
        notes = {command.outcome for command in commands if isinstance(command, Note)}
        if isinstance(event, Wanted | DialOver):
            assert answer in OF_CALLER
            # Told to hang up only if they have; else it rings, somebody speaks to them, or they hear why not.
            if answer is Answer.HANG_UP:
                gone = isinstance(event, DialOver) and event.caller_gone
                assert gone or before.phase is Phase.OVER
            if state.phase is not before.phase and state.phase is Phase.OVER and answer is not Answer.HANG_UP:
                assert answer is Answer.REGRET
        elif not isinstance(event, Screened):
            assert answer in OF_PERSON
            if answer is Answer.JOIN:
                assert state.phase is Phase.JOINED
                assert before.phase is Phase.JOINED or (isinstance(event, Pressed) and event.digits == "1")
        if notes:
            assert state != before, "what is journalled has happened now, so that twice is once"


@given(st.sampled_from([WARM, COLD]), st.lists(events.filter(lambda event: not isinstance(event, Wanted)), max_size=10))
def test_every_attempt_comes_to_an_end(person: Person, happened: list[Event]) -> None:
    """When the person's leg is over, the caller is back or gone, and the journal says how."""
    state, _, first = run(Wanted(person), *happened)
    state, answers, last = run(DialOver(1, "completed", caller_gone=False), state=state)
    assert state.phase in (Phase.BACK, Phase.OVER)
    assert answers == [Answer.ASSISTANT if state.phase is Phase.BACK else Answer.HANG_UP]
    finals = [note for note in first + last if note not in ("dialled", "accepted")]
    assert len(finals) == 1, finals
    assert state.outcome is Outcome(finals[0])


@pytest.mark.parametrize("mode", ["warm", "cold"])
def test_only_who_is_back_is_told_of(mode: Mode) -> None:
    ringing, _, _ = run(Wanted(Person("+15551230000", mode)))
    assert told({"handoff": ringing.to_dict()}) == {}
    assert told({}) == {}
    back, _, _ = run(DialOver(1, "busy"), state=ringing)
    assert told({"handoff": back.to_dict()}) == {"handoff": "busy", "handoff_attempt": 1}


def test_the_docs_name_every_outcome_and_every_phase() -> None:
    page = (Path(__file__).parents[3] / "docs" / "handoff.md").read_text("utf-8")
    missing = [word for word in (*Outcome, *Phase) if word.value not in page]
    assert missing == []
