"""The scripted mind says the script, all of it and nothing else."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.providers.scripted_mind import ScriptedMind
from media_gateway.voice.ports import TextDelta, Thought, ToolRequest, Usage


def _think(thought: Thought) -> list[TextDelta | ToolRequest | Usage]:
    async def collect() -> list[TextDelta | ToolRequest | Usage]:
        return [piece async for piece in ScriptedMind().think(thought)]

    return asyncio.run(collect())


def test_word_by_word_then_the_tools() -> None:
    book = ToolRequest("t1", "book_appointment", {"date": "2026-11-21"})
    pieces = _think(Thought(1, "", [], script="One moment, please.", script_tools=[book]))
    assert pieces == [TextDelta("One"), TextDelta(" moment,"), TextDelta(" please."), book]


@given(st.text(alphabet="ab .,\n\t", max_size=40))
def test_the_pieces_joined_are_the_script(script: str) -> None:
    pieces = _think(Thought(1, "prompt", [], script=script))
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == script
