"""callboard-client.js under node, against a real gateway."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from media_gateway.dashboard.page import STATIC
from tests import conftest
from tests.media_gateway.dashboard.test_sockets import append, complete, said
from tests.media_gateway.harness import VIEWER, Running, gateway

pytestmark = pytest.mark.anyio
DRIVER = Path(__file__).with_name("client.js")


class Js:
    """The client in its process: what it tells, by kind."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[tuple[str, Any]] = []
        self._more = asyncio.Event()

    async def read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            self.told.append(tuple(json.loads(line)))
            self._more.set()

    async def do(self, *command: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    def of(self, kind: str) -> list[Any]:
        return [value for what, value in self.told if what == kind]

    @property
    def phase(self) -> str:
        states = self.of("state")
        return states[-1][0] if states else ""

    def seqs(self, call_id: str) -> list[int]:
        return [seq for call, _, seq, _ in self.of("event") if call == call_id]

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def client(running: Running) -> AsyncIterator[Js]:
    node = shutil.which("node")
    conftest.require(node and _major(node) >= 20, "node 20 or newer", "install Node.js (https://nodejs.org)")
    port = running.server.bound_port
    arguments = [f"ws://127.0.0.1:{port}/ws/v1", f"http://127.0.0.1:{port}", running.tokens.access(VIEWER)]
    process = await asyncio.create_subprocess_exec(
        str(node),
        "--experimental-websocket",
        "--no-warnings",
        str(DRIVER),
        str(STATIC / "callboard-client.js"),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    js = Js(process)
    reading = asyncio.create_task(js.read())
    try:
        yield js
    finally:
        if process.stdin:
            process.stdin.close()
        await asyncio.wait_for(process.wait(), 10)
        await reading


def _major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    return int(version[1:].split(".")[0])


async def test_a_call_told_once_and_in_order_across_broken_lines(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, client(running) as js:
        await running.ring("CA1")
        await append(running, said(1, "one"))
        await js.do("watch", "CA1")
        await js.until(lambda: js.seqs("CA1") == [1, 2])
        await js.do("cut")
        await append(running, said(2, "two"), said(3, "three"))
        await js.until(lambda: js.seqs("CA1") == [1, 2, 3, 4])
        await complete(running)
        await js.until(lambda: js.seqs("CA1") == [1, 2, 3, 4, 5, 6])
        assert js.of("error") == []


async def test_all_calls_and_those_that_came_and_went_meanwhile(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, client(running) as js:
        await running.ring("CA1")
        await append(running, said(1, "before"))
        await js.do("watchAll")
        await js.until(lambda: js.of("heads"))
        assert js.of("heads") == [[["CA1", 2]]]
        await append(running, said(2, "live"))
        await js.until(lambda: js.seqs("CA1") == [3])
        await js.do("block", True)
        await js.do("cut")
        await js.until(lambda: js.phase == "waiting")
        await append(running, said(3, "missed"))
        await running.ring("CA2")
        await complete(running, "CA2")
        await running.gateway.core.journal.append("CA2", (), change={"active": False})
        await js.do("block", False)
        await js.until(lambda: js.seqs("CA1") == [3, 4] and js.seqs("CA2") == [1, 2, 3])
        await append(running, said(4, "and on"))
        await js.until(lambda: js.seqs("CA1") == [3, 4, 5])
        await running.until(lambda: running.gateway.core.hub.subscriptions == {"*": 1})


async def test_without_any_socket_the_journal_is_polled_and_nothing_comes_twice(tmp_path: Path) -> None:
    async with gateway(tmp_path, PUBLIC_BASE_URL="") as running, client(running) as js:
        await running.ring("CA1")
        await js.do("block", True)
        await js.do("watch", "CA1")
        await js.do("watchAll")
        await js.until(lambda: js.phase == "polling")
        await js.until(lambda: js.seqs("CA1") == [1])
        await append(running, said(1, "one"))
        await js.until(lambda: js.seqs("CA1") == [1, 2])
        await running.ring("CA2")
        await js.until(lambda: js.seqs("CA2") == [1])
        await js.do("block", False)
        await js.until(lambda: js.phase == "live")
        await append(running, said(2, "two"))
        await append(running, said(1, "other"), call_id="CA2")
        await js.until(lambda: js.seqs("CA1") == [1, 2, 3] and js.seqs("CA2") == [1, 2])


async def test_what_close_codes_and_failures_ask_for(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, client(running) as js:
        for code in (1000, 1001, 1006, 1009, 1012, 4400, 4401, 4405, 4409, 4429, 4450, 4500, 4501, 4508, 4999):
            await js.do("verdict", code)
        for attempt in (0, 1, 3, 6, 60):
            await js.do("delay", attempt)
        events = [["e", 1], ["e", 1], ["e", 2], ["e", 4], ["e", 3], ["f", 4]]
        await js.do("progress", events)
        await js.until(lambda: js.of("progress"))
        again, stop = "again", "stop"
        assert js.of("verdict") == [
            *[again, "spread", again, stop, "spread", stop, "ticket", again, stop, "later", stop],
            *[again, "spread", again, again],
        ]
        assert js.of("delay") == [500, 1000, 4000, 30000, 30000]
        assert js.of("progress") == [["new", "old", "new", "hole", "new", "hole"]]


async def test_of_the_calls_that_are_over_the_oldest_are_forgotten(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, client(running) as js:
        await js.do("crowd", 3000)
        await js.until(lambda: js.of("crowd"))
        assert js.of("crowd") == [[501, True, "old"]]


async def test_a_call_that_is_not_there_is_told_and_asked_for_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, client(running) as js:
        await js.do("watch", "CA1")
        await js.until(lambda: js.of("error") == [["CA1", "unknown_call"]])
        await running.ring("CA1")
        await js.until(lambda: js.seqs("CA1") == [1])
