"""Thinking without a key: says what the conversation manager would say by itself, word by word as a model streams it.

It sees the thought and nothing else: what the recogniser heard has already become the manager's directive.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from media_gateway.voice.ports import TextDelta, Thought, ToolRequest, Usage

_WORD = re.compile(r"\s*\S+\s*?(?=\s|$)")


class ScriptedMind:
    """The port `Mind`. Never fails, takes no time, costs no tokens: it is also the stand-in for a model that does."""

    name = "scripted"

    async def think(self, thought: Thought) -> AsyncIterator[TextDelta | ToolRequest | Usage]:
        """The deltas joined are exactly `thought.script`; the tool requests follow."""
        end = 0
        for word in _WORD.finditer(thought.script):
            end = word.end()
            yield TextDelta(word.group())
        if thought.script[end:]:
            yield TextDelta(thought.script[end:])
        for request in thought.script_tools:
            yield request
