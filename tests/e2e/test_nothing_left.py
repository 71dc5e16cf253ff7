"""Callers whose sockets break in the middle: their calls end as they should, and the gateway keeps nothing of them."""

from __future__ import annotations

import asyncio
import gc
import os
from dataclasses import replace
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from infra.simulators.config import PhoneConfig, new_sid
from infra.simulators.phone import place_call
from infra.simulators.scenario import AfterAssistant, Cut, HangUp, Over, Say, Scenario, Step
from media_gateway.app import Gateway, create_app
from media_gateway.core import Core
from media_gateway.server import DrainingServer, server
from media_gateway.settings import Settings, load
from media_gateway.voice.ports import SessionFactory
from media_gateway.wiring import build_sessions
from realtime.events import EventType
from tests.media_gateway.harness import TOKEN, environ

pytestmark = [pytest.mark.call, pytest.mark.xdist_group("more calls"), pytest.mark.timeout(150)]

ROUNDS = 2
AT_ONCE = 4
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
    """Resident memory of this process, bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def children() -> int:
    """Processes that this one has started and not yet seen the end of."""
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


class Watch:
    """What there is of this process, before and after."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def counts(self) -> tuple[int, int, int]:
        """Sessions, tasks, child processes."""
        return len(self.gateway.sessions), len(asyncio.all_tasks()), children()

    async def settles_at(self, wanted: tuple[int, int, int]) -> tuple[int, int, int]:
        """The counts once they are as wanted, or what they are after 20 s."""
        for _ in range(200):
            if self.counts() == wanted:
                break
            await asyncio.sleep(0.1)
        return self.counts()


async def round_of_calls(url: str, gateway: Gateway) -> None:
    """Several calls at once, each ended in its own bad way; each must be complete in the journal."""
    scenarios = endings()
    sids = [new_sid("CA") for _ in range(AT_ONCE)]
    configs = [PhoneConfig(public_url=url, auth_token=TOKEN, call_sid=sid, status_events=()) for sid in sids]
    reports = await asyncio.gather(*(place_call(c, s) for c, s in zip(configs, scenarios, strict=True)))
    assert [report.violations for report in reports] == [()] * AT_ONCE
    for sid in sids:
        async with asyncio.timeout(20):
            while (await story(gateway, sid))[-1] is not EventType.CALL_COMPLETED:
                await asyncio.sleep(0.1)
        assert (await story(gateway, sid))[-2:] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]


async def story(gateway: Gateway, sid: str) -> list[EventType]:
    """The types of a call's events; its analysis, which comes when it comes, left out."""
    types = [EventType(event.type) for event in await gateway.core.journal.events(sid)]
    return [kind for kind in types if kind is not EventType.ANALYSIS_READY]


async def run(settings: Settings) -> tuple[list[int], tuple[int, int, int], tuple[int, int, int]]:
    async def build(core: Core) -> SessionFactory:
        return await build_sessions(core)

    app = create_app(settings, build_sessions=build)
    running: DrainingServer = server(app, settings, host="127.0.0.1", port=settings.port)
    serving = asyncio.create_task(running._serve())  # without its signal handlers
    async with asyncio.timeout(30):
        while not running.started:
            await asyncio.sleep(0.02)
    gateway: Gateway = app.state.gateway
    watch = Watch(gateway)
    memory: list[int] = []
    try:
        with blockbuster_ctx(["media_gateway.voice", "media_gateway.telephony", "realtime.journal", "realtime.hub"]):
            await round_of_calls(settings.base_url, gateway)  # what is cached once is not a leak
            await asyncio.sleep(1.0)
            before = watch.counts()
            for _ in range(ROUNDS):
                await round_of_calls(settings.base_url, gateway)
                gc.collect()
                memory.append(rss())
            after = await watch.settles_at(before)
    finally:
        running.should_exit = True
        await asyncio.wait_for(serving, 20)
    return memory, before, after


def test_broken_calls_leave_nothing_behind(tmp_path: Path) -> None:
    from infra.local.system import free_port

    port = free_port()
    settings = load(environ(tmp_path, PORT=str(port), PUBLIC_BASE_URL=f"http://127.0.0.1:{port}"))
    memory, before, after = asyncio.run(run(settings))
    assert after == before
    growth = (memory[-1] - memory[0]) / MIB
    assert growth < 4, [round(size / MIB, 1) for size in memory]
