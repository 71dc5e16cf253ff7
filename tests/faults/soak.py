"""Everything at once, for as long as wanted: calls come and go, dashboards come and go, the stream to the store is cut.
What the gateway holds afterwards is what it held at the beginning."""

from __future__ import annotations

import asyncio
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Protocol

from tests.faults.caller import calling, webhook
from tests.faults.fleet import Gateway, Writer, following
from tests.faults.proxy import Proxy

WARM_ROUNDS = 3
"""What is made once (pools, caches, lazy imports) is there after these."""


class Ground(Protocol):
    """A gateway whose way to its store can be cut, and another writer on that store."""

    proxy: Proxy
    writer: Writer
    gateway: Gateway


@dataclass(frozen=True)
class Held:
    """By a process: threads, open files and sockets, and MiB that are resident."""

    threads: int
    files: int
    mib: float

    @classmethod
    def by(cls, gateway: Gateway) -> Held:
        proc = Path(f"/proc/{gateway.process.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        return cls(len(list((proc / "task").iterdir())), len(list((proc / "fd").iterdir())), pages * 4096 / 2**20)


async def _round(here: Ground, number: int) -> None:
    """A call of another instance, one of ours, and a dashboard, each from its beginning to its end, and a cut."""
    other, own = f"CAs{number}", f"CAo{number}"
    async with following(here.gateway.address, everything=True, user="passing") as passing:
        await here.writer.open(other)
        async with calling(here.gateway.address, own) as caller:
            await caller.heard(5)
            here.proxy.reset()
            await here.writer.say(other, 5)
            await caller.heard(5)
        news = {"CallSid": own, "CallStatus": "completed"}
        assert (await webhook(here.gateway.address, "/api/v1/voice/status", news)).status_code == 204
        await here.writer.complete(other)
        await here.writer.complete(own)
        await passing.has(here.writer, other)
    for call_id in (other, own):  # as the sweep does with calls that are over
        await here.writer.journal.append(call_id, (), change={"active": False})


async def soak(here: Ground, seconds: float, *, mib: float) -> None:
    """Rounds for so long; then threads and files are no more than after one of the first rounds (a cut line is opened
    again when it is next used), and memory within `mib` of it. Who watches all the while has seen every call."""
    loop, number = asyncio.get_running_loop(), 0
    held: list[Held] = []
    async with following(here.gateway.address, everything=True, user="staying") as staying:
        while number < WARM_ROUNDS:
            await _round(here, number := number + 1)
            held.append(await _settled(here, None))
        before = Held(*(max(one) for one in zip(*map(astuple, held), strict=True)))
        until = loop.time() + seconds
        while loop.time() < until:
            await _round(here, number := number + 1)
            await staying.has(here.writer, f"CAs{number}")
            staying.record.clear()  # it is we who would grow
            staying.moments.clear()
        after = await _settled(here, before)
    assert after.threads <= before.threads, (before, after, number)
    assert after.files <= before.files, (before, after, number)
    assert after.mib - before.mib < mib, (before, after, number)


async def _settled(here: Ground, wanted: Held | None) -> Held:
    """What it holds once all that was under way has ended: as much as `wanted`, or what it is after a while."""
    for _ in range(100 if wanted else 10):
        held = Held.by(here.gateway)
        if wanted and held.threads <= wanted.threads and held.files <= wanted.files:
            break
        await asyncio.sleep(0.1)
    return held
