"""Real gateways on a shared store, a writer beside them, and clients whose record is compared with the journal."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.callboard_client import CallboardClient, Event, Gap, Heads, Item, Moment, Refused, Since, Snapshot, State
from media_gateway.auth import Principal, Tokens
from realtime.call import Call, Status
from realtime.clock import iso, utcnow
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import DocumentStore
from tests.media_gateway.harness import KEY, environ

READY_S = 110.0
PATIENCE_S = 60.0
"""How long a client may take to have everything: a machine may be slow, a lost event never comes."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Gateway:
    """A process that serves dashboards."""

    process: asyncio.subprocess.Process
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def stop(self, how: signal.Signals) -> None:
        """Send it this signal, and wait for its end."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        async with asyncio.timeout(30):
            await self.process.wait()


@asynccontextmanager
async def gateways(
    folder: Path, count: int, module: str = "media_gateway", **more: str
) -> AsyncIterator[list[Gateway]]:
    """So many of them on the same store. In `more`, {address} stands for where it answers."""
    started = [await _start(folder, module, more) for _ in range(count)]
    try:
        for one in started:
            await _ready(one)
        yield started
    finally:
        await asyncio.gather(*(one.stop(signal.SIGKILL) for one in started))


async def _start(folder: Path, module: str, more: Mapping[str, str]) -> Gateway:
    port = free_port()
    own = {name: value.format(address=f"127.0.0.1:{port}") for name, value in more.items()}
    wanted = {**environ(folder), "PUBLIC_BASE_URL": "", "CALLBOARD_ROLE": "dashboard", "LOG_LEVEL": "WARNING", **own}
    log = (folder / f"gateway-{port}.log").open("wb")
    with log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            env={**os.environ, **wanted, "PORT": str(port)},
            stdout=log,
            stderr=log,
        )
    return Gateway(process, port)


async def _ready(gateway: Gateway) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            assert gateway.process.returncode is None, "the gateway did not start"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@asynccontextmanager
async def beside(folder: Path) -> AsyncIterator[Writer]:
    """A writer on the embedded store of the gateways, as another instance is one."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    store = EmbeddedStore(folder / "data" / "callboard.db")
    try:
        yield Writer(store)
    finally:
        await store.aclose()


class Writer:
    """Another instance that owns calls: what it writes is what everybody must get."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store
        self.journal = Journal(store)
        self._said = 0

    async def open(self, call_id: str, **fields: Any) -> None:
        draft = Draft(EventType.CALL_STATUS, {"status": "ringing"}, "status:ringing", iso(utcnow()))
        await self.journal.open(Call(call_id=call_id, call_sid=call_id, **fields), (draft,))

    async def say(self, call_id: str, count: int = 1, text: str = "x") -> None:
        """So many events in one commit."""
        drafts = []
        for _ in range(count):
            self._said += 1
            data = {"turn": self._said, "speaker": "user", "text": text, "confidence": None}
            drafts.append(Draft(EventType.FINAL_TRANSCRIPT, data, f"said:{self._said}", iso(utcnow())))
        await self.journal.append(call_id, drafts)

    async def complete(self, call_id: str) -> None:
        await self.journal.complete(call_id, Status.COMPLETED, call_data={"a": 1}, key="end", ts=iso(utcnow()))

    async def burst(self, calls: list[str], seconds: float, rate: float) -> None:
        """`rate` events a second over these calls, then their ends."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n in range(int(seconds * rate)):
            await asyncio.sleep(max(0.0, began + n / rate - loop.time()))
            await self.say(calls[n % len(calls)])
        for call_id in calls:
            await self.complete(call_id)

    async def log(self, call_id: str) -> list[tuple[str, str, int, str]]:
        """What the journal has of a call, as clients record it."""
        lines: list[tuple[str, str, int, str]] = []
        while page := await self.journal.events(call_id, after=len(lines)):
            lines += [(event.call_id, event.epoch, event.seq, event.type.value) for event in page]
        return lines


@dataclass
class Follower:
    """A client, and its record."""

    client: CallboardClient
    record: list[tuple[str, str, int, str]] = field(default_factory=list)
    moments: list[Moment | Gap] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    heads: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        async for item in self.client:
            self._keep(item)
            self.more.set()

    def _keep(self, item: Item) -> None:
        match item:
            case Event(call_id, epoch, seq, event):
                self.record.append((call_id, epoch, seq, "turn_metrics" if event == "metrics_updated" else event))
            case Moment() | Gap():
                self.moments.append(item)
            case Snapshot():
                self.snapshots.append(item)
            case Heads():
                self.heads += 1
            case State():
                self.states.append(item)
            case Refused():
                self.refused.append(item)

    def of(self, call_id: str) -> list[tuple[str, str, int, str]]:
        return [line for line in self.record if line[0] == call_id]

    async def until(self, holds: Callable[[], object], seconds: float = PATIENCE_S) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self.more.clear()
                    await self.more.wait()
        except TimeoutError:
            raise AssertionError((len(self.record), self.record[-3:], self.states[-3:], self.refused[-3:])) from None

    async def has(self, writer: Writer, *calls: str, after: int = 0) -> None:
        """The oracle: each of these calls as the journal has it, exactly once and in order."""
        for call_id in calls:
            log = (await writer.log(call_id))[after:]
            await self.until(lambda log=log, call_id=call_id: len(self.of(call_id)) >= len(log))  # type: ignore[misc]
            got = self.of(call_id)
            if len(got) > len(log):  # it has grown meanwhile: its analysis comes when it comes
                log = (await writer.log(call_id))[after:]
            assert got == log[: len(got)]


@asynccontextmanager
async def following(
    address: str, *, calls: tuple[str, ...] = (), everything: bool = False, user: str = "ann", **options: Any
) -> AsyncIterator[Follower]:
    """A client of the gateways at `address` that is connected."""
    token = Tokens([("k1", KEY)]).access(Principal(user, "default", "viewer"))
    async with CallboardClient(f"http://{address}", token, rand=lambda: 0.05, poll_s=0.3, **options) as client:
        follower = Follower(client)
        reading = asyncio.create_task(follower.read())
        try:
            for call_id in calls:
                client.watch(call_id, Since(0))
            if everything:
                client.watch_all()
            # "From now on" begins with the answer.
            await follower.until(lambda: client.state.phase == "live" and (follower.heads or not everything))
            yield follower
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
