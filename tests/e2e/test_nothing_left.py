"""Callers whose sockets break in the middle, or who hang up at any moment: their calls end as they should, and the
gateway keeps nothing of them: no session, task, thread, process, socket or memory."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from infra.local.system import free_port
from infra.simulators.config import PhoneConfig, new_sid
from infra.simulators.phone import place_call
from infra.simulators.scenario import AfterAssistant, Cut, HangUp, Over, Say, Scenario, Silence, Step
from infra.simulators.vendors import Vendors
from media_gateway.app import Gateway, create_app
from media_gateway.core import Core
from media_gateway.server import DrainingServer, server
from media_gateway.settings import Settings, load
from media_gateway.voice.ports import SessionFactory
from media_gateway.wiring import build_sessions
from realtime.events import EventType
from tests.media_gateway.harness import TOKEN, environ

pytestmark = [pytest.mark.call, pytest.mark.timeout(150)]

ROUNDS = 2
MIB = 1024 * 1024


def endings() -> list[Scenario]:
    """Cut while the assistant speaks, cut while it thinks, hung up while it speaks, cut before a word was said."""
    asks = Step(Say("need_oil_change"), AfterAssistant(600))
    base = Scenario(name="cut", steps=(), deadline_s=40)
    return [
        replace(base, steps=(asks, Step(Cut(), Over(300)))),
        replace(base, steps=(asks, Step(Cut()))),
        replace(base, steps=(Step(HangUp(), Over(500)),)),
        replace(base, steps=(Step(Cut(), Over(0)),)),
    ]


def rss() -> int:
    """Resident memory of this process, bytes. What the C library holds free is given back first (where it can): after
    a hundred calls at once that is 20 MB, and more or less of it by chance."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def children() -> int:
    """Processes that this one has started and not yet seen the end of."""
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def sockets() -> int:
    """Sockets that are open, of clients and servers alike: the simulators live here too."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


def threads() -> int:
    """Threads but for those of the loop's own executor, which grows to its bound and stays."""
    return sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())


Counts = tuple[int, int, int, int, int]


class Watch:
    """What there is of this process, before and after. `vendors` are here too, if they are simulated."""

    def __init__(self, gateway: Gateway, vendors: Vendors | None) -> None:
        self.gateway = gateway
        self.vendors = vendors

    def counts(self) -> Counts:
        """Sessions, tasks, child processes, threads, sockets; without both ends of the connections to the model that
        are kept for the next call, of which there are as many as were ever needed at once."""
        kept = 2 * self.vendors.openai.open_connections if self.vendors else 0
        return len(self.gateway.sessions), len(asyncio.all_tasks()), children(), threads(), sockets() - kept

    def forget(self) -> None:
        """What the simulators remember of every call is no memory of the gateway's."""
        if self.vendors:
            listen, speak = self.vendors.deepgram.listen, self.vendors.deepgram.speak
            for notes in (listen.streams, listen.paths, speak.said, speak.commands, self.vendors.elevenlabs.said):
                notes.clear()

    async def settles_at(self, wanted: Counts) -> Counts:
        """The counts once nothing is more than wanted, or what they are after 20 s."""
        for _ in range(200):
            if all(now <= then for now, then in zip(self.counts(), wanted, strict=True)):
                break
            await asyncio.sleep(0.1)
        return self.counts()


def anywhere(rng: random.Random) -> Scenario:
    """Hung up or cut at any moment: before a word, in the greeting, while the caller speaks, while it thinks, in the
    answer."""
    end = HangUp() if rng.random() < 0.7 else Cut()
    base = Scenario(name="anywhere", steps=(), deadline_s=40)
    when = rng.choice(["at once", "greeting", "speaking", "thinking", "answer"])
    if when in ("at once", "greeting"):
        return replace(base, steps=(Step(end, Over(rng.randint(0, 50 if when == "at once" else 3_000))),))
    asks = Step(Say("need_oil_change"), Over(rng.randint(300, 1_500)))
    if when == "answer":
        return replace(base, steps=(asks, Step(end, AfterAssistant(rng.randint(100, 600)))))
    later = Step(Silence(rng.randint(100, 900 if when == "speaking" else 2_500)))
    return replace(base, steps=(asks, later, Step(end)))


async def round_of_calls(url: str, gateway: Gateway, scenarios: Sequence[Scenario]) -> None:
    """Several calls at once, each ended in its own way; each must be complete in the journal."""
    sids = [new_sid("CA") for _ in scenarios]
    configs = [PhoneConfig(public_url=url, auth_token=TOKEN, call_sid=sid, status_events=()) for sid in sids]
    reports = await asyncio.gather(*(place_call(c, s) for c, s in zip(configs, scenarios, strict=True)))
    assert [report.violations for report in reports] == [()] * len(scenarios)
    for sid in sids:
        async with asyncio.timeout(20):
            while (await story(gateway, sid))[-1] is not EventType.CALL_COMPLETED:
                await asyncio.sleep(0.1)
        assert (await story(gateway, sid))[-2:] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]


async def story(gateway: Gateway, sid: str) -> list[EventType]:
    """The types of a call's events; its analysis, which comes when it comes, left out."""
    types = [EventType(event.type) for event in await gateway.core.journal.events(sid)]
    return [kind for kind in types if kind is not EventType.ANALYSIS_READY]


Rounds = Sequence[Sequence[Scenario]]


async def run(settings: Settings, rounds: Rounds, vendors: Vendors | None = None) -> tuple[list[int], Counts, Counts]:
    """The first round is not counted: what is cached once is not a leak."""

    async def build(core: Core) -> SessionFactory:
        return await build_sessions(core)

    app = create_app(settings, build_sessions=build)
    running: DrainingServer = server(app, settings, host="127.0.0.1", port=settings.port)
    serving = asyncio.create_task(running._serve())  # without its signal handlers
    async with asyncio.timeout(30):
        while not running.started:
            await asyncio.sleep(0.02)
    gateway: Gateway = app.state.gateway
    watch = Watch(gateway, vendors)
    memory: list[int] = []
    try:
        with blockbuster_ctx(["media_gateway.voice", "media_gateway.telephony", "realtime.journal", "realtime.hub"]):
            await round_of_calls(settings.base_url, gateway, rounds[0])
            await asyncio.sleep(1.0)
            before = watch.counts()
            for scenarios in rounds[1:]:
                await round_of_calls(settings.base_url, gateway, scenarios)
                watch.forget()
                gc.collect()
                memory.append(rss())
            after = await watch.settles_at(before)
    finally:
        running.should_exit = True
        await asyncio.wait_for(serving, 20)
    return memory, before, after


def kept(memory: Sequence[int]) -> float:
    """MiB more at the end than at first."""
    return (memory[-1] - memory[0]) / MIB


def not_more(after: Counts, before: Counts) -> None:
    assert all(now <= then for now, then in zip(after, before, strict=True)), f"{after}, and {before} before"


def test_broken_calls_leave_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    settings = load(environ(tmp_path, PORT=str(port), PUBLIC_BASE_URL=f"http://127.0.0.1:{port}"))
    memory, before, after = asyncio.run(run(settings, [endings()] * (ROUNDS + 1)))
    not_more(after, before)
    assert kept(memory) < 4, [round(size / MIB, 1) for size in memory]


async def on_vendors(folder: Path, rounds: Rounds) -> tuple[list[int], Counts, Counts]:
    """On Deepgram, OpenAI and ElevenLabs, whose simulators are in this process: a kept connection counts twice."""
    port = free_port()
    async with Vendors().serving() as vendors:
        own = {"PORT": str(port), "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}", "CALLBOARD_MAX_LAG_MS": "0"}
        settings = load(environ(folder, **own, CALLBOARD_MAX_CALLS="200", **vendors.environment()))
        return await run(settings, rounds, vendors)


def of_any(rng: random.Random, rounds: int, at_once: int) -> Rounds:
    return [[anywhere(rng) for _ in range(at_once)] for _ in range(rounds)]


def test_a_hang_up_at_any_moment_leaves_nothing_behind(tmp_path: Path) -> None:
    memory, before, after = asyncio.run(on_vendors(tmp_path, of_any(random.Random(7), 3, 6)))
    not_more(after, before)
    assert kept(memory) < 4, [round(size / MIB, 1) for size in memory]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("rounds", "at_once"), [(26, 20), (3, 100)])
def test_many_hang_ups_at_any_moment_leave_nothing_behind(tmp_path: Path, rounds: int, at_once: int) -> None:
    """500 calls, twenty at a time; and a hundred at once, twice."""
    memory, before, after = asyncio.run(on_vendors(tmp_path, of_any(random.Random(8), rounds, at_once)))
    print("MiB:", [round(size / MIB, 1) for size in memory], "counts:", before, after)
    not_more(after, before)
    half = memory[len(memory) // 2 :] if len(memory) > 4 else memory
    assert kept(half) < 8, [round(size / MIB, 1) for size in memory]
