"""`test`: the front-end libraries, then pytest over everything that can run here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


WORKERS = 4
"""Two of them have the calls in real time, which mostly wait (tests/lanes.py), and compute when these are over."""
FAST_WORKERS = 2
"""Nothing waits there, and each worker more reads all the tests once more."""
ROOMS = ("media_gateway", "realtime", "functions", "infra")


def run_tests(arguments: Sequence[str], *, long: bool, fast: bool) -> int:
    """pytest's exit code. The tests start hundreds of processes: what one has compiled is kept for all the others,
    whatever the shell says of bytecode."""
    libraries = subprocess.call([sys.executable, "-m", "media_gateway.dashboard.frontend"], cwd=ROOT)
    if libraries:
        return libraries
    count = FAST_WORKERS if fast else WORKERS
    workers = [] if any(given.startswith("-n") for given in arguments) else ["-n", str(count)]
    which = [*(["--long"] if long else []), *(["--fast"] if fast else [])]
    command = [sys.executable, "-m", "pytest", *workers, *which, *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.call([sys.executable, "-m", "compileall", "-q", *ROOMS], cwd=ROOT, env=environment)
    return subprocess.call(command, cwd=ROOT, env=environment)
