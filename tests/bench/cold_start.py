"""How long until a webhook is acknowledged by a function that has just been started, against an empty function of the
same framework: from the spawn of the process to the answer of the first request.

    python -m tests.bench.cold_start [--rounds 7]

Prints JSON: the medians in milliseconds, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2

from infra.local.system import free_port
from tests.functions.apps import MAIN, SECRET, sign, transcription

EMPTY = "import functions_framework\n\n@functions_framework.http\ndef empty(request):\n    return 'ok', 200\n"


def once(source: Path, target: str, environment: Mapping[str, str]) -> float:
    """Milliseconds from the spawn to the first 200."""
    port = free_port()
    body = json.dumps(transcription()).encode()
    command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", target]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx2.Client(trust_env=False, timeout=20) as client:
            while time.perf_counter() - began < 30:
                try:
                    answer = client.post(
                        f"http://127.0.0.1:{port}/", content=body, headers={"ElevenLabs-Signature": sign(body)}
                    )
                except httpx2.TransportError:
                    time.sleep(0.005)
                    continue
                assert answer.status_code == 200, answer.text
                return (time.perf_counter() - began) * 1000
        raise TimeoutError(target)
    finally:
        process.terminate()
        process.wait(10)


def measure(rounds: int = 7) -> dict[str, float]:
    """Both by turns, so that what else the machine does falls on both."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        ours = {
            "CALLBOARD_STORE": "embedded",
            "CALLBOARD_BUS": "embedded",
            "CALLBOARD_DATA_DIR": folder,
            "ELEVENLABS_WEBHOOK_SECRET": SECRET,
        }
        times: dict[str, list[float]] = {"empty": [], "elevenlabs_webhook": []}
        for _ in range(rounds):
            times["empty"].append(once(empty, "empty", {}))
            times["elevenlabs_webhook"].append(once(MAIN, "elevenlabs_webhook", ours))
    medians = {name: round(statistics.median(found), 1) for name, found in times.items()}
    return {**medians, "ratio": round(medians["elevenlabs_webhook"] / medians["empty"], 2)}


def main() -> int:
    """One JSON object on stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    print(json.dumps(measure(parser.parse_args().rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
