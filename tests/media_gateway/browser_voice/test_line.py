"""The line to a browser: order, marks by the clock, `clear`, and a browser that takes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from media_gateway.browser_voice.line import CLEAR, PAGE_DELAY_S, BrowserLine

pytestmark = pytest.mark.anyio
TENTH = b"\xff" * 800


class Page:
    """What arrived, in order."""

    def __init__(self) -> None:
        self.got: list[bytes | Mapping[str, Any]] = []
        self.marks: list[str] = []

    async def sound(self, pcm: bytes) -> None:
        self.got.append(pcm)

    async def sign(self, message: Mapping[str, Any]) -> None:
        self.got.append(message)


async def test_sound_is_sent_in_pieces_and_the_line_ends_when_all_is_written() -> None:
    page = Page()
    line = BrowserLine(page.marks.append)
    line.media(TENTH * 2 + b"\xff" * 8)
    line.close()
    line.media(TENTH)
    await line.write_out(page.sound, page.sign)
    assert [len(piece) for piece in page.got] == [3200, 3200, 32]
    assert line.hung_up


async def test_a_mark_comes_back_when_its_sound_was_heard() -> None:
    page = Page()
    line = BrowserLine(page.marks.append)
    began = asyncio.get_running_loop().time()
    line.media(TENTH)
    line.mark("one")
    while not page.marks:
        await asyncio.sleep(0.005)
    assert asyncio.get_running_loop().time() - began >= 0.1 + PAGE_DELAY_S
    assert page.marks == ["one"]


async def test_clear_drops_the_sound_and_gives_the_marks_back_at_once() -> None:
    page = Page()
    line = BrowserLine(page.marks.append)
    line.media(TENTH * 50)
    line.mark("a")
    line.mark("b")
    line.clear()
    line.media(TENTH)
    line.mark("c")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert page.marks == ["a", "b"]
    line.close()
    await line.write_out(page.sound, page.sign)
    assert page.got[0] is CLEAR
    assert len(page.got) == 2


async def test_a_browser_that_takes_nothing_is_given_up() -> None:
    page = Page()
    line = BrowserLine(page.marks.append, limit=1000)
    line.media(TENTH)
    assert not line.hung_up
    line.media(TENTH)
    assert line.overflowed
    await line.write_out(page.sound, page.sign)
    assert page.got == []
