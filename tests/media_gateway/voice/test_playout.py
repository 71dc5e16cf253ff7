"""The ledger against a carrier that knows what the caller heard."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_gateway.voice.playhead import ECHO_GRACE_MS
from media_gateway.voice.playout import MARK_EVERY_MS, Clear, Mark, Media, Playout, Send
from media_gateway.voice.ports import Timing
from media_gateway.voice.spoken_form import Spoken
from tests.media_gateway.voice.carrier import Carrier, Network, sound, words_by

VOCABULARY = (
    *("a", "to", "the", "your", "oil", "change", "is", "booked", "for", "tomorrow"),
    *("afternoon", "appointment", "registration", "quarter"),
)
NORMAL = Network()
STILL = Network(out=(0, 0), buffer=0, back=(0, 0))


def written(text: str) -> Spoken:
    return Spoken(text, text)


def talk(carrier: Carrier, rng: random.Random, clauses: int, *, reply: int = 1) -> dict[int, tuple[str, int]]:
    """Plan a reply: clauses at a constant rate of speech, as the voice tells, delivered in chunks at 1.5 to 30 times
    real time. Which words a moment belongs to is no question here; where the caller is in them, is."""
    said: dict[int, tuple[str, int]] = {}
    playout, when = carrier.playout, carrier.now
    for number in range(1, clauses + 1):
        text = " ".join(rng.choices(VOCABULARY, k=rng.randint(3, 14)))
        total = int(len(text) * rng.uniform(55, 80))
        said[number] = (text, total)
        mulaw, speed, at = sound(reply, number, total), rng.uniform(1.5, 30), 0
        carrier.at(when, lambda n=number, t=text: playout.begin(reply, n, written(t)))  # type: ignore[misc]
        while at < total:
            length = rng.choice([20, 60, 200, 800])
            chunk = mulaw[at * 8 : (at + length) * 8]
            pace = total / len(text)
            timing = tuple((n, n * pace - at) for n in range(1, len(text) + 1) if at < n * pace <= at + length)
            carrier.at(when, _hear(carrier, reply, number, chunk, timing))
            at += length
            when += length / speed
        carrier.at(when, _end(carrier, reply, number))
    return said


def _hear(carrier: Carrier, reply: int, number: int, chunk: bytes, timing: Timing) -> Callable[[], object]:
    playout = carrier.playout
    return lambda: () if carrier.over else carrier.send(playout.audio(carrier.now, reply, number, chunk, timing))


def _end(carrier: Carrier, reply: int, number: int) -> Callable[[], object]:
    return lambda: () if carrier.over else carrier.send(carrier.playout.end(reply, number))


def barge_in(seed: int, network: Network) -> int:
    """How many words the history is off after a barge-in at a random moment of a reply."""
    rng = random.Random(seed)
    carrier = Carrier(Playout(), rng, network)
    said = talk(carrier, rng, rng.randint(1, 4))
    length = sum(total for _, total in said.values())
    carrier.run(carrier.now + rng.uniform(0, length * 1.05))
    carrier.send(carrier.playout.cut(carrier.now))
    heard = carrier.playout.heard(carrier.now, 1)
    carrier.over = True
    carrier.run(carrier.now + 2_000)
    truth = sum(words_by(text, total, len(carrier.played(1, n))) for n, (text, total) in said.items())
    return len(heard.text.split()) - truth


NETWORKS = {
    "usual": NORMAL,
    "late marks": Network(back=(150, 400)),
    "lost marks": Network(lost=0.2),
    "far away": Network(out=(80, 140), buffer=80, back=(80, 140)),
}


@pytest.mark.parametrize(("name", "share"), [("usual", 0.99), ("lost marks", 0.95), ("far away", 0.97)])
def test_history_is_within_one_word_of_the_truth(name: str, share: float) -> None:
    errors = [barge_in(seed, NETWORKS[name]) for seed in range(300)]
    good = sum(abs(error) <= 1 for error in errors) / len(errors)
    assert good >= share, f"{name}: {good:.3f}, worst {min(errors)} to {max(errors)}"


def test_late_marks_only_ever_make_us_believe_less() -> None:
    """Echoes that take 150 to 400 ms cost precision; they never put words into the caller's ear."""
    errors = [barge_in(seed, NETWORKS["late marks"]) for seed in range(300)]
    assert sum(abs(error) <= 1 for error in errors) / len(errors) >= 0.9
    assert max(errors) <= 1


@pytest.mark.parametrize("seed", range(60))
def test_after_a_hold_every_word_is_heard_and_little_is_repeated(seed: int) -> None:
    rng = random.Random(seed)
    carrier = Carrier(Playout(), rng, STILL)
    said = talk(carrier, rng, 3)
    end = carrier.now + sum(total for _, total in said.values())
    for _ in range(rng.randint(1, 3)):
        carrier.run(carrier.now + rng.uniform(50, 2_500))
        carrier.send(carrier.playout.hold(carrier.now))
        carrier.run(carrier.now + rng.uniform(100, 900))
        carrier.send(carrier.playout.resume(carrier.now))
    carrier.run(end + 10_000)
    longest = max(len(word) for word in VOCABULARY)
    for number, (text, total) in said.items():
        played = carrier.played(1, number)
        # (0.02 of slack: the ledger cuts on whole ms)
        assert set(range(total)) - set(played) <= set(range(total - 2, total)), "a part of it was never heard"
        back = [a - b for a, b in itertools.pairwise(played) if b != a + 1]
        assert all(gap >= 0 for gap in back), "something was skipped"
        per_character = total / len(text)
        # The word being spoken, and what the rate of a clause whose end is not known yet was guessed wrong by.
        assert all(gap <= (longest + 1) * per_character + len(text) * 25 for gap in back)
    assert carrier.playout.drained(carrier.now)
    heard = carrier.playout.heard(carrier.now, 1)
    assert heard.whole
    assert heard.text == " ".join(text for text, _ in said.values())


@pytest.mark.parametrize("seed", range(40))
def test_over_a_network_a_hold_loses_no_word(seed: int) -> None:
    rng = random.Random(seed)
    carrier = Carrier(Playout(), rng, NORMAL)
    said = talk(carrier, rng, 2)
    carrier.run(carrier.now + rng.uniform(100, 4_000))
    carrier.send(carrier.playout.hold(carrier.now))
    carrier.run(carrier.now + 900)
    carrier.send(carrier.playout.resume(carrier.now))
    carrier.run(carrier.now + 60_000)
    for number, (_, total) in said.items():
        missing = set(range(total)) - set(carrier.played(1, number))
        assert len(missing) <= 2, f"{len(missing)} ms of clause {number} were never heard"


def test_nothing_of_an_old_generation_follows_a_clear() -> None:
    for seed in range(50):
        rng = random.Random(seed)
        carrier = Carrier(Playout(), rng, NORMAL)
        talk(carrier, rng, 3)
        for _ in range(3):
            carrier.run(carrier.now + rng.uniform(50, 1_500))
            carrier.send(carrier.playout.hold(carrier.now))
            carrier.run(carrier.now + rng.uniform(50, 400))
            carrier.send(carrier.playout.resume(carrier.now))
        carrier.run(carrier.now + 30_000)
        generation = 0
        for item in carrier.sent:
            if isinstance(item, Clear):
                generation += 1
            elif isinstance(item, Mark):
                assert item.name.startswith(f"{generation}.")


def test_while_held_nothing_is_sent() -> None:
    playout = Playout()
    playout.begin(1, 1, written("one two three"))
    playout.audio(0, 1, 1, sound(1, 1, 500))
    assert playout.hold(100) == [Clear(), Mark("1.0")], "the mark behind it tells when it arrived"
    assert playout.hold(110) == []
    assert playout.audio(120, 1, 1, sound(1, 1, 500)) == []
    assert playout.end(1, 1) == []
    assert not playout.drained(60_000)


@pytest.mark.parametrize("never", [True, False])
def test_it_drains_even_if_the_peer_never_echoes(never: bool) -> None:
    playout = Playout()
    playout.begin(1, 1, written("one two three"))
    marks = [item.name for item in playout.audio(0, 1, 1, sound(1, 1, 3_000)) if isinstance(item, Mark)]
    marks += [item.name for item in playout.end(1, 1) if isinstance(item, Mark)]
    assert not playout.drained(3_500), "the clock alone is no proof that the last word was heard"
    if not never:
        playout.echoed(3_100, marks[0])
    assert playout.drained(3_000 + ECHO_GRACE_MS + 200)
    assert playout.heard(5_000, 1).whole


def test_a_goodbye_is_over_when_its_own_last_mark_is_back() -> None:
    playout = Playout()
    playout.begin(1, 1, written("good bye"))
    marks = [i.name for i in [*playout.audio(0, 1, 1, sound(1, 1, 700)), *playout.end(1, 1)] if isinstance(i, Mark)]
    for name in marks[:-1]:
        playout.echoed(800, name)
    assert not playout.drained(900)
    playout.echoed(901, marks[-1])
    assert playout.drained(901)


def test_marks_stand_every_few_hundred_ms_and_after_a_clause() -> None:
    playout = Playout()
    playout.begin(1, 1, written("one two three"))
    sends = [*playout.audio(0, 1, 1, sound(1, 1, 1_000)), *playout.end(1, 1)]
    since, gaps = 0.0, list[float]()
    for item in sends:
        if isinstance(item, Media):
            since += len(item.mulaw) / 8
        else:
            gaps.append(since)
            since = 0.0
    assert gaps == [MARK_EVERY_MS, MARK_EVERY_MS, MARK_EVERY_MS, 1_000 - 3 * MARK_EVERY_MS]
    assert since == 0.0


def test_echoes_of_a_clear_are_not_heard() -> None:
    playout = Playout()
    playout.begin(1, 1, written("one two three four five six"))
    sends = [*playout.audio(0, 1, 1, sound(1, 1, 3_000)), *playout.end(1, 1)]
    playout.echoed(420, sends[1].name if isinstance(sends[1], Mark) else "")
    playout.hold(900)
    before = playout.heard(900, 1)
    for item in sends:
        if isinstance(item, Mark):
            playout.echoed(950, item.name)
    assert playout.heard(960, 1) == before
    assert 0 < len(before.text.split()) < 3


def test_an_echo_counts_before_the_interruption_that_comes_behind_it() -> None:
    """The line stood still, and its news come in one read: the echo, and then the caller's words. What was heard is
    known at once, not when somebody gets round to it."""
    playout = Playout()
    playout.begin(1, 1, written("one two three four five six"))
    mulaw, sends = sound(1, 1, 2_720), list[Send]()
    for at in range(0, 2_720, MARK_EVERY_MS):  # just in time
        sends += playout.audio(at, 1, 1, mulaw[at * 8 : (at + MARK_EVERY_MS) * 8])
    marks = [item.name for item in (*sends, *playout.end(1, 1)) if isinstance(item, Mark)]
    for n, name in enumerate(marks[:3], 1):
        playout.echoed(50 + n * MARK_EVERY_MS + 40, name)
    now = 50 + 5 * MARK_EVERY_MS + 700
    assert playout.heard(now, 1).ms == 4 * MARK_EVERY_MS, "as far as is known, it stands still"
    playout.echoed(now, marks[5])
    playout.cut(now)
    assert playout.heard(now, 1).ms >= 6 * MARK_EVERY_MS


def test_position_is_per_reply() -> None:
    """The last mark of a reply may come back after the next one began."""
    playout = Playout()
    playout.begin(1, 1, written("first"))
    first = [*playout.audio(0, 1, 1, sound(1, 1, 400)), *playout.end(1, 1)]
    playout.begin(2, 1, written("second reply"))
    playout.audio(390, 2, 1, sound(2, 1, 900))
    assert isinstance(first[-1], Mark)
    playout.echoed(460, first[-1].name)
    assert playout.heard(460, 1).whole
    assert playout.heard(460, 2).text == ""


def test_what_was_heard_is_told_in_the_order_in_which_it_was_heard() -> None:
    """The greeting was asked for, and its sound took its time: "Hello!" was asked for later and heard first. It goes on
    so after a hold."""
    playout = Playout()
    playout.begin(0, 1, written("thanks for calling"))
    playout.begin(0, 2, written("how can I help"))
    playout.begin(0, 3, written("hello"))
    playout.audio(0, 0, 3, sound(0, 3, 400))
    playout.end(0, 3)
    playout.audio(300, 0, 1, sound(0, 1, 1_000))
    playout.end(0, 1)
    assert playout.heard(900, 0).full_text == "hello thanks for calling how can I help"
    assert playout.heard(900, 0).text.startswith("hello")
    playout.hold(200)
    sent = b"".join(item.mulaw for item in playout.resume(700) if isinstance(item, Media))
    assert sent.endswith(sound(0, 1, 1_000)[-80:])


class Ops:
    """Any use of the ledger, with what was sent counted beside it."""

    def __init__(self) -> None:
        self.playout = Playout()
        self.now = 0.0
        self.marks: list[str] = []
        self.sent = 0
        self.clauses = 0

    def take(self, sends: list[Send]) -> None:
        for item in sends:
            if isinstance(item, Media):
                assert not self.playout.held
                self.sent += len(item.mulaw) // 8
            elif isinstance(item, Mark):
                assert item.name.startswith(f"{self.playout.generation}.")
                self.marks.append(item.name)

    def do(self, op: str, n: int) -> None:
        playout = self.playout
        match op:
            case "wait":
                self.now += n
            case "begin":
                self.clauses += 1
                playout.begin(1, self.clauses, written(" ".join(VOCABULARY[: 1 + n % 9])))
            case "audio":
                self.take(playout.audio(self.now, 1, self.clauses, bytes(n * 8)))
            case "end":
                self.take(playout.end(1, self.clauses))
            case "echo":
                playout.echoed(self.now, self.marks[n % len(self.marks)] if self.marks else "0.1")
            case "nonsense":
                playout.echoed(self.now, ["", "0.", "x", "1.99", "9" * n][n % 5])
            case "hold":
                self.take(playout.hold(self.now))
            case "resume":
                self.take(playout.resume(self.now))
            case _:
                self.take(playout.cut(self.now))
                self.clauses += 1  # no later sound of what was cut


OPS = st.tuples(
    st.sampled_from(["wait", "begin", "audio", "end", "echo", "nonsense", "hold", "resume", "cut"]),
    st.integers(0, 2_500),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(OPS, max_size=50))
def test_any_use(ops: list[tuple[str, int]]) -> None:
    run, last = Ops(), 0
    for op, n in ops:
        run.do(op, n)
        heard = run.playout.heard(run.now, 1)
        assert len(heard.text) <= len(heard.full_text)
        assert set(heard.text.split()) <= set(heard.full_text.split())
        assert heard.ms <= run.sent + 1, "heard more than was sent"
        assert last <= heard.ms or op == "echo", "only news from the line takes anything back"
        assert run.playout.remaining_ms(run.now) >= 0
        if op != "begin":
            last = heard.ms
    run.take(run.playout.resume(run.now))
    assert run.playout.drained(run.now + run.sent + 60_000), "nothing may hang on an echo"
    run.playout.forget(1)
    assert run.playout.heard(run.now, 1).full_text == ""
