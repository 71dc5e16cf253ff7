"""What a call costs, and what the gateway adds to the vendors' own delays, beside the floor in the same run.

    python -m tests.bench.voice --calls 1,5,10,50,100 --json docs/bench/voice.json

The gateway has one core to itself, simulators and callers the other. Linux, two cores. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

import httpx2
import uvloop

from infra.simulators import signing
from infra.simulators.deepgram_listen import API_KEY as DEEPGRAM_KEY
from infra.simulators.openai_api import API_KEY as OPENAI_KEY
from tests.bench.bare_socket import BareSocket
from tests.bench.load_phone import FRAME_S, TURN_FRAMES, LoadPhone, Seen
from tests.bench.peers import environment as peers
from tests.bench.vendors import Watch, vendors
from tests.media_gateway.harness import TOKEN, environ

HOST = "calls.example.com"
PATH = "/api/v1/voice/media-stream"
SATURATED = 0.9
BEHIND_MS = 20.0
"""A caller who is a whole frame late is no caller."""
WAITED = 0.1
"""Of the time; a core that somebody else has so often is not the target's, or not the simulators'."""
SETTLE_S = 4.0
SLOW_LEG_S = 0.02
TARGETS = ("floor", "callboard", *peers.PEERS)
GOOD_MS = 50.0
"""Added to a turn, at p99."""
_TICK = os.sysconf("SC_CLK_TCK")


# --- the process that is measured ---


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return found


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_s(pid: int) -> float:
    """User and system seconds of the process and its children."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK + sum(cpu_s(child) for child in _children(pid))


def waited_s(pid: int) -> float:
    """How long its main thread was ready to run and not let: somebody else had the core."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9


def rss_mb(pid: int) -> float:
    """Of the process and its children."""
    own = int(_stat(pid)[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return own + sum(rss_mb(child) for child in _children(pid))


@asynccontextmanager
async def target(
    kind: str, calls: int, deepgram: str, openai: str, core: int, log: IO[str]
) -> AsyncIterator[tuple[int, int]]:
    """The gateway, the floor or a peer on one core, ready: its pid and port. What it says goes to `log`."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = environ(
            Path(folder),
            PORT=str(port),
            PUBLIC_BASE_URL=f"https://{HOST}",
            CALLBOARD_STT="deepgram",
            CALLBOARD_LLM="openai",
            CALLBOARD_TTS="deepgram",
            DEEPGRAM_LISTEN="v2",
            DEEPGRAM_BASE_URL=deepgram,
            DEEPGRAM_API_KEY=DEEPGRAM_KEY,
            OPENAI_BASE_URL=openai,
            OPENAI_API_KEY=OPENAI_KEY,
            NO_PROXY="127.0.0.1",
            CALLBOARD_MAX_CALLS=str(calls + 10),
            CALLBOARD_MAX_LAG_MS="0",
            LOG_LEVEL="WARNING",
        )
        process = subprocess.Popen(  # noqa: ASYNC220 - once, before anything is measured
            ["taskset", "-c", str(core), *command(kind, port)],
            env={**os.environ, **environment},
            stdout=log,
        )
        try:
            await _ready(process, port)
            yield process.pid, port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(process.wait, 15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def command(kind: str, port: int) -> list[str]:
    """What starts a target."""
    if kind in peers.PEERS:
        return peers.command(kind, port)
    module = {"callboard": ["media_gateway"], "floor": ["tests.bench.floor", "--port", str(port)]}[kind]
    return [sys.executable, "-m", *module]


async def _ready(process: subprocess.Popen[bytes], port: int) -> None:
    async with asyncio.timeout(60), httpx2.AsyncClient(trust_env=False, headers={"Host": HOST}) as http:
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"it ended with {process.returncode}")
            try:
                if (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.1)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


# --- calls ---


def apart_s(calls: int) -> float:
    """Between two beginnings: the turns of few calls are spread over the time of a turn too, and no two callers' frames
    come at once."""
    return max(0.0327, TURN_FRAMES * FRAME_S / calls + 0.0027)


async def ring(http: httpx2.AsyncClient, phone: LoadPhone) -> dict[str, str]:
    """A call comes in: the parameters of its stream."""
    sid = f"CA{phone.number:032d}"
    form = {"CallSid": sid, "From": f"+1415555{phone.number:04d}", "To": "+14155550100", "CallStatus": "ringing"}
    url = f"https://{HOST}/api/v1/voice/incoming"
    headers = {signing.HEADER: signing.sign(TOKEN, url, form), "Content-Type": "application/x-www-form-urlencoded"}
    answer = await http.post("/api/v1/voice/incoming", content=urlencode(form), headers=headers)
    if answer.status_code != 200 or 'name="token"' not in answer.text:
        raise OSError(f"incoming answered {answer.status_code}")
    return {"token": answer.text.split('name="token" value="')[1].split('"')[0]}


async def place(kind: str, http: httpx2.AsyncClient, port: int, phone: LoadPhone, seen: Seen) -> None:
    """One call, until its stream runs."""
    try:
        parameters = await ring(http, phone) if kind == "callboard" else {}
        headers = {signing.HEADER: signing.sign(TOKEN, f"wss://{HOST}{PATH}")}
        url = f"ws://127.0.0.1:{port}{PATH}"
        socket = await BareSocket.connect(url, headers, phone.message, phone.lost, host=HOST)
        phone.take(socket, f"CA{phone.number:032d}", parameters)
    except (OSError, TimeoutError, httpx2.HTTPError) as problem:
        seen.failed.append(f"{type(problem).__name__} {problem}"[:100])


async def measure(kind: str, calls: int, seconds: float, core: int, profile: Path | None = None) -> dict[str, Any]:
    """So many calls at once, for so long. With `profile` a sampling profiler looks on (and costs a little)."""
    watch, seen = Watch(), Seen()
    with tempfile.TemporaryFile("w+") as log:
        async with (
            vendors(watch) as (deepgram, mind),
            target(kind, calls, deepgram.url, mind.url, core, log) as (pid, port),
        ):
            report = await _measured(kind, calls, seconds, (pid, port), (watch, seen), profile)
            report["simulators_complain"] = sorted(set(deepgram.listen.violations))[:5]
        log.seek(0)
        said = log.read()
    report["warnings"] = faults(said)
    return report


async def _measured(
    kind: str, calls: int, seconds: float, where: tuple[int, int], notes: tuple[Watch, Seen], profile: Path | None
) -> dict[str, Any]:
    (pid, port), (watch, seen) = where, notes
    empty_mb = rss_mb(pid)
    phones = [LoadPhone(number, watch, seen) for number in range(calls)]
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", trust_env=False, headers={"Host": HOST}, timeout=20
    ) as http:
        for phone in phones:
            await asyncio.gather(place(kind, http, port, phone, seen), asyncio.sleep(apart_s(calls)))
    await asyncio.sleep(SETTLE_S)
    gc.collect()
    gc.freeze()
    await asyncio.sleep(0.5)  # what was late because of that is made up for
    seen.behind_s, seen.frames, seen.gaps, seen.clears = 0.0, 0, [], []
    looking = _profiler(pid, seconds, profile / f"{kind}-{calls}.txt") if profile else None
    since, used, mine = time.perf_counter(), cpu_s(pid), time.process_time()
    waits = waited_s(pid), waited_s(os.getpid())
    await asyncio.sleep(seconds)
    until, used, mine = time.perf_counter(), cpu_s(pid) - used, time.process_time() - mine
    waits = waited_s(pid) - waits[0], waited_s(os.getpid()) - waits[1]
    full_mb = rss_mb(pid)
    if looking:
        await asyncio.to_thread(looking.wait, 60)
    for phone in phones:
        phone.hang_up()
    await asyncio.sleep(1.0)
    took = until - since
    report = _report(watch, seen, since, until)
    busy = mine / took
    shares = {"target": waits[0] / took, "simulators": waits[1] / took}
    return {
        "target": kind,
        "calls": calls,
        "seconds": round(took, 1),
        "cpu_ms_per_call_second": round(used / took / calls * 1000, 2),
        "core_busy": round(used / took, 3),
        "simulator_core_busy": round(busy, 3),
        "waited_for_its_core": {name: round(share, 3) for name, share in shares.items()},
        "void": _void(busy, report["callers_behind_ms"], shares),
        "rss_mb_per_call": round((full_mb - empty_mb) / calls, 3),
        "rss_mb": round(full_mb, 1),
        **report,
    }


def _void(busy: float, behind_ms: float, waited: dict[str, float]) -> list[str]:
    """Why the delays of this run say nothing of the target."""
    why = [f"the core of the simulators was {busy:.0%} busy"] if busy > SATURATED else []
    why += [f"the callers were {behind_ms:.0f} ms late"] if behind_ms > BEHIND_MS else []
    return why + [
        f"the {name} waited for a core {share:.0%} of the time" for name, share in waited.items() if share > WAITED
    ]


def _profiler(pid: int, seconds: float, path: Path) -> subprocess.Popen[bytes]:
    """py-spy, on the simulators' core: stacks by the number of samples, those of a waiting thread left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    how = f"-p {pid} -d {int(seconds)} -r 200 -f raw -t -o {path}".split()
    command = [str(Path(sys.executable).with_name("py-spy")), "record", *how]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _report(watch: Watch, seen: Seen, since: float, until: float) -> dict[str, Any]:
    """The turns that ended in the window."""
    turns = [turn for turn, at in watch.end_of_turn.items() if since <= at <= until - 1.5]
    stages = {
        "turn_to_model_ms": (watch.end_of_turn, watch.asked),
        "clause_to_voice_ms": (watch.clause, watch.speak),
        "sound_to_line_ms": (watch.sound, watch.media),
    }
    times = {
        stage: {turn: (ends[turn] - begins[turn]) * 1000 for turn in turns if turn in begins and turn in ends}
        for stage, (begins, ends) in stages.items()
    }
    whole = [turn for turn in turns if all(turn in stage for stage in times.values())]
    sums = [sum(stage[turn] for stage in times.values()) for turn in whole]
    legs = [leg for turn, leg in watch.legs.items() if since <= watch.spoke[turn] <= until]
    return {
        "turns": len(turns),
        "turns_answered": sum(turn in watch.media for turn in turns),
        "unanswered": unanswered(watch, turns),
        "tools_asked": watch.tools_asked,
        "tools_answered": watch.tools_answered,
        "added_ms": quantiles(sums),
        **{stage: quantiles(list(values.values())) for stage, values in times.items()},
        "barge_in_ms": quantiles([one * 1000 for one in seen.clears]),
        "start_to_media_ms": quantiles([one * 1000 for one in seen.first_media]),
        "frame_to_recogniser_ms": quantiles([one * 1000 for one in legs]),
        "late_frames": sum(leg > SLOW_LEG_S for leg in legs),
        "gaps": len(seen.gaps),
        "worst_gap_ms": round(max(seen.gaps, default=0.0) * 1000, 1),
        "stale_after_clear": seen.stale,
        "failed": len(seen.failed) + seen.lost,
        "why": sorted(set(seen.failed))[:3],
        "callers_behind_ms": round(seen.behind_s * 1000, 1),
    }


def unanswered(watch: Watch, turns: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Turns without a sound, by the last thing that was seen of them."""
    steps = {"asked": watch.asked, "thought": watch.clause, "given to the voice": watch.speak, "voiced": watch.sound}
    last = ["ended"] * len(turns)
    for name, seen in steps.items():
        last = [name if turn in seen else before for turn, before in zip(turns, last, strict=True)]
    return dict(Counter(step for step, turn in zip(last, turns, strict=True) if turn not in watch.media))


def faults(log: str) -> dict[str, int]:
    """What the gateway wrote down of its providers, and whatever else it warned of."""
    found: Counter[str] = Counter()
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found[" ".join(str(entry[key]) for key in ("message", "stage", "kind") if key in entry)] += 1
    return dict(found)


def quantiles(values: Sequence[float]) -> dict[str, float | int]:
    """p50, p99 and the worst."""
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 2),
        "p99": round(p99, 2),
        "max": round(ordered[-1], 2),
    }


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """All of it, the floor beside the gateway at each number of calls."""
    runs: list[dict[str, Any]] = []
    ratios: dict[str, float] = {}
    for calls in (int(one) for one in options.calls.split(",")):
        pair: dict[str, float] = {}
        for kind in (kind for kind, most in options.targets if calls <= most):
            one = await measure(kind, calls, options.seconds, options.core, options.profile)
            print(json.dumps(one), file=sys.stderr, flush=True)
            runs.append(one)
            pair[kind] = one["cpu_ms_per_call_second"]
        if pair.get("floor") and "callboard" in pair:
            ratios[str(calls)] = round(pair["callboard"] / pair["floor"], 2)
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("uvicorn", "websockets", "starlette", "uvloop", "msgspec")},
        "peers": {kind: peers.version(kind) for kind, _ in options.targets if kind in peers.PEERS},
        "load_average": os.getloadavg(),
        "ratio_to_floor": ratios,
        "carried": carried(runs),
        "runs": runs,
    }


def carried(runs: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The most calls at which a target kept its quality; 0 for one that never did. Void runs say nothing."""
    most: dict[str, int] = {}
    for one in runs:
        answered = one["turns"] == one["turns_answered"] > 0 == one["failed"] == one["gaps"]
        good = answered and not one["void"] and one["added_ms"]["p99"] < GOOD_MS
        most[one["target"]] = max(most.get(one["target"], 0), one["calls"] if good else 0)
    return most


def targets(text: str) -> list[tuple[str, int]]:
    """`floor,pipecat:25`: what is measured, and up to how many calls. Raises ArgumentTypeError."""
    chosen = [(kind, int(most or sys.maxsize)) for kind, _, most in (one.partition(":") for one in text.split(","))]
    for kind, _ in chosen:
        if kind not in TARGETS:
            raise argparse.ArgumentTypeError(f"no target is called {kind}; there are {', '.join(TARGETS)}")
    return chosen


def main() -> None:
    """Print or write the report."""
    parser = argparse.ArgumentParser(description="What a call costs.")
    parser.add_argument("--calls", default="1,5,10,50,100")
    parser.add_argument("--seconds", type=float, default=12.0)
    how = f"of {', '.join(TARGETS)}; with :N up to so many calls"
    parser.add_argument("--targets", type=targets, default="floor,callboard", help=how)
    parser.add_argument("--core", type=int, default=0, help="of the gateway; simulators and callers take another")
    parser.add_argument("--profile", type=Path, help="a folder for py-spy's stacks; figures of such a run are too high")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    try:
        for kind, _ in options.targets:
            if kind in peers.PEERS:
                peers.make(kind)
    except peers.NoPeer as problem:
        raise SystemExit(str(problem)) from None
    os.sched_setaffinity(0, {1 - options.core})
    report = uvloop.run(run(options))
    text = json.dumps(report, indent=1)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
