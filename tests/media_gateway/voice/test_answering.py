"""What the mind is shown of a long call."""

from __future__ import annotations

import pytest

from media_gateway.voice.answering import RECALLED, recent
from media_gateway.voice.ports import Message, ToolRequest

CALL = Message("assistant", "", tool_calls=(ToolRequest("t1", "book", {}), ToolRequest("t2", "look", {})))
ANSWERS = [Message("tool", "{}", tool_call_id="t1"), Message("tool", "{}", tool_call_id="t2")]


def lines(count: int) -> list[Message]:
    return [Message("user", str(n)) for n in range(count)]


def test_a_short_call_is_shown_whole() -> None:
    assert recent([]) == ()
    whole = [*lines(RECALLED - 3), CALL, *ANSWERS]
    assert recent(whole) == tuple(whole)


def test_of_a_long_call_the_end() -> None:
    assert recent(lines(500)) == tuple(lines(500)[-RECALLED:])
    assert len(recent(lines(500))) == 60


@pytest.mark.parametrize("most", range(1, 12))
def test_a_tools_answer_never_comes_without_its_call(most: int) -> None:
    history = [*lines(2), CALL, *ANSWERS, *lines(2), CALL, *ANSWERS, *lines(1)]
    shown = recent(history, most)
    assert len(shown) <= most
    assert shown == tuple(history[len(history) - len(shown) :])
    asked: set[str] = set()
    for line in shown:
        asked |= {request.call_id for request in line.tool_calls}
        assert line.tool_call_id is None or line.tool_call_id in asked
    assert most < 4 or CALL in shown


def test_answers_alone_are_not_shown() -> None:
    assert recent([CALL, *ANSWERS], 2) == ()
