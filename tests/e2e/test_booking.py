"""The main job on real sound: a caller books an oil change for tomorrow at two, and everybody who watches sees it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from infra.local.clients import Api
from infra.local.simulate import Verdict, simulate
from infra.simulators import mulaw
from infra.simulators.scenario import load_scenario
from tests.browser.page import CHROMIUM, Dashboard, chromium
from tests.conftest import require
from tests.e2e.system import Emulators, Running, running

pytestmark = [pytest.mark.call, pytest.mark.browser, pytest.mark.timeout(180)]


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


Sound = npt.NDArray[np.float64]


def spurts(sound: Sound) -> list[tuple[int, int]]:
    """From which to which sample somebody speaks; a pause of less than 0.3 s is none."""
    loud = np.flatnonzero(np.abs(sound) > 300)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > 2_400)
    starts, ends = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]] + 1
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True) if end - start > 800]


def found_at(piece: Sound, sound: Sound) -> tuple[int, float]:
    """Where in `sound` this piece is, and how much alike (1: the same)."""
    size = 1 << (len(sound) + len(piece)).bit_length()
    likely = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(piece, size)), size)[: len(sound)]
    at = int(np.argmax(likely))
    there = sound[at : at + len(piece)]
    return at, float(likely[at] / np.sqrt((piece @ piece) * (there @ there)))


def assert_same_talk(recorded: bytes, carried: bytes, late_ms: float | None) -> None:
    """Our recording (mu-law) against the telephone's own (16 bit): what was said on either side is there, sample for
    sample, and when it was said relative to all else is right within 40 ms (and what this machine was late by; None:
    not asked)."""
    sound = np.frombuffer(recorded[recorded.index(b"data") + 8 :], np.uint8)
    phone = np.frombuffer(carried[44:], np.int16).astype(np.float64)
    shifts: list[int] = []
    for side in (0, 1):
        ours = np.frombuffer(mulaw.decode(sound[side::2].tobytes()), np.int16).astype(np.float64)
        theirs = phone[side::2]
        said = spurts(theirs)
        assert len(said) >= 3
        for start, end in said:
            at, alike = found_at(theirs[start:end], ours)
            assert alike > 0.95, f"side {side}, {start / 8_000:.1f} to {end / 8_000:.1f} s: {alike:.2f} alike"
            shifts.append(at - start)
    told = f"ms between the clocks: {[shift / 8 for shift in shifts]}"
    assert late_ms is None or (max(shifts) - min(shifts)) / 8 <= 40 + late_ms, told


async def check(folder: Path, emulators: Emulators | None) -> None:
    async with running(folder, emulators) as ground:
        verdict, seen = await book(ground)
        assert verdict.failures == ()
        assert verdict.violations == []
        async with Api(ground.target.url, ground.target.username, ground.target.password) as api:
            journal = await api.events(verdict.call_id)
            recorded = await api.file(f"/api/v1/calls/{verdict.call_id}/export", format="wav")
            carried = await asyncio.to_thread(Path(verdict.wav or "").read_bytes)
            # Two emulators on the same cores hold the gateway's clock up by more than the telephone notices of itself.
            assert_same_talk(recorded, carried, None if emulators else verdict.latencies["phone_late_ms"])
        assert [(call, seq) for call, seq, _ in seen] == [(verdict.call_id, event["seq"]) for event in journal]
        assert [event for _, _, event in seen[-2:]] == ["call_status", "call_completed"]
        (booked,) = await ground.appointments()
        (made,) = verdict.appointments
        assert booked.path.endswith(made["appointment_id"])


def test_a_caller_books_an_oil_change_on_the_embedded_parts(tmp_path: Path) -> None:
    require(CHROMIUM.exists(), "Chromium", "apt-get install chromium")
    asyncio.run(check(tmp_path, None))


@pytest.mark.emulator
def test_a_caller_books_an_oil_change_on_the_emulators(
    tmp_path: Path, firestore_emulator: str, pubsub_emulator: str
) -> None:
    require(shutil.which("chromium"), "Chromium", "apt-get install chromium")
    asyncio.run(check(tmp_path, Emulators(firestore_emulator, pubsub_emulator)))
