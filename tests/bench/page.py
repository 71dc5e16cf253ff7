"""How the page bears up: `python -m tests.bench.page [--json] [--against FOLDER]`. By hand; nothing here is asserted.

Cold time until the page is live on loopback (as the page itself saw it, from the beginning of the navigation); the same
with a warm cache; long frames at 200 events a second over 100 calls; what the page holds after 2,000, 10,000 and 30,000
events (of 100 calls, one of them open); a call of 5,000 events, opened, scrolled, and going on. `--against` measures
the cold start of another checkout (its page, this bench) in turns with this one's, and tells the ratio.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, expect

from media_gateway.dashboard import frontend
from tests.browser.page import Dashboard, chromium
from tests.browser.stub import CALL, Stub, serving, token

CALLS, RATE = 100, 200
LONG = 5_000
DRAWN = 120
EVENTS = (2_000, 10_000, 30_000)
ROUNDS = 5
NAMES = [f"CA{number:032d}" for number in range(CALLS)]
_WATCH = """(() => {
  window.__at = {};
  const note = () => {
    const state = document.querySelector(".link-state");
    if (state) window.__at.drawn ??= performance.now();
    if (state?.textContent.trim() === "Live") window.__at.live ??= performance.now();
    if (document.querySelector(".log .bubble")) window.__at.words ??= performance.now();
  };
  new MutationObserver(note).observe(document, { subtree: true, childList: true, characterData: true });
})()"""
_FRAMES = """() => {
  window.__frames = []; let last = performance.now();
  const tick = (now) => {
    if (!window.__frames) return;
    window.__frames.push(now - last); last = now; requestAnimationFrame(tick);
  };
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


def reachable(session: CDPSession) -> dict[str, float]:
    """MB that the page holds, from a snapshot of its heap: what is used at a moment has rubbish in it, which Chromium
    collects when it likes (a megabyte up or down). `native`: its nodes and their layout; `code`: what was compiled."""
    parts: list[str] = []

    def take(event: dict[str, str]) -> None:
        parts.append(event["chunk"])

    session.on("HeapProfiler.addHeapSnapshotChunk", take)
    session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    session.remove_listener("HeapProfiler.addHeapSnapshotChunk", take)
    snapshot = json.loads("".join(parts))
    fields, types = (snapshot["snapshot"]["meta"][name] for name in ("node_fields", "node_types"))
    nodes, step, kind, size = snapshot["nodes"], len(fields), fields.index("type"), fields.index("self_size")
    sums: collections.Counter[str] = collections.Counter()
    for at in range(0, len(nodes), step):
        name = types[0][nodes[at + kind]]
        sums[name if name in ("native", "code") else "held"] += nodes[at + size]
    return {name: round(sums[name] / 1e6, 2) for name in ("held", "code", "native")}


def remembered(page: Page, session: CDPSession, stub: Stub) -> dict[int, dict[str, float]]:
    """What is held after so many events; the board has brought the first of them. One call is open and talked long
    enough for all that is ever drawn of one to be drawn: what is added from there on is what events leave behind."""
    for line in range(200):
        stub.emit("final_transcript", call=NAMES[0], turn=line, speaker="user", text=f"Before {line}", confidence=1)
    page.locator(f'a.tile[data-call="{NAMES[0]}"]').click()
    expect(page.locator(".log .bubble")).to_have_count(DRAWN)
    found = {}
    for before, after in itertools.pairwise((10 * RATE, *EVENTS)):
        for number in range(before, after):
            happen(stub, number)
        page.wait_for_timeout(1000)
        found[after] = reachable(session)
    return found


def live(page: Page, address: str) -> dict[str, float]:
    """Ms from the navigation: first paint, the shell, the live connection; and how many files came."""
    page.goto(address)
    expect(page.locator(".link-state")).to_have_text("Live")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    found: dict[str, float] = page.evaluate(
        """() => ({ ...window.__at, paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
          files: performance.getEntriesByType("resource").filter((one) => one.responseEnd < __at.live).length })"""
    )
    return found


def starts(browser: Browser, stub: Stub) -> dict[str, dict[str, float]]:
    """One cold start and one warm one."""
    with Dashboard.opened(browser, stub.address) as dashboard:
        dashboard.page.add_init_script(_WATCH)
        dashboard.sign_in(token("operator"))
        return {"cold": live(dashboard.page, stub.address), "warm": live(dashboard.page, stub.address)}


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure, and the worst of the one that counts."""
    middle = {name: round(statistics.median(run[name] for run in runs)) for name in ("paint", "drawn", "live", "files")}
    return {**middle, "live_worst": round(max(run["live"] for run in runs))}


def board(page: Page, stub: Stub) -> dict[str, Any]:
    """A hundred tiles at 200 events a second, for ten seconds."""
    expect(page.locator("a.tile")).to_have_count(CALLS)
    page.evaluate(_FRAMES)
    began = time.perf_counter()
    for number in range(10 * RATE):
        happen(stub, number)
        time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
    seconds = time.perf_counter() - began
    frames = sorted(page.evaluate("window.__frames"))
    return {
        "events_a_second": round(10 * RATE / seconds),
        "frame_p50_ms": round(frames[len(frames) // 2], 1),
        "frame_p99_ms": round(frames[int(len(frames) * 0.99)], 1),
        "frame_worst_ms": round(frames[-1], 1),
        "frames_over_50_ms": sum(frame > 50 for frame in frames),
        "frames": len(frames),
        "long_tasks": page.evaluate("window.__long"),
    }


def long_call(browser: Browser, stub: Stub) -> dict[str, Any]:
    """A call of 5,000 events is opened by its address: ms until words are there, what is drawn, and the frames while
    it is scrolled through and while it goes on, faster than anybody talks."""
    stub.page_size = 500
    stub.call(CALL)
    journal = stub.journals[CALL]
    for seq in range(1, LONG + 1):
        ours = seq % 2 == 0
        data = {"turn": seq // 2, "text": f"Line {seq} of a long conversation", "speaker": "user"}
        kind = "ai_response_complete" if ours else "final_transcript"
        event = {"call_id": CALL, "epoch": "e1", "seq": seq, "type": kind, "ts": stub.began.isoformat(), "data": data}
        journal.append(event | {"data": data | {"full_text": data["text"]}} if ours else event)
    with Dashboard.opened(browser, stub.address) as dashboard:
        page = dashboard.page
        page.add_init_script(_WATCH)
        dashboard.sign_in(token("operator"))
        page.goto(f"{stub.address}/#/live/{CALL}")
        expect(page.locator(".log .words").last).to_contain_text(f"Line {LONG} of")
        drawn = page.locator(".log > *").count()
        page.evaluate(_FRAMES)
        for _ in range(20):
            page.locator(".talk").hover()
            page.mouse.wheel(0, -600)
            page.wait_for_timeout(30)
        frames = sorted(page.evaluate("window.__frames"))
        at = page.evaluate("window.__at")
        page.get_by_role("button", name="Newest").or_(page.locator(".log")).first.click()
        going_on = talking(page, stub)
    return {
        "events": LONG,
        "words_ms": round(at["words"]),
        "drawn": drawn,
        "scrolling_frame_worst_ms": round(frames[-1], 1),
        "scrolling_frames_over_50_ms": sum(frame > 50 for frame in frames),
        "going_on": going_on,
    }


def talking(page: Page, stub: Stub) -> dict[str, Any]:
    """Fifty events a second in the opened call, for five seconds."""
    page.evaluate(_FRAMES)
    began = time.perf_counter()
    for number in range(250):
        turn, kind = LONG + number // 10, number % 10
        if kind < 9:
            stub.emit("partial_transcript", turn=turn, text="One word after the other " * kind)
        else:
            stub.emit("final_transcript", turn=turn, speaker="user", text=f"Line {turn}", confidence=1)
        time.sleep(max(0.0, began + number / 50 - time.perf_counter()))
    frames = sorted(page.evaluate("window.__frames"))
    return {
        "frame_p99_ms": round(frames[int(len(frames) * 0.99)], 1),
        "frame_worst_ms": round(frames[-1], 1),
        "long_tasks": page.evaluate("window.__long"),
    }


def measure() -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {}
    with chromium() as browser:
        with serving() as stub:
            runs = [starts(browser, stub) for _ in range(ROUNDS)]
            found["live_ms"] = {kind: median([run[kind] for run in runs]) for kind in ("cold", "warm")}
            populate(stub)
            with Dashboard.opened(browser, stub.address) as dashboard:
                page = dashboard.page
                page.add_init_script(_WATCH)
                page.add_init_script("delete window.__callboard")  # what tests have noted down is not the page's memory
                dashboard.sign_in(token("operator"))
                live(page, stub.address)
                session = page.context.new_cdp_session(page)
                found["board_at_200_a_second"] = board(page, stub)
                page.evaluate("window.__frames = null")  # the bench's own list would grow with every frame
                found["memory_mb"] = remembered(page, session, stub)
        with serving() as stub:
            found["long_call"] = long_call(browser, stub)
    return found


def cold_only() -> dict[str, float]:
    """For `--against`: a few cold starts of whatever checkout this process runs in."""
    with chromium() as browser, serving() as stub:
        return median([starts(browser, stub)["cold"] for _ in range(ROUNDS)])


def against(folder: str) -> dict[str, Any]:
    """The other's page before this bench, in a process of its own, in turns with ours."""
    found: dict[str, list[float]] = {"here": [], "there": []}
    for name, place in (("here", os.getcwd()), ("there", folder)) * 2:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), "--cold", "--json"],
            capture_output=True, text=True, check=True, cwd=place, env={**os.environ, "PYTHONPATH": place},
        )  # fmt: skip
        found[name].append(json.loads(done.stdout.splitlines()[-1])["live"])
    return {**found, "ratio": round(statistics.mean(found["here"]) / statistics.mean(found["there"]), 2)}


def aside(line: str) -> None:
    """Not among the figures."""
    sys.stderr.write(f"{line}\n")


def main(arguments: list[str]) -> int:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--against", help="another checkout, whose cold start is measured too")
    parser.add_argument("--cold", action="store_true", help="the cold start only")
    asked = parser.parse_args(arguments)
    frontend.ensure(dev=True, say=aside)
    found: dict[str, Any] = cold_only() if asked.cold else against(asked.against) if asked.against else measure()
    print(json.dumps(found, indent=None if asked.json else 2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
