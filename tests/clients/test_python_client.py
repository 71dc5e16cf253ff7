"""The Python client against a real gateway, as a program of other people would use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidURI

from clients.callboard_client import (
    CallboardClient,
    Event,
    Heads,
    Item,
    Moment,
    Refused,
    Since,
    Snapshot,
    State,
    delay,
    verdict,
)
from realtime.clock import iso, utcnow
from realtime.events import LiveType
from tests.media_gateway.dashboard.test_sockets import append, complete, said
from tests.media_gateway.harness import VIEWER, Running, gateway

pytestmark = pytest.mark.anyio


class Dial:
    """Opens sockets, unless it is told not to, and can cut the last one."""

    def __init__(self) -> None:
        self.blocked = False
        self.made: list[connect] = []

    def __call__(self, url: str, **options: Any) -> connect:
        if self.blocked:
            raise InvalidURI(url, "blocked")
        self.made.append(connect(url, proxy=None, **options))
        return self.made[-1]

    async def cut(self) -> None:
        await self.made[-1].connection.close()


class Reader:
    """What the client has told so far."""

    def __init__(self, client: CallboardClient, dial: Dial) -> None:
        self.client, self.dial = client, dial
        self.items: list[Item] = []
        self._more = asyncio.Event()

    async def read(self) -> None:
        async for item in self.client:
            self.items.append(item)
            self._more.set()
        self._more.set()

    def seqs(self, call_id: str) -> list[int]:
        return [item.seq for item in self.items if isinstance(item, Event) and item.call_id == call_id]

    def has(self, call_id: str, count: int) -> bool:
        return self.seqs(call_id) == list(range(1, count + 1))

    def of(self, kind: type[Any]) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def reading(running: Running, *, token: str = "", **options: Any) -> AsyncIterator[Reader]:
    url = f"http://127.0.0.1:{running.server.bound_port}"
    dial = Dial()
    shown = token or running.tokens.access(VIEWER)
    async with CallboardClient(url, shown, rand=lambda: 0.1, poll_s=0.1, dial=dial, **options) as client:
        reader = Reader(client, dial)
        task = asyncio.create_task(reader.read())
        yield reader
        await client.aclose()
        await asyncio.wait_for(task, 5)


async def test_one_call_once_and_in_order_across_broken_lines(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, reading(running) as reader:
        await running.ring("CA1")
        reader.client.watch("CA1")
        await reader.until(lambda: reader.seqs("CA1") == [1])
        for n in range(2, 6):
            await reader.dial.cut()
            await append(running, said(n, "x"), said(n + 100, "y"))
            await reader.until(partial(reader.has, "CA1", 2 * n - 1))
        running.gateway.core.hub.live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 9, "text": "wha"}, iso(utcnow()))
        await reader.until(lambda: reader.of(Moment))
        await complete(running)
        await reader.until(lambda: reader.seqs("CA1") == list(range(1, 12)))
        assert reader.of(Refused) == reader.of(Snapshot) == []
        assert [state.phase for state in reader.of(State)][:2] == ["connecting", "live"]


async def test_all_calls_and_those_that_came_and_went_meanwhile(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, reading(running) as reader:
        await running.ring("CA1")
        reader.client.watch_all()
        await reader.until(lambda: reader.of(Heads))
        await append(running, said(1, "live"))
        await reader.until(lambda: reader.seqs("CA1") == [2])
        reader.dial.blocked = True
        await reader.dial.cut()
        await reader.until(lambda: reader.client.state.phase == "waiting")
        await append(running, said(2, "missed"))
        await running.ring("CA2")
        await complete(running, "CA2")
        await running.gateway.core.journal.append("CA2", (), change={"active": False})
        reader.dial.blocked = False
        await reader.until(lambda: reader.seqs("CA1") == [2, 3] and reader.seqs("CA2") == [1, 2, 3])
        await append(running, said(3, "and on"))
        await reader.until(lambda: reader.seqs("CA1") == [2, 3, 4])
        await running.until(lambda: running.gateway.core.hub.subscriptions == {"*": 1})


async def test_without_any_socket_the_journal_is_polled_and_nothing_comes_twice(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, reading(running) as reader:
        reader.dial.blocked = True
        await running.ring("CA1")
        reader.client.watch("CA1")
        reader.client.watch_all()
        await reader.until(lambda: reader.client.state.phase == "polling" and reader.seqs("CA1") == [1])
        await append(running, said(1, "one"))
        await running.ring("CA2")
        await reader.until(lambda: reader.seqs("CA1") == [1, 2] and reader.seqs("CA2") == [1])
        reader.dial.blocked = False
        await reader.until(lambda: reader.client.state.phase == "live")
        await append(running, said(2, "two"))
        await append(running, said(1, "other"), call_id="CA2")
        await reader.until(lambda: reader.seqs("CA1") == [1, 2, 3] and reader.seqs("CA2") == [1, 2])


async def test_an_old_cursor_of_another_journal_brings_a_snapshot(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, reading(running) as reader:
        await running.ring("CA1")
        reader.client.watch("CA1", Since(7, "another"))
        await reader.until(lambda: reader.of(Snapshot))
        await append(running, said(1, "on"))
        await reader.until(lambda: reader.seqs("CA1") == [2])


async def test_it_stops_when_it_is_not_let_in(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, reading(running, token="x.y.z") as reader:
        await reader.until(lambda: reader.client.state.phase == "stopped")
        assert [state.code for state in reader.of(State)] == [0, 4401, 0, 4401]  # a new ticket, once


def test_what_close_codes_and_failures_ask_for() -> None:
    codes = {
        **dict.fromkeys((0, 1000, 1006, 4405, 4500, 4508, 4510, 4512, 4513, 4999), "again"),
        **dict.fromkeys((1009, 4400, 4403, 4406, 4408, 4409, 4450), "stop"),
        **dict.fromkeys((1001, 1012, 4501), "spread"),
        4401: "ticket",
        4429: "later",
    }
    assert {code: verdict(code) for code in codes} == codes
    assert [delay(n, lambda: 1.0) for n in (0, 1, 3, 6, 60)] == [0.5, 1.0, 4.0, 30.0, 30.0]
