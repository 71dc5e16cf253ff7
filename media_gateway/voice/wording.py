"""The manager's line put into words by a mind, clause by clause, and what happens when the mind does not do its part.

A mind that fails before a clause of it was said is stood in for by the script. One that fails later leaves what it
said: half a clause is dropped, and the question that the script ends with is put, so that the caller knows what is
wanted.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from media_gateway.voice.clauses import Clauser
from media_gateway.voice.ports import Mind, StoodIn, TextDelta, Thinking, Thought, ToolRequest, Usage
from media_gateway.voice.quiet import Quiet

_SENTENCES = re.compile(r"(?<=[.?!])\s+")
NOBODY = -1
"""The turn of tokens that were spent on an answer nobody heard."""


Vet = Callable[[ToolRequest], ToolRequest]
Take = Callable[[Thinking], None]
Broken = Callable[[str, str], None]


class Hearer(Protocol):
    """Who hears the words (the stage of the call)."""

    def thought(self, turn: int, text: str) -> None: ...

    def say(self, turn: int, clause: str) -> None: ...

    def used(self, turn: int, usage: Usage) -> None: ...


@dataclass(frozen=True, slots=True)
class Worded:
    """What came of it: the tools that the mind asks for and may, those that it may not (each with its `problem`), and
    whether anything was said."""

    requests: Sequence[ToolRequest] = ()
    refused: Sequence[ToolRequest] = ()
    spoke: bool = False


class Guess:
    """An answer that is thought before it is known whether it is wanted. Keeps what comes, until it is adopted."""

    def __init__(self, mind: Mind, thought: Thought) -> None:
        self.thought = thought
        self._kept: list[Thinking] = []
        self._take: Take | None = None
        self._task = asyncio.create_task(self._think(mind), name="think ahead")

    @property
    def failed(self) -> bool:
        """It broke: think anew."""
        return self._task.done() and (self._task.cancelled() or self._task.exception() is not None)

    def fits(self, thought: Thought) -> bool:
        """Is this what is asked now? Letter by letter, but for the caller's last line, whose words are the same."""
        mine = self.thought
        same = (mine.system, mine.script, mine.tools) == (thought.system, thought.script, thought.tools)
        return same and mine.history[:-1] == thought.history[:-1] and _deeds(mine) == _deeds(thought)

    async def adopt(self, take: Take) -> None:
        """`take` gets what came, and then what comes, as it comes. Returns at its end, or raises as the mind does."""
        kept, self._kept = self._kept, []
        try:
            for item in kept:
                take(item)
            self._take = take
            await self._task
        finally:
            await self.drop()

    async def drop(self) -> None:
        """Stop it."""
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # it is known

    def spent(self) -> list[Usage]:
        """Tokens of what was not adopted."""
        kept, self._kept = self._kept, []
        return [item for item in kept if isinstance(item, Usage)]

    async def _think(self, mind: Mind) -> None:
        async with aclosing(mind.think(self.thought)) as items:  # type: ignore[type-var]
            async for item in items:
                (self._take or self._kept.append)(item)


def _deeds(thought: Thought) -> list[tuple[str, object]]:
    return [(request.name, request.arguments) for request in thought.script_tools]


class _Answer:
    """What a mind has said so far, and what it asks for; its clauses go to the voice as they end."""

    def __init__(self, thought: Thought, vet: Vet, hearer: Hearer, broken: Broken) -> None:
        self._thought = thought
        self._vet = vet
        self._hearer = hearer
        self._broken = broken
        self._clauser = Clauser()
        self.requests: list[ToolRequest] = []
        self.refused: list[ToolRequest] = []
        self.text = ""
        self.clauses = 0
        self.over = False
        """Nobody listens any more."""

    def take(self, item: Thinking) -> None:
        """The next that came."""
        if self.over:
            return
        match item:
            case TextDelta(piece):
                self.words(piece)
            case ToolRequest() if any(_deed(item) == _deed(one) for one in self._thought.script_tools):
                pass  # it is being done
            case ToolRequest():
                vetted = item if item.problem else self._vet(item)
                (self.refused if vetted.problem else self.requests).append(vetted)
            case Usage():
                self._hearer.used(self._thought.turn, item)
            case StoodIn(kind, detail, by):
                self._broken(kind, f"{detail}; {by} stands in")

    def words(self, piece: str) -> None:
        """More of the text."""
        turn = self._thought.turn
        self.text += piece
        if piece:
            self._hearer.thought(turn, piece)
        for clause in self._clauser.feed(piece):
            self.clauses += 1
            self._hearer.say(turn, clause)

    def end(self) -> None:
        """What is left of the text is its last clause."""
        for clause in self._clauser.flush():
            self._hearer.say(self._thought.turn, clause)

    @property
    def empty(self) -> bool:
        """Neither said nor asked for anything, with a script that does nothing either."""
        return not (self.text.strip() or self.requests or self.refused or self._thought.script_tools)


class Wording:
    """One a call. `broken(kind, detail)` is told what went wrong."""

    def __init__(self, mind: Mind, first_word_s: float, hearer: Hearer, broken: Broken) -> None:
        self._mind = mind
        self._first_word_s = first_word_s
        self._hearer = hearer
        self._broken = broken
        self._thinking: asyncio.Task[Worded] | None = None
        self._answer: _Answer | None = None

    def cut(self) -> None:
        """Stop thinking about the turn that was."""
        if self._answer:
            self._answer.over = True
        if self._thinking:
            self._thinking.cancel()

    def guess(self, thought: Thought) -> Guess:
        """Begin to think, for nobody to hear yet."""
        return Guess(self._mind, thought)

    def verbatim(self, turn: int, script: str) -> Worded:
        """The script as it stands."""
        if script:
            self._hearer.thought(turn, script)
        clauser = Clauser()
        for clause in (*clauser.feed(script), *clauser.flush()):
            self._hearer.say(turn, clause)
        return Worded(spoke=True)

    async def word(self, thought: Thought, vet: Vet, *, guess: Guess | None = None, insist: bool = False) -> Worded:
        """Stream the mind's answer (or the one that was guessed) into the voice. `vet` gives each tool call that it
        asks for as it may be made, or with its `problem`. With `insist` the script is said if the mind says nothing. A
        turn that was cut comes back empty."""
        self._answer = answer = _Answer(thought, vet, self._hearer, self._broken)
        self._thinking = asyncio.create_task(self._stream(thought, answer, guess, insist), name=f"think {thought.turn}")
        try:
            return await self._thinking
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                self._thinking.cancel()
                raise
            return Worded()
        finally:
            answer.over = True
            self._thinking = self._answer = None
            if guess:  # a stream that was cut before its first step has not closed it
                await guess.drop()

    async def _stream(self, thought: Thought, answer: _Answer, guess: Guess | None, insist: bool) -> Worded:
        try:
            async with Quiet(self._first_word_s) as quiet:
                await self._think(thought, answer, guess, quiet)
            if thought.script and answer.empty:
                self._broken("broken", "an empty answer")
        except Exception as problem:
            kind = "timeout" if isinstance(problem, TimeoutError) else getattr(problem, "kind", "broken")
            self._broken(kind, getattr(problem, "detail", "") or type(problem).__name__)
            return self._stand_in(thought, answer)
        silent = not answer.text.strip() and not answer.requests
        if silent and (insist or not answer.refused):
            answer.words(thought.script)
        answer.end()
        return Worded(answer.requests, answer.refused, bool(answer.text.strip()))

    async def _think(self, thought: Thought, answer: _Answer, guess: Guess | None, quiet: Quiet) -> None:
        """All that the mind says goes to `answer`, in the turn of the event loop in which it comes."""

        def take(item: Thinking) -> None:
            quiet.heard()
            answer.take(item)

        if guess:
            await guess.adopt(take)
            return
        async with aclosing(self._mind.think(thought)) as items:  # type: ignore[type-var]
            async for item in items:
                take(item)

    def _stand_in(self, thought: Thought, answer: _Answer) -> Worded:
        """The script, or its question if the rest was said. What the mind asked for before it failed is not done."""
        if not answer.clauses:
            return self.verbatim(thought.turn, thought.script)
        question = _SENTENCES.split(thought.script.strip())[-1]
        if question.casefold() not in answer.text.casefold():
            self.verbatim(thought.turn, question)
        return Worded(spoke=True)


def beyond(script: Sequence[ToolRequest], chosen: Sequence[ToolRequest]) -> list[ToolRequest]:
    """What was chosen beyond the script: the same tool with the same arguments is the same deed, whoever asked."""
    known = {_deed(request) for request in script}
    more: dict[tuple[str, str], ToolRequest] = {}
    for request in chosen:
        if _deed(request) not in known:
            more.setdefault(_deed(request), request)
    return list(more.values())


def _deed(request: ToolRequest) -> tuple[str, str]:
    # msgspec would be quicker, but half a surrogate pair, which a model may send, is none of its texts
    return request.name, json.dumps(dict(request.arguments), sort_keys=True, default=str)
