"""The manager's line put into words by a mind, clause by clause, and what happens when the mind does not do its part.

A mind that fails before a clause of it was said is stood in for by the script. One that fails later leaves what it
said: half a clause is dropped, and the question that the script ends with is put, so that the caller knows what is
wanted.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Protocol

from media_gateway.voice.clauses import Clauser
from media_gateway.voice.ports import Mind, StoodIn, TextDelta, Thinking, Thought, ToolRequest, Usage

_SENTENCES = re.compile(r"(?<=[.?!])\s+")
NOBODY = -1
"""The turn of tokens that were spent on an answer nobody heard."""


Vet = Callable[[ToolRequest], ToolRequest]


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
        self._items: asyncio.Queue[Thinking | None] = asyncio.Queue()
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

    async def items(self) -> AsyncGenerator[Thinking, None]:
        """What came, and what comes."""
        try:
            while (item := await self._items.get()) is not None:
                yield item
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
        found: list[Usage] = []
        with suppress(asyncio.QueueEmpty):
            while True:
                item = self._items.get_nowait()
                found += [item] if isinstance(item, Usage) else []
        return found

    async def _think(self, mind: Mind) -> None:
        try:
            async with aclosing(mind.think(self.thought)) as items:  # type: ignore[type-var]
                async for item in items:
                    self._items.put_nowait(item)
        finally:
            self._items.put_nowait(None)


def _deeds(thought: Thought) -> list[tuple[str, object]]:
    return [(request.name, request.arguments) for request in thought.script_tools]


class Wording:
    """One a call. `broken(kind, detail)` is told what went wrong."""

    def __init__(self, mind: Mind, first_word_s: float, hearer: Hearer, broken: Callable[[str, str], None]) -> None:
        self._mind = mind
        self._first_word_s = first_word_s
        self._hearer = hearer
        self._broken = broken
        self._thinking: asyncio.Task[Worded] | None = None

    def cut(self) -> None:
        """Stop thinking about the turn that was."""
        if self._thinking:
            self._thinking.cancel()

    def guess(self, thought: Thought) -> Guess:
        """Begin to think, for nobody to hear yet."""
        return Guess(self._mind, thought)

    def verbatim(self, turn: int, script: str) -> Worded:
        """The script as it stands."""
        clauser = Clauser()
        self._words(turn, clauser, script)
        for clause in clauser.flush():
            self._hearer.say(turn, clause)
        return Worded(spoke=True)

    async def word(self, thought: Thought, vet: Vet, *, guess: Guess | None = None, insist: bool = False) -> Worded:
        """Stream the mind's answer (or the one that was guessed) into the voice. `vet` gives each tool call that it
        asks for as it may be made, or with its `problem`. With `insist` the script is said if the mind says nothing. A
        turn that was cut comes back empty."""
        items = guess.items() if guess else self._mind.think(thought)
        self._thinking = asyncio.create_task(self._stream(thought, items, vet, insist), name=f"think {thought.turn}")
        try:
            return await self._thinking
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                self._thinking.cancel()
                raise
            return Worded()
        finally:
            self._thinking = None
            if guess:  # a stream that was cut before its first step has not closed it
                await guess.drop()

    async def _stream(self, thought: Thought, thinking: AsyncIterator[Thinking], vet: Vet, insist: bool) -> Worded:
        turn, clauser = thought.turn, Clauser()
        requests, refused = list[ToolRequest](), list[ToolRequest]()
        text, clauses, failed = "", 0, False
        try:
            now = asyncio.get_running_loop().time
            async with aclosing(thinking) as items, asyncio.timeout(self._first_word_s) as limit:  # type: ignore[type-var]
                async for item in items:
                    limit.reschedule(now() + self._first_word_s)  # one timer for all, not one made for each word
                    match item:
                        case TextDelta(piece):
                            text += piece
                            clauses += self._words(turn, clauser, piece)
                        case ToolRequest() if any(_deed(item) == _deed(one) for one in thought.script_tools):
                            pass  # it is being done
                        case ToolRequest():
                            vetted = item if item.problem else vet(item)
                            (refused if vetted.problem else requests).append(vetted)
                        case Usage():
                            self._hearer.used(turn, item)
                        case StoodIn(kind, detail, by):
                            self._broken(kind, f"{detail}; {by} stands in")
            if thought.script and not (text.strip() or requests or refused or thought.script_tools):
                self._broken("broken", "an empty answer")
        except Exception as problem:
            kind = "timeout" if isinstance(problem, TimeoutError) else getattr(problem, "kind", "broken")
            self._broken(kind, getattr(problem, "detail", "") or type(problem).__name__)
            failed = True
        if failed:
            return self._stand_in(thought, text, clauses)
        silent = not text.strip() and not requests
        if silent and (insist or not refused):
            self._words(turn, clauser, thought.script)
            text = thought.script
        for clause in clauser.flush():
            self._hearer.say(turn, clause)
        return Worded(requests, refused, bool(text.strip()))

    def _stand_in(self, thought: Thought, text: str, clauses: int) -> Worded:
        """The script, or its question if the rest was said. What the mind asked for before it failed is not done."""
        if not clauses:
            return self.verbatim(thought.turn, thought.script)
        question = _SENTENCES.split(thought.script.strip())[-1]
        if question.casefold() not in text.casefold():
            self.verbatim(thought.turn, question)
        return Worded(spoke=True)

    def _words(self, turn: int, clauser: Clauser, piece: str) -> int:
        """How many clauses were given to the voice."""
        if piece:
            self._hearer.thought(turn, piece)
        clauses = clauser.feed(piece)
        for clause in clauses:
            self._hearer.say(turn, clause)
        return len(clauses)


def beyond(script: Sequence[ToolRequest], chosen: Sequence[ToolRequest]) -> list[ToolRequest]:
    """What was chosen beyond the script: the same tool with the same arguments is the same deed, whoever asked."""
    known = {_deed(request) for request in script}
    more: dict[tuple[str, str], ToolRequest] = {}
    for request in chosen:
        if _deed(request) not in known:
            more.setdefault(_deed(request), request)
    return list(more.values())


def _deed(request: ToolRequest) -> tuple[str, str]:
    return request.name, json.dumps(dict(request.arguments), sort_keys=True, default=str)
