"""How the page bears up: `python -m tests.bench.page [--json]`. By hand; nothing here is asserted.

Cold time until the page is live on loopback; long frames at 200 events a second over 100 calls; memory after 2,000 and
after 10,000 events (of 100 calls, one of them open).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

from playwright.sync_api import CDPSession, Page, expect

from media_gateway.dashboard import frontend
from tests.browser.page import Dashboard, chromium
from tests.browser.stub import Stub, serving, token

CALLS, RATE = 100, 200
NAMES = [f"CA{number:032d}" for number in range(CALLS)]
_FRAMES = """() => {
  window.__frames = []; let last = performance.now();
  const tick = (now) => { window.__frames.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  window.__long = 0;
  const observer = new PerformanceObserver((list) => { window.__long += list.getEntries().length; });
  observer.observe({ entryTypes: ["longtask"] });
}"""


def populate(stub: Stub) -> None:
    """A hundred calls that run."""
    for number, name in enumerate(NAMES):
        stub.call(name, f"+1500555{1000 + number}")
        stub.append("call_status", call=name, status="in_progress", call_end_time=None, reason=None)


def happen(stub: Stub, number: int) -> None:
    """One of many things, to one of many calls: half of them partials, as in life."""
    name, turn = NAMES[number % CALLS], number // CALLS
    if number % 2:
        stub.emit("partial_transcript", call=name, turn=turn, text=f"I would like to come in at {turn}")
    elif number % 4:
        stub.emit("final_transcript", call=name, turn=turn, speaker="user", text=f"Line {number}", confidence=1)
    else:
        stub.emit("ai_response_complete", call=name, turn=turn, text=f"Answer {number}", full_text=f"Answer {number}")


def memory(session: CDPSession) -> float:
    """MB in use after a collection."""
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def live(page: Page, address: str) -> float:
    """Ms from the navigation to the live page."""
    began = time.perf_counter()
    page.goto(address)
    expect(page.locator(".link-state")).to_have_text("Live")
    return (time.perf_counter() - began) * 1000


def measure() -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {}
    with serving() as stub, chromium() as browser:
        starts = []
        for _ in range(5):
            with Dashboard.opened(browser, stub.address) as dashboard:
                dashboard.sign_in(token("operator"))
                starts.append(live(dashboard.page, stub.address))
        found["live_cold_ms"] = {"median": statistics.median(starts), "worst": max(starts)}
        populate(stub)
        with Dashboard.opened(browser, stub.address) as dashboard:
            page = dashboard.page
            dashboard.sign_in(token("operator"))
            live(page, stub.address)
            session = page.context.new_cdp_session(page)
            expect(page.locator("a.tile")).to_have_count(CALLS)
            page.evaluate(_FRAMES)
            began = time.perf_counter()
            for number in range(10 * RATE):
                happen(stub, number)
                time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            seconds = time.perf_counter() - began
            frames = sorted(page.evaluate("window.__frames"))
            found["board_at_200_a_second"] = {
                "events_a_second": round(10 * RATE / seconds),
                "frame_p50_ms": frames[len(frames) // 2],
                "frame_p99_ms": frames[int(len(frames) * 0.99)],
                "frames_over_50_ms": sum(frame > 50 for frame in frames),
                "frames": len(frames),
                "long_tasks": page.evaluate("window.__long"),
            }
            page.locator("a.tile").first.click()
            found["memory_mb"] = {2000: memory(session)}
            for number in range(10 * RATE, 10_000):
                happen(stub, number)
            page.wait_for_timeout(1000)
            found["memory_mb"][10_000] = memory(session)
    return found


def main(arguments: list[str]) -> int:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    frontend.ensure(dev=True)
    found = measure()
    print(json.dumps(found, indent=None if asked.json else 2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
