"""What is said when a mind does not do its part: all of the script, or what is missing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from media_gateway.voice.ports import ProviderFault, StoodIn, TextDelta, Thinking, Thought, ToolRequest, Usage
from media_gateway.voice.wording import Worded, Wording, beyond

pytestmark = pytest.mark.anyio

SCRIPT = "We open at eight. We close at six. Shall I book a time?"
LOOK = ToolRequest("c1", "look", {"day": "monday"})


@dataclass
class Mind:
    """Says these, raises that, or hangs."""

    says: list[Thinking]
    raises: Exception | None = None
    hangs: bool = False
    name: str = "mind"

    async def think(self, thought: Thought) -> AsyncIterator[Thinking]:
        for item in self.says:
            yield item
        if self.hangs:
            await asyncio.sleep(60)
        if self.raises:
            raise self.raises


@dataclass
class Hearer:
    clauses: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    used_tokens: int = 0

    def thought(self, turn: int, text: str) -> None:
        """Shown only."""

    def say(self, turn: int, clause: str) -> None:
        self.clauses.append(clause)

    def used(self, turn: int, usage: Usage) -> None:
        self.used_tokens += usage.prompt

    def broken(self, kind: str, detail: str) -> None:
        self.faults.append((kind, detail))


def vet(request: ToolRequest) -> ToolRequest:
    return request if request.name == "look" else replace(request, problem="no")


async def worded(mind: Mind, *, insist: bool = False) -> tuple[Worded, Hearer]:
    hearer = Hearer()
    wording = Wording(mind, 0.05, hearer, hearer.broken)
    return await wording.word(Thought(1, "system", (), script=SCRIPT), vet, insist=insist), hearer


BROKEN = ProviderFault("mind", "broken", "cut")


async def test_before_a_clause_was_said_the_script_stands_in_whole() -> None:
    before: list[list[Thinking]] = [[], [TextDelta("We op")], [LOOK], [TextDelta("We op"), LOOK]]
    for says in before:
        result, hearer = await worded(Mind(says, BROKEN))
        assert " ".join(hearer.clauses) == SCRIPT
        assert result == Worded(spoke=True), "what it asked for before it broke is not done"
        assert hearer.faults == [("broken", "cut")]


async def test_after_that_half_a_clause_is_dropped_and_the_question_is_put() -> None:
    _, hearer = await worded(Mind([TextDelta("From eight. And we clo")], BROKEN))
    assert hearer.clauses == ["From eight.", "Shall I book a time?"]
    _, hearer = await worded(Mind([TextDelta("From eight. Shall I book a time? And th")], BROKEN))
    assert hearer.clauses == ["From eight.", "Shall I book a time?"]


async def test_one_that_falls_silent_is_one_that_broke() -> None:
    _, hearer = await worded(Mind([TextDelta("From eight. And")], hangs=True))
    assert hearer.clauses == ["From eight.", "Shall I book a time?"]
    assert [kind for kind, _ in hearer.faults] == ["timeout"]


async def test_an_empty_answer_is_told_and_the_script_said() -> None:
    _, hearer = await worded(Mind([Usage(7)]))
    assert " ".join(hearer.clauses) == SCRIPT
    assert (hearer.faults, hearer.used_tokens) == ([("broken", "an empty answer")], 7)


async def test_a_stand_in_is_told() -> None:
    _, hearer = await worded(Mind([StoodIn("busy", "HTTP 429", "other"), TextDelta("Fine.")]))
    assert hearer.faults == [("busy", "HTTP 429; other stands in")]
    assert hearer.clauses == ["Fine."]


async def test_what_it_may_not_is_given_back_and_the_script_waits_for_that() -> None:
    other = ToolRequest("c2", "steal", {})
    result, hearer = await worded(Mind([LOOK, other]))
    assert (result.requests, [one.problem for one in result.refused]) == ([LOOK], ["no"])
    assert hearer.clauses == []
    result, hearer = await worded(Mind([other]))
    assert not result.spoke
    result, hearer = await worded(Mind([other]), insist=True)
    assert " ".join(hearer.clauses) == SCRIPT


def test_a_deed_is_done_once_whoever_asks() -> None:
    again = ToolRequest("c2", "look", {"day": "monday"})
    other = ToolRequest("c3", "look", {"day": "tuesday"})
    assert beyond([LOOK], [again, other, replace(other, call_id="c4")]) == [other]


def test_half_a_character_in_an_argument_is_no_end_of_an_answer() -> None:
    half = ToolRequest("c1", "look", {"day": "\ud800"})
    assert beyond([half], [replace(half, call_id="c2"), LOOK]) == [LOOK]
