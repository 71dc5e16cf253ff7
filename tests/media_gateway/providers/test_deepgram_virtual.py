"""Nothing lost, nothing heard twice, wherever a connection breaks: in virtual time, against the simulated vendor."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.simulators.deepgram_listen_words import silence, speak
from media_gateway.conversation.model import ListeningProfile
from media_gateway.voice.ports import EagerFinal, EarsFailed, Final, Partial, SpeechEnded, SpeechStarted, TurnResumed
from tests.media_gateway.providers.deepgram import Api
from tests.media_gateway.providers.deepgram_virtual import World, run

APIS = pytest.mark.parametrize("api", ["v1", "v2"])


def told(world: World) -> list[str]:
    """The turns."""
    return [event.text for event in world.heard if isinstance(event, Final)]


def check_order(world: World) -> None:
    """An early end is followed by the same text as the end, or taken back; nothing is empty; nothing fails."""
    early: str | None = None
    for event in world.heard:
        assert not isinstance(event, EarsFailed)
        if isinstance(event, Partial | EagerFinal | Final):
            assert event.text
        if isinstance(event, EagerFinal):
            assert early is None
            early = event.text
        elif isinstance(event, TurnResumed):
            assert early is not None
            early = None
        elif isinstance(event, Final):
            assert early in (None, event.text)
            assert event.speech_end_ms is not None
            assert event.speech_end_ms >= 0
            early = None


turns = st.lists(
    st.tuples(st.integers(min_value=1, max_value=6), st.integers(min_value=2_500, max_value=4_000)),
    min_size=1,
    max_size=4,
)
breaks = st.lists(st.floats(min_value=0.1, max_value=20.0), max_size=3, unique=True).filter(
    lambda moments: all(abs(a - b) > 6.0 for a in moments for b in moments if a != b)
)
"""Apart so far that the sound between two was caught up with."""


def truth(
    api: Api, said: list[tuple[int, int]], moments: list[float], latency: float, refusals: int, lose: bool
) -> None:
    """Whoever reads the turns one after the other reads what the caller said."""
    frames, number = silence(400), 0
    for count, pause in said:
        frames += [*speak(range(number, number + count)), *silence(pause)]
        number += count
    frames += silence(9_000)
    world = World(api, latency, refusals, lose)
    run(lambda: world.call(frames, sorted(moments), ListeningProfile()))
    check_order(world)
    assert " ".join(told(world)) == " ".join(f"w{n}" for n in range(number))
    assert world.violations == []


ways = {
    "api": st.sampled_from(["v1", "v2"]),
    "said": turns,
    "moments": breaks,
    "latency": st.floats(min_value=0.0, max_value=0.4),
    "refusals": st.integers(min_value=0, max_value=1),
    "lose": st.booleans(),
}
quick = settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
test_nothing_is_lost_and_nothing_heard_twice = quick(given(**ways)(truth))
test_nothing_is_lost_and_nothing_heard_twice_in_many_ways = pytest.mark.long(many(given(**ways)(truth)))


@APIS
def test_a_number_that_is_dictated_with_pauses_is_one_turn(api: Api) -> None:
    """Ten digits with 900 ms between the groups: whoever ends a turn at the vendor's first `speech_final` cuts it."""
    frames = silence(300)
    for group in (range(3), range(3, 6), range(6, 10)):
        frames += [*speak(group), *silence(900 if api == "v1" else 550)]
    world = World(api)
    run(lambda: world.call([*frames, *silence(3_000)], [], ListeningProfile(patience_ms=1_500)))
    assert told(world) == [" ".join(f"w{n}" for n in range(10))]


def test_yes_and_no_are_answered_at_once_by_the_same_ears() -> None:
    world = World("v1")
    run(lambda: world.call([*speak([0]), *silence(2_500)], [], ListeningProfile(patience_ms=400)))
    (final,) = [event for event in world.heard if isinstance(event, Final)]
    assert final.speech_end_ms is not None
    assert 400 <= final.speech_end_ms <= 600


@pytest.mark.parametrize("lose", [False, True])
def test_speech_final_may_never_come_and_utterance_end_may_come_as_well(lose: bool) -> None:
    """In noise the vendor loses `speech_final`; whoever waits for it alone waits for ever, whoever takes both answers
    twice."""
    world = World("v1", lose_speech_final=lose)
    run(lambda: world.call([*speak([0, 1]), *silence(4_000)], [], ListeningProfile()))
    assert told(world) == ["w0 w1"]


@APIS
def test_the_time_of_the_call_goes_on_in_a_new_connection(api: Api) -> None:
    """A new connection counts from 0 again: without the offset, speech would seem to have ended long ago."""
    world = World(api)
    frames = [*silence(6_000), *speak([0, 1]), *silence(3_000)]
    run(lambda: world.call(frames, [4.0], ListeningProfile()))
    (final,) = [event for event in world.heard if isinstance(event, Final)]
    assert len(world.wires) == 2
    assert final.speech_end_ms is not None
    assert 300 <= final.speech_end_ms <= 1_300


@APIS
@pytest.mark.parametrize("hangs", [0.1, 2.4, 2.9, 3.4, 3.9])
def test_a_line_that_a_hanging_vendor_did_not_answer_is_heard_all_the_same(api: Api, hangs: float) -> None:
    """The caller has said it and waits: no further sound tells that nobody listens."""
    world = World(api)
    line = [*silence(2_500), *speak(range(5))]
    run(lambda: world.call([*line, *silence(7_000)], [], ListeningProfile(), hangs))
    assert told(world) == ["w0 w1 w2 w3 w4"]
    assert world.violations == []


@APIS
def test_who_is_not_heard_any_more_does_not_count_as_speaking(api: Api) -> None:
    """Else the wait for the caller's next word would be twice as long as it is in silence."""
    world = World(api)
    world.refusals = 3
    run(lambda: world.call([*silence(300), *speak(range(2)), *silence(2_000)], [1.0], ListeningProfile()))
    of_sound = [event for event in world.heard if isinstance(event, SpeechStarted | SpeechEnded | Final)]
    assert isinstance(of_sound[0], SpeechStarted)
    assert isinstance(of_sound[1], SpeechEnded)


@APIS
def test_what_nobody_heard_is_kept_for_whoever_listens_next(api: Api) -> None:
    world = World(api, refusals=9)
    line = speak(range(5))
    run(lambda: world.call([*silence(300), *line, *silence(5_000)], [0.4], ListeningProfile()))
    assert isinstance(world.heard[-1], EarsFailed)
    assert world.hearing
    assert b"".join(line) in world.hearing.unheard()
