"""`test`: the front-end libraries, then pytest over everything that can run here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


WORKERS = 4
"""Three of them have the calls in real time, which mostly wait (tests/lanes.py), and compute when these are over."""


def run_tests(arguments: Sequence[str], *, long: bool, fast: bool) -> int:
    """pytest's exit code."""
    libraries = subprocess.call([sys.executable, "-m", "media_gateway.dashboard.frontend"], cwd=ROOT)
    if libraries:
        return libraries
    workers = [] if any(given.startswith("-n") for given in arguments) else ["-n", str(WORKERS)]
    which = [*(["--long"] if long else []), *(["--fast"] if fast else [])]
    command = [sys.executable, "-m", "pytest", *workers, *which, *arguments]
    return subprocess.call(command, cwd=ROOT)
