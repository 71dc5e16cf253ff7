"""The real gcloud for tests: warm (a fork of a process that has it loaded) or cold (the command itself)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.gcloud.gcloud import Result

WARM = Path(__file__).with_name("warm.py")


def sdk_root() -> Path | None:
    """Where the SDK is; None without one."""
    found = shutil.which("gcloud")
    if not found:
        return None
    root = Path(found).resolve().parent.parent
    return root if (root / "lib" / "googlecloudsdk").is_dir() else None


def python_of(root: Path) -> str:
    bundled = root / "platform/bundledpythonunix/bin/python3"
    return str(bundled) if bundled.exists() else "python3"


class WarmGcloud:
    """`infra.gcloud.gcloud.Call`. Several may run at once, each in a process of its own."""

    def __init__(self, root: Path, env: dict[str, str], *, most: int = 2) -> None:
        self._root, self._env = root, {**env, "CLOUDSDK_CORE_SHOW_STRUCTURED_LOGS": "never"}
        self._idle: list[subprocess.Popen[str]] = []
        self._all: list[subprocess.Popen[str]] = []
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(most)
        self.argvs: list[list[str]] = []

    def __call__(self, arguments: Sequence[str], stdin: str | None, _seconds: float) -> Result:
        self.argvs.append(list(arguments))
        with self._slots:
            with self._lock:
                process = self._idle.pop() if self._idle else self._start()
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps({"argv": list(arguments), "stdin": stdin, "env": self._env}) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            with self._lock:
                self._idle.append(process)
        return Result(**answer)

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [python_of(self._root), "-S", str(WARM), str(self._root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}, **self._env},
        )
        self._all.append(process)
        return process

    def close(self) -> None:
        for process in self._all:
            assert process.stdin
            assert process.stdout
            process.stdin.close()
            process.wait(timeout=20)
            process.stdout.close()
