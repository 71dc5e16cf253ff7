"""`test`: the front-end libraries, then pytest over everything that can run here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_tests(arguments: Sequence[str], *, long: bool) -> int:
    """pytest's exit code."""
    libraries = subprocess.call([sys.executable, "-m", "media_gateway.dashboard.frontend"], cwd=ROOT)
    if libraries:
        return libraries
    workers = (
        []
        if any(argument.startswith("-n") for argument in arguments)
        else ["-n", str(max(2, min(4, os.cpu_count() or 1))), "--dist", "loadgroup"]
    )
    command = [sys.executable, "-m", "pytest", *workers, *(["--long"] if long else []), *arguments]
    return subprocess.call(command, cwd=ROOT)
