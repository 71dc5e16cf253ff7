"""F8 (and F7, F9) on processes: the functions are killed while webhooks come in, are published, pushed and written,
and come back. What was acknowledged is in the journal once, and so is what the vendor had to send again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from realtime.bus.embedded import Dispatcher
from realtime.call import Call
from realtime.journal import Journal
from tests.faults.fleet import following, free_port
from tests.faults.inside import Inside, inside
from tests.functions import apps

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
PUSH_TOKEN = "0123456789abcdef0123456789abcdef"
AT_ONCE = 6


@dataclass
class Functions:
    """All functions in a process, on a port that stays the same."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        own = {
            "FUNCTIONS_PORT": str(self.port),
            "CALLBOARD_STORE": "embedded",
            "CALLBOARD_BUS": "embedded",
            "CALLBOARD_DATA_DIR": str(self.folder / "data"),
            "CALLBOARD_PUSH_TOKEN": PUSH_TOKEN,
            "ELEVENLABS_WEBHOOK_SECRET": apps.SECRET,
        }
        with (self.folder / "functions.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "infra.local.functions_host"),
                stdin=asyncio.subprocess.PIPE,  # it ends when this end of it does
                stdout=log,
                stderr=log,
                env={**os.environ, **own},
            )

    async def kill(self) -> None:
        """As a container that is killed: nothing is said, nothing is finished."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


class Vendor:
    """Sends each webhook until it is acknowledged, as ElevenLabs does where retries are switched on."""

    def __init__(self, url: str) -> None:
        self._url = url + apps.PATH
        self._limit = asyncio.Semaphore(AT_ONCE)
        self.acknowledged = 0
        self.unanswered = 0

    async def send(self, http: httpx2.AsyncClient, number: int) -> None:
        body = json.dumps(apps.transcription(f"conv_{number}", f"CA{number}")).encode()
        async with self._limit:
            while not await self._try(http, body):
                await asyncio.sleep(0.05)
            self.acknowledged += 1

    async def _try(self, http: httpx2.AsyncClient, body: bytes) -> bool:
        headers = {"ElevenLabs-Signature": apps.sign(body), "Content-Type": "application/json"}
        try:
            answer = await http.post(self._url, content=body, headers=headers)
        except httpx2.TransportError:
            self.unanswered += 1
            return False
        assert answer.status_code == 200, answer.text
        return True


@asynccontextmanager
async def chain(folder: Path) -> AsyncIterator[tuple[Inside, Functions]]:
    """Functions, the bus's push to them, and a gateway that shows what was written."""
    async with inside(folder) as here:
        functions = Functions(folder)
        await functions.start()
        push = Dispatcher(
            folder / "data" / "callboard.db",
            f"http://127.0.0.1:{functions.port}/apply_call_event",
            token=PUSH_TOKEN,
            poll_seconds=0.01,
            backoff=(0.02, 0.2),
            max_attempts=1000,
        )
        pushing = asyncio.create_task(push.run())
        try:
            yield here, functions
        finally:
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await functions.kill()


async def _killed(folder: Path, calls: int, kills: int) -> None:
    async with (
        chain(folder) as (here, functions),
        following(here.address, everything=True) as follower,
        httpx2.AsyncClient(timeout=30, trust_env=False) as http,
        asyncio.TaskGroup() as group,
    ):
        names = [f"EL_7_{n}" for n in range(calls)]
        journal = Journal(here.writer.store)
        for n, name in enumerate(names):
            await journal.open(Call(call_id=name, conversation_id=f"conv_{n}", hosted=True))
        vendor = Vendor(f"http://127.0.0.1:{functions.port}/elevenlabs_webhook")
        for n in range(calls):
            group.create_task(vendor.send(http, n))
        for kill in range(1, kills + 1):  # some are acknowledged, some in flight, some on their way through the bus
            while vendor.acknowledged < kill * calls // (kills + 1):
                await asyncio.sleep(0.001)
            await functions.kill()
            await functions.start()
        for name in names:
            await follower.until(lambda name=name: len(follower.of(name)) >= 2)  # type: ignore[misc]
            log = await here.writer.log(name)
            assert [kind for _, _, _, kind in log] == ["call_status", "call_completed"]
            assert follower.of(name) == log
        assert vendor.unanswered > 0, "somebody must have been told nothing"


async def test_f8_the_functions_are_killed_in_the_middle_of_their_work(tmp_path: Path) -> None:
    await _killed(tmp_path, calls=30, kills=1)


@pytest.mark.long
async def test_f8_the_functions_are_killed_again_and_again(tmp_path: Path) -> None:
    await _killed(tmp_path, calls=300, kills=8)
