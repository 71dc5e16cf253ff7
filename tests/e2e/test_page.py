"""The page against the whole system: a person's recorded voice through the browser's microphone, and a server that dies
under an open page."""

from __future__ import annotations

import array
import asyncio
import os
import re
import signal
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from infra.cli.simulating import target_of
from infra.local.clients import Api
from infra.local.system import LocalSystem, free_port
from tests.browser.page import CHROMIUM, MICROPHONE, Dashboard, chromium
from tests.conftest import require
from tests.e2e.system import running
from tests.e2e.test_human_speech import FOLDER

pytestmark = [pytest.mark.call, pytest.mark.browser, pytest.mark.timeout(180)]

SPOKEN = "tt-weasels"
RATE = 48_000


def recording(folder: Path) -> Path:
    """Four seconds of silence, the sentence, and silence to its end, as a microphone of 48 kHz has it."""
    with wave.open(str(FOLDER / f"{SPOKEN}.wav")) as source:
        assert (source.getframerate(), source.getsampwidth(), source.getnchannels()) == (8000, 2, 1)
        samples = array.array("h", source.readframes(source.getnframes()))
    held = array.array("h", (sample for sample in samples for _ in range(RATE // 8000)))
    silence = array.array("h", bytes(2 * RATE))
    file = folder / "microphone.wav"
    with wave.open(str(file), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE)
        target.writeframes((silence * 4 + held + silence * 30).tobytes())
    return file


def speak(address: str, code: str, microphone: Path) -> None:
    """From getUserMedia to the audible reply and the transcript."""
    with (
        chromium(*MICROPHONE, f"--use-file-for-fake-audio-capture={microphone}%noloop") as browser,
        Dashboard.opened(browser, address) as dashboard,
    ):
        page = dashboard.page
        dashboard.login(code)
        page.get_by_role("link", name="Talk", exact=True).click()
        page.get_by_role("button", name="Start talking").click()
        expect(page.get_by_text("Listening")).to_be_visible()
        loud = re.compile(r"^([4-9]|1\d)$")
        expect(page.get_by_role("img", name="How loud the assistant is")).to_have_attribute(
            "data-lit", loud, timeout=30_000
        )
        expect(page.get_by_role("img", name="How loud you are")).to_have_attribute("data-lit", loud, timeout=30_000)
        expect(dashboard.bubbles("user")).to_have_count(1, timeout=30_000)
        expect(dashboard.bubbles("user").locator(".words")).not_to_be_empty()
        after = dashboard.page.locator(".log .bubble.user ~ .bubble.assistant")
        expect(page.get_by_role("img", name="How loud the assistant is")).to_have_attribute(
            "data-lit", loud, timeout=30_000
        )
        expect(after.first).to_be_visible(timeout=30_000)


async def one_conversation(folder: Path) -> None:
    async with running(folder) as ground:
        await asyncio.to_thread(speak, ground.system.url, ground.system.demo_code, recording(folder))
        async with Api(ground.target.url, ground.target.username, ground.target.password) as api:
            (call,) = (await api.get("/api/v1/calls"))["calls"]
            kept = call["metadata"].pop("recording")
            assert kept["ms"] > 5_000
            assert call["metadata"] == {"source": "browser", "user": ground.target.username}
            journal = await api.events(call["call_id"])
            heard = next(event["seq"] for event in journal if event["type"] == "final_transcript")
            assert any(one["type"] == "ai_response_complete" and one["seq"] > heard for one in journal)


def test_a_recorded_person_is_heard_through_the_microphone_and_answered(tmp_path: Path) -> None:
    require(CHROMIUM.exists(), "Chromium", "apt-get install chromium")
    require(FOLDER.is_dir(), "recorded human speech", "apt-get install asterisk-core-sounds-en-wav")
    asyncio.run(one_conversation(tmp_path))


@asynccontextmanager
async def system(folder: Path, ports: tuple[int, int]) -> AsyncIterator[LocalSystem]:
    environment = {"LOG_LEVEL": "WARNING"}
    async with LocalSystem(
        port=ports[0], functions_port=ports[1], data_dir=folder / "data", environment=environment
    ) as up:
        yield up


NOTE_WHAT_IS_TOLD = """() => {
  const look = () => { window.__told ||= document.body.innerText.includes("Connected again."); };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
"""It is told for six seconds: who looks now and then may always look in between."""


class Watching:
    """A page in a thread of its own, told what to wait for."""

    def __init__(self, address: str, code: str) -> None:
        self.address, self.code = address, code
        self.call_id = ""
        self.seen: list[tuple[str, int, str]] = []
        self.talking, self.alone, self.back = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def say(self, event: asyncio.Event) -> None:
        self.loop.call_soon_threadsafe(event.set)

    def watch(self) -> None:
        with chromium(*MICROPHONE) as browser, Dashboard.opened(browser, self.address) as dashboard:
            dashboard.expected = ("Failed to load resource", "WebSocket connection", "net::ERR")
            page = dashboard.page
            dashboard.login(self.code)
            dashboard.say("I need an oil change tomorrow at two")
            expect(dashboard.bubbles("assistant")).to_have_count(2, timeout=60_000)
            self.call_id = page.url.rsplit("/", 1)[1]
            self.say(self.talking)
            expect(page.get_by_role("alert").filter(has_text="Not connected to the server")).to_be_visible(
                timeout=30_000
            )
            page.evaluate(NOTE_WHAT_IS_TOLD)
            self.say(self.alone)
            expect(page.locator(".link-state")).to_have_text("Live", timeout=60_000)
            page.wait_for_function("() => window.__told", timeout=30_000)
            expect(page.locator(".call-head .chip")).to_have_text("Failed", timeout=60_000)
            expect(page.locator('.timeline li[data-event="call_completed"]')).to_be_visible()
            self.seen = dashboard.events_seen()


async def killed_and_restarted(folder: Path) -> tuple[list[Any], list[Any]]:
    ports = (free_port(), free_port())
    async with system(folder, ports) as first:
        watching = Watching(first.url, first.demo_code)
        page = asyncio.create_task(asyncio.to_thread(watching.watch))
        await until(watching.talking, page)
        gateway = next(child for child in first.children if child.name == "gateway")
        os.kill(gateway.process.pid, signal.SIGKILL)
        await until(watching.alone, page)
    async with system(folder, ports) as second:
        await page
        target = target_of(second)
        async with Api(target.url, target.username, target.password) as api:
            return watching.seen, await api.events(watching.call_id)


async def until(event: asyncio.Event, page: asyncio.Task[None]) -> None:
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({waiting, page}, return_when=asyncio.FIRST_COMPLETED)
    if page.done():
        waiting.cancel()
        page.result()


def test_a_server_that_is_killed_under_an_open_page_loses_and_doubles_nothing(tmp_path: Path) -> None:
    require(CHROMIUM.exists(), "Chromium", "apt-get install chromium")
    seen, journal = asyncio.run(killed_and_restarted(tmp_path))
    names: Callable[[str], str] = lambda kind: "metrics_updated" if kind == "turn_metrics" else kind  # noqa: E731
    assert [(seq, event) for _, seq, event in seen] == [(one["seq"], names(one["type"])) for one in journal]


def step_in(address: str, code: str) -> None:
    """A supervisor says a line, takes the call over with the microphone, gives it back, and hangs up."""
    with chromium(*MICROPHONE) as browser, Dashboard.opened(browser, address) as dashboard:
        page = dashboard.page
        dashboard.login(code)
        dashboard.say("I need an oil change tomorrow at two")
        expect(dashboard.bubbles("assistant")).to_have_count(2, timeout=60_000)
        page.get_by_role("button", name="Say", exact=True).click()
        page.get_by_label("The caller hears").fill("We close at six today.")
        page.keyboard.press("Enter")
        expect(dashboard.bubbles("assistant").filter(has_text="We close at six today.")).to_be_visible(timeout=30_000)
        expect(page.locator(".log .note").filter(has_text="had a line said")).to_be_visible(timeout=30_000)
        page.get_by_role("button", name="Take over").click()
        page.get_by_role("dialog").get_by_role("button", name="Take over").click()
        expect(page.get_by_text("You speak with the caller")).to_be_visible()
        expect(page.locator(".log .note").filter(has_text="took the call over")).to_be_visible(timeout=30_000)
        page.get_by_role("button", name="Give it back to the assistant").click()
        expect(page.locator(".log .note").filter(has_text="gave the call back")).to_be_visible(timeout=30_000)
        page.get_by_role("button", name="Hang up").click()
        page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
        expect(page.locator(".call-head .chip")).to_have_text("Completed", timeout=30_000)


async def supervised(folder: Path) -> None:
    async with running(folder) as ground:
        await asyncio.to_thread(step_in, ground.system.url, ground.system.demo_code)


def test_a_supervisor_steps_into_a_running_call(tmp_path: Path) -> None:
    require(CHROMIUM.exists(), "Chromium", "apt-get install chromium")
    asyncio.run(supervised(tmp_path))
