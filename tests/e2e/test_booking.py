"""The main job on real sound: a caller books an oil change for tomorrow at two, and everybody who watches sees it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.local.clients import Api
from infra.local.simulate import Verdict, simulate
from infra.simulators.scenario import load_scenario
from tests.browser.page import CHROMIUM, Dashboard, chromium
from tests.conftest import require
from tests.e2e.system import Emulators, Running, running

pytestmark = [pytest.mark.call, pytest.mark.browser, pytest.mark.xdist_group("calls"), pytest.mark.timeout(180)]


def watch_in_browser(address: str, code: str, ready: asyncio.Event, loop: asyncio.AbstractEventLoop) -> list[Any]:
    """A supervisor's browser: logs in, and watches until a call is completed; what it saw."""
    with chromium() as browser, Dashboard.opened(browser, address) as dashboard:
        dashboard.login(code)
        loop.call_soon_threadsafe(ready.set)
        dashboard.page.wait_for_function(
            "() => window.__callboard.seen.some(([, , event]) => event === 'call_completed')", timeout=120_000
        )
        return [one for one in dashboard.events_seen() if one[2] != "analysis_ready"]


async def book(ground: Running) -> tuple[Verdict, list[Any]]:
    """The call, with a browser watching."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    address, code = ground.system.url, ground.system.demo_code
    browser = asyncio.create_task(asyncio.to_thread(watch_in_browser, address, code, ready, loop))
    async with asyncio.timeout(30):
        await ready.wait()
    verdict = await simulate(ground.target, load_scenario("book_oil_change"))
    return verdict, await browser


async def check(folder: Path, emulators: Emulators | None) -> None:
    async with running(folder, emulators) as ground:
        verdict, seen = await book(ground)
        assert verdict.failures == ()
        assert verdict.violations == []
        async with Api(ground.target.url, ground.target.username, ground.target.password) as api:
            journal = await api.events(verdict.call_id)
        assert [(call, seq) for call, seq, _ in seen] == [(verdict.call_id, event["seq"]) for event in journal]
        assert [event for _, _, event in seen[-2:]] == ["call_status", "call_completed"]
        (booked,) = await ground.appointments()
        (made,) = verdict.appointments
        assert booked.path.endswith(made["appointment_id"])
        assert verdict.wav
        assert await asyncio.to_thread(Path(verdict.wav).stat)


def test_a_caller_books_an_oil_change_on_the_embedded_parts(tmp_path: Path) -> None:
    require(CHROMIUM.exists(), "Chromium", "apt-get install chromium")
    asyncio.run(check(tmp_path, None))


@pytest.mark.emulator
def test_a_caller_books_an_oil_change_on_the_emulators(
    tmp_path: Path, firestore_emulator: str, pubsub_emulator: str
) -> None:
    require(shutil.which("chromium"), "Chromium", "apt-get install chromium")
    asyncio.run(check(tmp_path, Emulators(firestore_emulator, pubsub_emulator)))
