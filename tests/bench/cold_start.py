"""How long until a webhook is acknowledged by a function that has just been started, against an empty function of the
same framework: from the spawn of the process to the answer of the first request.

    python -m tests.bench.cold_start [--rounds 7]

Both buses: `pubsub` publishes over REST to a server of the bench that confirms everything, as the emulator would.
Prints JSON: the medians in milliseconds, and the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Confirms(BaseHTTPRequestHandler):
    """Pub/Sub's publish, over REST."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = b'{"messageIds":["1"]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def pubsub() -> Iterator[str]:
    """Its `host:port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Confirms)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def measure(rounds: int = 7) -> dict[str, float]:
    """All by turns, so that what else the machine does falls on all. At most 1.5 is wanted."""
    with tempfile.TemporaryDirectory() as folder, pubsub() as confirming:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        ours = {
            "CALLBOARD_DATA_DIR": folder,
            "ELEVENLABS_WEBHOOK_SECRET": SECRET,
            "GOOGLE_CLOUD_PROJECT": "demo-callboard",
            "PUBSUB_EMULATOR_HOST": confirming,
            "FUNCTION_TARGET": "elevenlabs_webhook",
        }
        times: dict[str, list[float]] = {"empty": [], "pubsub": [], "embedded": []}
        for _ in range(rounds):
            times["empty"].append(once(empty, "empty", {}))
            for bus, store in (("pubsub", "firestore"), ("embedded", "embedded")):
                chosen = {"CALLBOARD_BUS": bus, "CALLBOARD_STORE": store}
                times[bus].append(once(MAIN, "elevenlabs_webhook", {**ours, **chosen}))
    medians = {name: round(statistics.median(found), 1) for name, found in times.items()}
    ratios = {f"ratio_{bus}": round(medians[bus] / medians["empty"], 2) for bus in ("pubsub", "embedded")}
    return {**medians, **ratios}


def main() -> int:
    """One JSON object on stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    print(json.dumps(measure(parser.parse_args().rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
