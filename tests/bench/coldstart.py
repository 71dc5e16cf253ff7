"""A cold start of the webhook's function: from its spawn to its first acknowledged webhook, against an empty function
that the same framework serves. The runs take turns, so that other work on the machine falls on both.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.functions import apps

RUNS = 7
PATIENCE_S = 60.0
EMPTY = 'def empty(request):\n    return "ok"\n'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _acknowledged(url: str, body: bytes) -> None:
    """Asks until it is; raises when the answer is another than 200."""
    until = time.perf_counter() + PATIENCE_S
    while True:
        headers = {"ElevenLabs-Signature": apps.sign(body), "Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=PATIENCE_S):
                return
        except urllib.error.HTTPError:
            raise
        except OSError:  # nobody listens yet
            if time.perf_counter() > until:
                raise
            time.sleep(0.002)


async def _start(source: Path, target: str, folder: Path, body: bytes) -> float:
    """Seconds from the spawn to the first acknowledgement."""
    port = _free_port()
    wanted = {
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "FUNCTION_TARGET": target,
        "FUNCTION_SOURCE": str(source),
        "CALLBOARD_STORE": "embedded",
        "CALLBOARD_BUS": "embedded",
        "CALLBOARD_DATA_DIR": str(folder),
        "ELEVENLABS_WEBHOOK_SECRET": apps.SECRET,
    }
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from functions_framework._cli import _cli; _cli()",
        env={"PATH": os.environ["PATH"], **wanted},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.to_thread(_acknowledged, f"http://127.0.0.1:{port}{apps.PATH}", body)
        return time.perf_counter() - began
    finally:
        process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()


async def start() -> dict[str, Any]:
    """`ratio`: the median of ours over the empty function's (at most 1.5 is wanted)."""
    took: dict[str, list[float]] = {"empty": [], "webhook": []}
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "main.py"
        empty.write_text(EMPTY)
        for n in range(RUNS + 1):
            body = json.dumps(apps.transcription(f"conv_{n}", f"CA{n}")).encode()
            bare = await _start(empty, "empty", Path(folder), body)
            ours = await _start(apps.MAIN, "elevenlabs_webhook", Path(folder), body)
            if n:  # the first fills the disk's cache
                took["empty"].append(bare)
                took["webhook"].append(ours)
    medians = {name: statistics.median(times) for name, times in took.items()}
    ratio = round(medians["webhook"] / medians["empty"], 2)
    return {"seconds": {name: round(value, 3) for name, value in medians.items()}, "runs": RUNS, "ratio": ratio}
