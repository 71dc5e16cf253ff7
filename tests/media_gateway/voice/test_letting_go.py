"""A vendor that does not even answer a goodbye keeps nobody waiting for the next one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from media_gateway.conversation.model import ListeningProfile
from media_gateway.voice.ear import Ear
from media_gateway.voice.letting_go import letting_go
from media_gateway.voice.parts import Parts, Patience

pytestmark = pytest.mark.anyio


class Stalled:
    """Takes sound; its end never comes, unless it is told that nobody waits any more."""

    def __init__(self) -> None:
        self.sound: list[bytes] = []
        self.asked_to_go = self.left_alone = False

    def feed(self, mulaw: bytes) -> None:
        self.sound.append(mulaw)

    def configure(self, profile: ListeningProfile) -> None:
        pass

    async def aclose(self) -> None:
        self.asked_to_go = True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.left_alone = True
            raise


def parts(engines: list[Stalled]) -> Parts:
    async def opened(*_: object) -> Stalled:
        engines.append(Stalled())
        return engines[-1]

    fake: Any = SimpleNamespace(
        patience=Patience(close=0.05), engines=SimpleNamespace(ears=SimpleNamespace(name="x", open=opened))
    )
    return cast(Parts, fake)


async def test_the_next_recogniser_hears_while_the_stalled_one_is_still_waited_for() -> None:
    engines: list[Stalled] = []
    ear = Ear(parts(engines), heard=lambda _: None, fault=lambda *_: None, lost=lambda _: None)
    await ear.open()
    again = asyncio.create_task(ear.open())
    for _ in range(3):
        await asyncio.sleep(0)
    ear.feed(b"\x01")
    assert (engines[0].asked_to_go, engines[0].left_alone, engines[1].sound) == (True, False, [b"\x01"])
    await again
    assert engines[0].left_alone
    assert not engines[1].asked_to_go


async def test_who_is_cancelled_leaves_nobody_behind() -> None:
    engine = Stalled()

    async def open_another() -> None:
        async with letting_go((engine, None), 5.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(open_another())
    await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task}, timeout=1)
    assert task.cancelled()
    assert engine.left_alone
